"""The training loop on patches in memory: its steps are the trainer's own, whoever gives them."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hipt.config.encoders import ViTShape
from hipt.config.pretraining import PretrainPatchesConfig
from hipt.embedding.devices import fp32_products
from hipt.errors import HiptError
from hipt.nn.dino.trainer import Step, Trainer, step_seed
from hipt.nn.dino.views import PatchViews
from hipt.nn.encoders import HIPT_MEAN, HIPT_STD
from hipt.nn.vit import vit256
from hipt.pretraining.corpus_list import Member, State
from hipt.pretraining.processes import Process, joined
from hipt.pretraining.source import Minibatch
from hipt.pretraining.stages import Stage
from hipt.pretraining.training_loop import Training
from hipt.slides.closing import Closing

CPU = torch.device("cpu")
ALONE = Process(CPU)
SHAPE = ViTShape(depth=1, dim=16, heads=2)
CFG = PretrainPatchesConfig.model_validate(
    {
        "micro_batches": 2,
        "views": {"global_px": 64, "local_px": 32, "local_crops": 2},
        "dino": {
            **{"iterations": 5, "batch": 4, "out_dim": 16, "hidden_dim": 12, "bottleneck_dim": 8},
            **{"warmup_iterations": 1, "frozen_iterations": 1, "checkpoint_every": 2},
        },
    }
)
PATCHES = np.random.default_rng(0).integers(0, 256, (12, 64, 64, 3), np.uint8)


class InMemory(Closing):
    """Patches in their order, over and over."""

    def __init__(self, batch: int, state: State | None) -> None:
        self.waited_s, self.closed = 0.0, False
        self._batch, self._position = batch, int(state["position"]) if state else 0

    def __next__(self) -> Minibatch:
        places = np.arange(self._position, self._position + self._batch) % len(PATCHES)
        self._position += self._batch
        return PATCHES[places]

    def state(self) -> State:
        return {"position": self._position}

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def opened() -> list[InMemory]:
    """All sources that a stage has opened."""
    return []


@pytest.fixture
def stage(opened: list[InMemory]) -> Stage:
    def open_source(_share: object, batch: int, state: State | None) -> InMemory:
        opened.append(InMemory(batch, state))
        return opened[-1]

    return Stage(
        section="pretrain.patches",
        unit="patches",
        cfg=CFG,
        shape=SHAPE,
        precision="fp32",
        members=(Member("a", "f", 1, len(PATCHES)),),
        items=len(PATCHES),
        make=lambda drop_path: vit256(SHAPE, drop_path),
        views=PatchViews(CFG.views, HIPT_MEAN, HIPT_STD),
        open_source=open_source,
    )


def by_hand(stage: Stage) -> tuple[dict[str, torch.Tensor], list[Step]]:
    """The weights and steps of the trainer, called on the same patches without the loop."""
    trainer = Trainer(stage.backbone, stage.dino, 1, CPU, "fp32")
    source, steps = InMemory(4, None), list[Step]()
    for iteration in range(stage.dino.iterations):
        generator = torch.Generator(CPU).manual_seed(step_seed(stage.dino.seed, iteration, 0))
        parts = torch.from_numpy(next(source)).split(2)
        views = [stage.views(part, generator) for part in parts]
        with fp32_products(CPU):
            steps.append(trainer.step(iteration, views))
    return trainer.product().state_dict(), steps


def same(model: torch.nn.Module, weights: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


def test_the_loop_makes_the_trainers_steps(stage: Stage, opened: list[InMemory], tmp_path: Path):
    weights, steps = by_hand(stage)
    training = Training(stage, tmp_path / "vit256.safetensors", ALONE, 1)
    assert not opened  # nothing is read before it runs
    assert same(training.run(), weights)
    assert training.steps == steps
    assert [source.closed for source in opened] == [True]


def test_stopped_it_goes_on_to_the_same_weights(
    stage: Stage, opened: list[InMemory], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    weights, steps = by_hand(stage)
    out, draw = tmp_path / "vit256.safetensors", InMemory.__next__

    def interrupted(self: InMemory) -> Minibatch:
        os.kill(os.getpid(), signal.SIGUSR1)
        return draw(self)

    monkeypatch.setattr(InMemory, "__next__", interrupted)
    for done in range(1, 5):
        training = Training(stage, out, ALONE, 1)
        with pytest.raises(SystemExit) as left:
            training.run()
        assert left.value.code == 128 + signal.SIGUSR1
        assert training.steps == steps[:done]
    training = Training(stage, out, ALONE, 1)
    assert same(training.run(), weights)  # in its last step there is nothing left to stop
    assert training.steps == steps
    assert all(source.closed for source in opened)


def test_a_checkpoint_of_another_version_is_refused(stage: Stage, tmp_path: Path):
    out = tmp_path / "vit256.safetensors"
    Training(stage, out, ALONE, 1).run()
    with pytest.raises(HiptError, match="made with other settings"):
        Training(stage, out, ALONE, 2).run()


def test_the_source_is_closed_when_training_fails(
    stage: Stage, opened: list[InMemory], tmp_path: Path
):
    def no_views(*_: object) -> list[torch.Tensor]:
        raise KeyError

    with pytest.raises(KeyError):
        Training(replace(stage, views=no_views), tmp_path / "m", ALONE, 1).run()
    assert [source.closed for source in opened] == [True]


@pytest.mark.parametrize(
    ("ranks", "items", "sentence"),
    [
        (3, 12, r"dino\.batch \(4\) must be a multiple of 3 processes x 2 micro-batches"),
        (1, 3, r"has 3 patches, fewer than pretrain\.patches\.dino\.batch \(4\)"),
    ],
)
def test_a_batch_that_cannot_be_filled(
    stage: Stage, tmp_path: Path, ranks: int, items: int, sentence: str
):
    with pytest.raises(HiptError, match=sentence):
        Training(replace(stage, items=items), tmp_path / "m", Process(CPU, 0, ranks), 1)


def test_without_torchrun_a_process_is_alone():
    with joined(CPU) as process:
        assert process == ALONE
        assert process.greatest(7) == 7
        assert process.gathered({"position": 3}) == [{"position": 3}]
