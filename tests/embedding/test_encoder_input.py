"""What a network takes: a key before the weights file before timm, and the values are identity."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from timm.models import get_pretrained_cfg

from hipt.config.config import PatchEncoderConfig
from hipt.embedding import timm_revision as revisions
from hipt.embedding.contract import Patches, notes, refuse_unstated_side
from hipt.embedding.encoder_input import encoder_input
from hipt.embedding.timm_revision import config_digest, timm_revision
from hipt.embedding.trial import input_text
from hipt.embedding.weights_files import load_patch_encoder, write_weights
from hipt.errors import HiptError

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
SHAPE = {"depth": 1, "dim": 16, "heads": 2}
PATCHES = Patches(px=256, mpp=0.5, weights="random:0")


def cfg(**values: Any) -> PatchEncoderConfig:
    return PatchEncoderConfig.model_validate({"encoder": "test_vit", "random": 0} | values)


def both(config: PatchEncoderConfig) -> tuple[Any, ...]:
    """What is recorded, which must be what the encoder computes with."""
    given, encoder = encoder_input(config), load_patch_encoder(config)
    assert given == encoder.given
    assert list(given.mean) == pytest.approx(encoder.mean.flatten().tolist())
    assert list(given.std) == pytest.approx(encoder.std.flatten().tolist())
    return given.px, given.mean[0], given.std[0], given.px_from, given.colours_from


def test_timm_says_what_nobody_else_does():
    assert both(cfg()) == (160, 0.5, 0.5, "timm's config", "timm's test_vit.r160_in1k")


def test_keys_come_first():
    args = {"dynamic_img_size": True}
    given = both(cfg(**IMAGENET, input_px=64, encoder_args=args))
    key = "embed.patches."
    assert given == (64, 0.485, 0.229, f"{key}input_px", f"{key}mean and std")


def test_the_weights_file_comes_before_timm(tmp_path: Path):
    state = load_patch_encoder(cfg()).model.state_dict()
    file = tmp_path / "w.safetensors"
    write_weights(file, state, {"mean": "[0.7, 0.6, 0.7]", "std": "[0.2, 0.2, 0.2]"})
    named = {"random": None, "weights": str(file)}
    assert both(cfg(**named))[1:] == (0.7, 0.2, "timm's config", "the weights file")
    assert both(cfg(**named, **IMAGENET))[1] == 0.485
    write_weights(file, state, {"mean": "[0.7]", "std": "[0.2]"})
    with pytest.raises(HiptError, match="its mean and std are no three numbers each"):
        encoder_input(cfg(**named))


def test_the_side_of_img_size_is_the_network_own():
    """`*_dinov2` with dynamic_img_size ran at timm's 518 px, whatever img_size said."""
    args = {"img_size": [56, 56], "dynamic_img_size": True, "depth": 1}
    name = "vit_small_patch14_dinov2"
    assert both(cfg(encoder=name, encoder_args=args))[0] == 56
    large = cfg(encoder=name, encoder_args={"dynamic_img_size": True, "depth": 1})
    given = encoder_input(large)
    assert given.px == 518
    with pytest.raises(HiptError, match="timm would have 518 px for patches of 256; name a publis"):
        refuse_unstated_side(large, given, 256)
    refuse_unstated_side(large, given, 518)
    fixed = cfg(encoder=name, encoder_args={"depth": 1})
    refuse_unstated_side(fixed, encoder_input(fixed), 256)  # it takes no other side
    assert any("from 256 to 518 px" in note for note in notes(fixed, given, PATCHES))
    for px in (224, 518):
        stated = large.model_copy(update={"input_px": px})
        refuse_unstated_side(stated, encoder_input(stated), 256)
        assert encoder_input(stated).px == px


def test_a_size_that_the_network_does_not_take_is_refused_before_the_run():
    strict = {"encoder": "vit_tiny_patch16_224", "encoder_args": {"depth": 1}}
    with pytest.raises(HiptError, match=r"takes no pictures of 64 px \(.*\); set input_px, or in"):
        load_patch_encoder(cfg(**strict, input_px=64))


def test_hipt_takes_patches_as_they_are():
    own = cfg(encoder="hipt", shape=SHAPE)
    assert both(own) == (None, 0.5, 0.5, "patches as they are", "HIPT's own")
    assert both(cfg(encoder="hipt", shape=SHAPE, **IMAGENET, input_px=224))[:2] == (224, 0.485)
    assert input_text(encoder_input(own), 256) == (
        "256 px patches as they are; mean 0.5 0.5 0.5, std 0.5 0.5 0.5 (HIPT's own)"
    )


def test_a_bare_name_is_warned_of_and_a_tag_is_not(tmp_path: Path):
    """UNI under vit_large_patch16_224 ran with 0.5 in place of ImageNet's numbers."""
    file = tmp_path / "w.safetensors"
    write_weights(file, {}, {})
    named = {"random": None, "weights": str(file), "encoder": "vit_large_patch16_224"}
    config = cfg(**named)
    (note,) = notes(config, encoder_input(config), PATCHES)
    assert "mean and std are timm's vit_large_patch16_224.augreg_in21k_ft_in1k" in note
    assert "name a published encoder (`hipt encoders`), or set embed.patches.mean and std" in note
    for other in ({"encoder": "vit_large_patch16_224.mae"}, IMAGENET):
        config = cfg(**(named | other))
        assert not list(notes(config, encoder_input(config), PATCHES))


def test_values_count_whoever_says_them():
    timm_own = encoder_input(cfg())
    by_keys = encoder_input(cfg(mean=timm_own.mean, std=timm_own.std, input_px=timm_own.px))
    assert timm_own.identity == by_keys.identity


def test_an_upgrade_of_timm_that_changes_values_changes_the_identity(
    monkeypatch: pytest.MonkeyPatch,
):
    before = encoder_input(cfg()).identity
    entry = get_pretrained_cfg("test_vit.r160_in1k", allow_unregistered=False)
    changed = entry.__class__(**(entry.to_dict() | {"mean": (0.4, 0.4, 0.4)}))
    monkeypatch.setattr("timm.models._builder.get_pretrained_cfg", lambda _: changed)
    assert encoder_input(cfg()).identity == before | {"mean": [0.4, 0.4, 0.4]}


def test_plans_see_timm_version_where_timm_decides(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(revisions, "version", lambda _: "9.9")
    assert timm_revision(cfg()) == {"timm": "9.9"}
    assert timm_revision(cfg(**IMAGENET)) == {"timm": "9.9"}
    assert timm_revision(cfg(**IMAGENET, input_px=160)) == {}
    assert timm_revision(cfg(encoder="hipt")) == {}


def test_a_local_folder_counts_by_what_it_says(tmp_path: Path):
    config = {
        "architecture": "test_vit",
        "model_args": {"img_size": 64},
        "pretrained_cfg": {"input_size": [3, 64, 64], "mean": [0.1, 0.2, 0.3], "std": [0.4] * 3},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    named = cfg(encoder=f"local-dir:{tmp_path}")
    assert both(named) == (64, 0.1, 0.4, "timm's config", f"local-dir:{tmp_path}")
    first = config_digest(named)
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_classes": 0}))
    assert config_digest(named) != first
