"""A stage's network and its recipe; what it is trained on has tests of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from hipt.config.config import Config
from hipt.config.step_settings import PretrainSettings, settings
from hipt.embedding.weights_files import write_weights
from hipt.errors import HiptError
from hipt.nn.positions import sine_positions
from hipt.nn.vit import initialise, vit256
from hipt.pretraining.stages import Stage, stage_of
from tests.slidemaker import tissue_picture, write_slide
from tests.steps.conftest import SHAPE, Chain


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """One slide with embeddings."""
    chain = Chain(tmp_path_factory.mktemp("stages"))
    write_slide(chain.folder / "a.svs", tissue_picture(512, 512, 0))
    chain.sheet("slide_id,path\na,a.svs\n")
    chain.upto("embed_patches")
    return chain


def stage(chain: Chain, name: str = "patches", **section: object) -> Stage:
    config = Config.model_validate(chain.values | {"pretrain": {name: section}})
    cfg = settings("pretrain", config)
    assert isinstance(cfg, PretrainSettings)
    return stage_of(name, cfg, chain.results, 1)


@pytest.mark.parametrize("name", ["patches", "regions"])
def test_the_recipe_is_what_decides_the_weights(chain: Chain, name: str):
    first = stage(chain, name).recipe()
    cfg = json.dumps(first)
    assert first["stage"] == f"pretrain.{name}"
    assert first["shape"] == SHAPE
    assert {"corpus", "micro_batches"}.isdisjoint(first)
    assert "checkpoint_every" not in cfg
    same = stage(chain, name, dino={"checkpoint_every": 7}, micro_batches=2).recipe()
    assert same == first
    for other in ({"seed": 1}, {"lr": 1e-3}, {"iterations": 5}):
        assert stage(chain, name, dino=other).recipe() != first
    assert stage(chain, name, views={"flip": 0.1}).recipe() != first


def test_a_changed_key_leaves_the_others_of_its_stage_as_they_are(chain: Chain):
    lengths = [stage(chain, name, dino={"lr": 1e-4}).dino for name in ("patches", "regions")]
    assert [(d.iterations, d.warmup_iterations) for d in lengths] == [
        (400_000, 40_000),
        (200_000, 20_000),
    ]


def test_the_corpus_and_its_size(chain: Chain):
    patches, regions = stage(chain), stage(chain, "regions")
    assert [member.slide_id for member in patches.members] == ["a"]
    assert patches.items == sum(member.patches for member in patches.members)
    assert regions.items == sum(member.regions for member in regions.members)
    assert stage(chain, min_patch_tissue=0.0).items >= patches.items > 0


def test_first_weights_follow_from_the_seed(chain: Chain):
    a, b, c = (stage(chain, dino={"seed": s}).backbone(0.1).state_dict() for s in (1, 1, 2))
    assert all(torch.equal(value, b[name]) for name, value in a.items())
    assert not torch.equal(a["pos_embed"], c["pos_embed"])


def test_places_start_as_sines_where_that_is_asked_for_and_nothing_else_changes(chain: Chain):
    drawn = stage(chain, "regions").backbone(0.0).state_dict()
    sines = stage(chain, "regions", positions="sines").backbone(0.0).state_dict()
    assert {name for name, value in drawn.items() if not torch.equal(value, sines[name])} == {
        "pos_embed"
    }
    dim = sines["pos_embed"].shape[-1]
    assert torch.equal(sines["pos_embed"][0, 1:], sine_positions(14, dim))


def test_stage_1_weights_carry_their_normalisation(chain: Chain):
    assert stage(chain).metadata() == {"mean": "[0.5, 0.5, 0.5]", "std": "[0.5, 0.5, 0.5]"}
    assert stage(chain, "regions").metadata() == {}


def test_training_starts_from_init(chain: Chain, tmp_path: Path):
    model = vit256(Config.model_validate(chain.values).embed.patches.vit_shape)
    initialise(model, 77)
    write_weights(tmp_path / "w.safetensors", model.state_dict(), {})
    result = stage(chain, init=str(tmp_path / "w.safetensors")).backbone(0.1).state_dict()
    assert all(torch.equal(value, result[name]) for name, value in model.state_dict().items())


def test_init_of_another_architecture_is_one_sentence(chain: Chain, tmp_path: Path):
    path = tmp_path / "w.safetensors"
    state = stage(chain, "regions").backbone(0.0).state_dict()
    write_weights(path, state, {})
    with pytest.raises(HiptError) as caught:
        stage(chain, init=str(path)).backbone(0.0)
    assert str(caught.value).startswith(f"pretrain.patches.init: {path}")
    assert "\n" not in str(caught.value)
    with pytest.raises(HiptError, match="no such weights file"):
        stage(chain, init=str(tmp_path / "gone")).backbone(0.0)
