"""Training step by step: rates, what moves and what does not, and going on bit for bit."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from hipt.config.config import ViTShape
from hipt.config.pretraining import DinoConfig
from hipt.nn.dino.schedule import cosine
from hipt.nn.dino.trainer import Trainer, step_seed
from hipt.nn.vit import ViT, initialise, vit4096

C = 5
RECIPE: dict[str, Any] = {
    **{"iterations": 12, "batch": 64, "out_dim": 11, "hidden_dim": 8, "bottleneck_dim": 6},
    **{"warmup_iterations": 0, "clip": None, "drop_path": 0.0, "lr": 0.02},
}


def build(drop_path: float, seed: int = 0) -> ViT:
    model = vit4096(ViTShape(depth=2, dim=12, heads=3), C, drop_path)
    initialise(model, seed)
    return model


def trainer(frozen: int = 0, precision: str = "fp32", **recipe: Any) -> Trainer:
    cfg = DinoConfig(**RECIPE | recipe)
    return Trainer(partial(build, seed=cfg.seed), cfg, frozen, torch.device("cpu"), precision)


def views_of(step: int, count: int = 4) -> list[torch.Tensor]:
    """Two large views and one small one."""
    generator = torch.Generator().manual_seed(step)
    return [torch.randn(count, C, side, side, generator=generator) for side in (4, 4, 2)]


def copies(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(("batch", "scale"), [(256, 1.0), (64, 0.25), (512, 2.0)])
def test_rates_follow_the_schedules_and_lr_the_batch(batch: int, scale: float):
    made = trainer(batch=batch, lr=5e-4, min_lr=1e-6, warmup_iterations=3)
    for i in range(12):
        step = made.step(i, [views_of(i)])
        assert step.lr == pytest.approx(cosine(i, 12, 5e-4 * scale, 1e-6, 3), rel=1e-12)
        assert step.weight_decay == pytest.approx(cosine(i, 12, 0.04, 0.4), rel=1e-12)
        assert step.teacher_momentum == pytest.approx(cosine(i, 12, 0.996, 1.0), rel=1e-12)
    assert (step.lr, step.weight_decay, step.teacher_momentum) == (1e-6, 0.4, 1.0)


def test_the_rates_of_the_recipe_at_its_own_ends():
    cfg = DinoConfig()
    made = trainer(**cfg.model_dump(exclude={"out_dim", "hidden_dim", "bottleneck_dim"}))
    assert made.step(0, [views_of(0)]).lr == 0
    assert made.step(40_000, [views_of(0)]).lr == 5e-4
    assert made.step(399_999, [views_of(0)]).lr == pytest.approx(1e-6)


def test_the_teacher_starts_as_the_student_and_follows_without_gradient():
    made = trainer(teacher_momentum=0.9)
    before = copies(made.teacher)
    assert same(before, copies(made.student))
    made.step(0, [views_of(0)])
    student, teacher = copies(made.student), copies(made.teacher)
    for name, value in teacher.items():
        expected = 0.9 * before[name] + 0.1 * student[name]
        assert torch.allclose(value, expected, rtol=0, atol=1e-6), name
    assert not same(student, before)
    assert all(p.grad is None and not p.requires_grad for p in made.teacher.parameters())
    assert made.product() is made.teacher.backbone


def test_frozen_steps_leave_the_last_layer_alone():
    made = trainer(frozen=2)
    first = copies(made.student)
    for i in range(3):
        before = copies(made.student)
        made.step(i, [views_of(i)])
        after = copies(made.student)
        moved = not torch.equal(after["head.last_layer.weight"], before["head.last_layer.weight"])
        assert moved == (i == 2)
        assert not torch.equal(after["head.mlp.0.weight"], before["head.mlp.0.weight"])
    assert not same(copies(made.student), first)


@pytest.mark.parametrize("parts", [2, 4])
def test_micro_batches_add_up_to_the_whole(parts: int):
    whole, split = trainer(), trainer()
    views = views_of(0)
    one = whole.step(0, [views])
    pieces = zip(*(view.chunk(parts) for view in views), strict=True)
    other = split.step(0, [list(piece) for piece in pieces])
    assert other == pytest.approx(one, rel=1e-5)
    for (name, a), (_, b) in zip(
        whole.student.named_parameters(), split.student.named_parameters(), strict=True
    ):
        assert (a.grad - b.grad).abs().max() <= 1e-5 * a.grad.abs().max() + 1e-8, name
    centre = whole.state_dict()["centre"]
    assert centre.abs().max() > 0
    assert torch.allclose(centre, split.state_dict()["centre"], rtol=0, atol=1e-7)


def test_the_norm_is_that_before_the_cut():
    free, cut = trainer().step(0, [views_of(0)]), trainer(clip=1e-3)
    assert cut.step(0, [views_of(0)]).gradient_norm == free.gradient_norm > 1e-3
    assert max(float(p.grad.norm()) for p in cut.student.parameters()) <= 1.001e-3


@pytest.mark.parametrize("stop", [1, 4])
def test_a_state_goes_on_bit_for_bit(stop: int):
    recipe = {"drop_path": 0.5, "seed": 3}
    undisturbed, first = trainer(frozen=2, **recipe), trainer(frozen=2, **recipe)
    expected = [undisturbed.step(i, [views_of(i)]) for i in range(7)]
    result = [first.step(i, [views_of(i)]) for i in range(stop)]
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    torch.rand(7)  # somebody else draws
    resumed = trainer(frozen=2, **recipe)
    file.seek(0)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    result += [resumed.step(i, [views_of(i)]) for i in range(stop, 7)]
    assert result == expected
    assert same(copies(resumed.student), copies(undisturbed.student))
    assert same(copies(resumed.teacher), copies(undisturbed.teacher))


def test_stochastic_depth_is_the_students_and_follows_from_the_seed():
    steps = [trainer(drop_path=0.9, seed=seed).step(5, [views_of(0)]) for seed in (1, 1)]
    assert steps[0] == steps[1]
    assert steps[0].loss != trainer(drop_path=0.0, seed=1).step(5, [views_of(0)]).loss
    assert steps[0].teacher_entropy == trainer(seed=1).step(5, [views_of(0)]).teacher_entropy


def test_bf16_leaves_weights_and_centre_in_fp32():
    exact, rough = trainer(), trainer(precision="bf16")
    steps = [made.step(0, [views_of(0)]) for made in (exact, rough)]
    assert steps[0].loss != steps[1].loss
    assert steps[1].loss == pytest.approx(steps[0].loss, rel=0.02)
    state = rough.state_dict()
    tensors = [*state["student"].values(), *state["teacher"].values(), state["centre"]]
    assert {tensor.dtype for tensor in tensors} == {torch.float32}


def test_seeds_of_steps_are_all_different():
    places = [(s, i, r) for s in range(3) for i in (*range(300), 999_999) for r in range(9)]
    seeds = {step_seed(*place) for place in places}
    assert len(seeds) == len(places)
    assert all(0 <= seed < 1 << 63 for seed in seeds)
    assert 0 <= step_seed(1 << 70, 399_999, 4098) < 1 << 63


STEPS = 12


def rank_trains(rank: int, ranks: int, folder: str) -> None:
    """One process's part of every minibatch; the first one writes what it saw."""
    torch.set_num_threads(1)
    meeting = f"file://{folder}/meeting"
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=ranks)
    made = trainer(frozen=2, clip=0.5)
    steps = [
        made.step(i, [[view.chunk(ranks)[rank] for view in views_of(i, 8)]]) for i in range(STEPS)
    ]
    if rank == 0:
        torch.save({"steps": [tuple(s) for s in steps], **made.state_dict()}, f"{folder}/seen.pt")
    dist.destroy_process_group()


def test_two_processes_have_the_loss_curve_and_weights_of_one(tmp_path: Path):
    alone = trainer(frozen=2, clip=0.5)
    steps = [alone.step(i, [views_of(i, 8)]) for i in range(STEPS)]
    mp.spawn(rank_trains, (2, str(tmp_path)), nprocs=2)
    seen = torch.load(tmp_path / "seen.pt")
    assert len({round(step.loss, 3) for step in steps}) > STEPS // 2  # a curve, not a line
    for one, two in zip(steps, seen["steps"], strict=True):
        assert two == pytest.approx(tuple(one), rel=1e-4, abs=1e-6)
    torch.testing.assert_close(seen["centre"], alone.state_dict()["centre"], rtol=1e-4, atol=1e-6)
    for name, value in alone.teacher.state_dict().items():
        torch.testing.assert_close(seen["teacher"][name], value, rtol=1e-3, atol=1e-5)
