"""Masked patches: what is hidden, from whom, and what is asked about it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from hipt.config.config import ViTShape
from hipt.config.pretraining import DinoConfig, PretrainConfig, RegionsDinoConfig
from hipt.nn.dino.loss import DinoHead, Network
from hipt.nn.dino.masked import MaskedPatches, MaskedStudent, hidden_loss
from hipt.nn.dino.trainer import Trainer
from hipt.nn.vit import ViT, initialise, vit4096
from tests.nn.dino.test_trainer import RECIPE, C, build, copies, same, views_of

SMALL = {key: RECIPE[key] for key in ("out_dim", "hidden_dim", "bottleneck_dim")}


def trainer(masked: float, **recipe: Any) -> Trainer:
    cfg = RegionsDinoConfig(**RECIPE | recipe, masked=masked)
    return Trainer(build, cfg, 0, torch.device("cpu"), "fp32")


def student(share: float = 0.4) -> MaskedStudent:
    network = Network(build(0.0), DinoHead(12, DinoConfig(**SMALL)))
    return MaskedStudent(network, MaskedPatches(12, C, share, seed=0)).double()


def test_the_loss_equals_a_loop_over_hidden_patches():
    generator = torch.Generator().manual_seed(0)
    views = torch.randn(6, C, 3, 4, generator=generator, dtype=torch.float64) * 3 + 1
    predicted = torch.randn(6, 12, C, generator=generator, dtype=torch.float64)
    places = torch.rand(6, 12, generator=generator) < 0.4
    grids = views.numpy()
    means = [np.mean([grid[c] for grid in grids]) for c in range(C)]
    spread = [np.sqrt(np.mean([(grid[c] - means[c]) ** 2 for grid in grids])) for c in range(C)]
    errors = [
        (float(predicted[n, p, c]) - (grids[n, c, p // 4, p % 4] - means[c]) / spread[c]) ** 2
        for n in range(6)
        for p in range(12)
        for c in range(C)
        if places[n, p]
    ]
    assert float(hidden_loss(predicted, views, places)) == pytest.approx(np.mean(errors), rel=1e-5)


def test_units_of_channels_do_not_count():
    generator = torch.Generator().manual_seed(0)
    views = torch.randn(4, C, 4, 4, generator=generator)
    units, zeros = (
        torch.tensor([1e-3, 1.0, 10.0, 100.0, 1e4]).view(1, C, 1, 1),
        torch.zeros(4, 16, C),
    )
    places = torch.ones(4, 16, dtype=torch.bool)
    plain, scaled = (hidden_loss(zeros, v, places) for v in (views, views * units + 3 * units))
    assert float(scaled) == pytest.approx(float(plain), rel=1e-4)
    assert float(plain) == pytest.approx(1, rel=1e-4)


def test_a_constant_channel_asks_nothing():
    views = torch.ones(4, C, 4, 4)
    places = torch.ones(4, 16, dtype=torch.bool)
    assert float(hidden_loss(torch.zeros(4, 16, C), views, places)) == 0


@pytest.mark.parametrize(("share", "side", "hidden"), [(0.3, 4, 5), (0.01, 4, 1), (0.5, 3, 4)])
def test_every_view_hides_as_many_patches_elsewhere(share: float, side: int, hidden: int):
    places = MaskedPatches(12, C, share, seed=0).hide(torch.zeros(50, C, side, side))
    assert places.shape == (50, side * side)
    assert set(places.sum(1).tolist()) == {hidden}
    assert len(places.unique(dim=0)) > 5
    assert places.any(0).sum() > side**2 / 2


def test_a_hidden_patch_is_not_seen_by_the_student():
    """Its vector moves the loss, and neither the answers nor any other prediction."""
    asked = student()
    views = [view.double() for view in views_of(0)]
    torch.manual_seed(1)
    places = asked.masked.hide(torch.cat(views[:2]))
    torch.manual_seed(1)
    outputs, loss = asked(views)
    changed = [view.clone() for view in views]
    for large, hidden in zip(changed[:2], places.chunk(2), strict=True):
        large += 100 * hidden.view(len(large), 1, 4, 4)
    torch.manual_seed(1)
    other, other_loss = asked(changed)
    assert torch.equal(other, outputs)
    assert not torch.equal(other_loss, loss)
    seen = [view + 100 for view in views]
    torch.manual_seed(1)
    assert not torch.equal(asked(seen)[0], outputs)


def test_small_views_are_seen_whole_and_outputs_keep_the_order_of_views():
    asked = student()
    views = [view.double() for view in views_of(0)]
    outputs, _ = asked(views)
    whole = asked.network(views)
    assert outputs.shape == whole.shape
    assert torch.allclose(outputs[8:], whole[8:], rtol=0, atol=1e-12)
    assert not torch.allclose(outputs[:8], whole[:8], rtol=0, atol=1e-6)


def test_the_teacher_sees_every_patch():
    plain, masked = trainer(0.0).step(0, [views_of(0)]), trainer(0.5).step(0, [views_of(0)])
    assert masked.teacher_entropy == plain.teacher_entropy
    assert masked.loss != plain.loss
    made = trainer(0.5)
    before = made.teacher(views_of(0)[:2])
    made.step(0, [views_of(0)])
    centre = made.state_dict()["centre"]
    assert torch.allclose(centre, 0.1 * before.mean(0, keepdim=True), rtol=0, atol=1e-7)


def test_without_masks_every_step_is_the_papers_bit_for_bit():
    cfg = DinoConfig(**RECIPE | {"drop_path": 0.5})
    paper = Trainer(build, cfg, 0, torch.device("cpu"), "fp32")
    off = trainer(0.0, drop_path=0.5)
    for i in range(4):
        assert off.step(i, [views_of(i)]) == paper.step(i, [views_of(i)])
    assert same(copies(off.student), copies(paper.student))
    assert off.state_dict().keys() == paper.state_dict().keys()


def test_the_product_has_the_released_names():
    made = trainer(0.5)
    made.step(0, [views_of(0)])
    assert made.product().state_dict().keys() == build(0.0).state_dict().keys()


def test_what_predicts_is_trained_with_the_rest():
    made = trainer(0.5, lr=0.1)
    before = {name: value.clone() for name, value in made.state_dict()["masked"].items()}
    for i in range(3):
        made.step(i, [views_of(i)])
    after = made.state_dict()["masked"]
    assert before.keys() == after.keys() == {"token", "predict.weight", "predict.bias"}
    assert all(not torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("stop", [1, 3])
def test_a_state_goes_on_bit_for_bit(stop: int):
    whole, first = trainer(0.4, drop_path=0.5), trainer(0.4, drop_path=0.5)
    expected = [whole.step(i, [views_of(i)]) for i in range(5)]
    result = [first.step(i, [views_of(i)]) for i in range(stop)]
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    torch.rand(7)  # somebody else draws
    resumed = trainer(0.4, drop_path=0.5)
    file.seek(0)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    result += [resumed.step(i, [views_of(i)]) for i in range(stop, 5)]
    assert result == expected
    assert same(copies(resumed.student), copies(whole.student))
    assert same(resumed.state_dict()["masked"], whole.state_dict()["masked"])


def test_neighbours_are_used_to_predict():
    """Grids of two kinds in halves: training beats the mean of all patches (loss 1)."""

    def grids(step: int) -> list[torch.Tensor]:
        generator = torch.Generator().manual_seed(step)
        side = torch.randint(2, (16, 1, 1, 1), generator=generator) * 2.0 - 1
        half = torch.tensor([1.0, 1, -1, -1])[:, None].expand(4, 4)
        view = (side * half).expand(16, C, 4, 4)
        noise = [torch.randn(16, C, 4, 4, generator=generator) * 0.1 for _ in range(2)]
        return [view + n for n in noise]

    asked = MaskedStudent(
        Network(start(ViTShape(depth=2, dim=12, heads=3)), DinoHead(12, DinoConfig(**SMALL))),
        MaskedPatches(12, C, 0.4, seed=0),
    )
    optimiser = torch.optim.AdamW(asked.parameters(), lr=5e-3)
    torch.manual_seed(0)
    for i in range(150):
        _, loss = asked(grids(i))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.2


def start(shape: ViTShape) -> ViT:
    model = vit4096(shape, C, 0.0)
    initialise(model, 0)
    return model


@pytest.mark.parametrize("share", [-0.1, 0.95, 1.0, "some"])
def test_silly_shares_are_refused(share: object):
    with pytest.raises(ValidationError, match=r"regions\.dino\.masked"):
        PretrainConfig.model_validate({"regions": {"dino": {"masked": share}}})


def test_pixels_have_no_masks():
    with pytest.raises(ValidationError, match=r"patches\.dino\.masked"):
        PretrainConfig.model_validate({"patches": {"dino": {"masked": 0.3}}})
