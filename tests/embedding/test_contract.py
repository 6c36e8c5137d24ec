"""What a card asks for and what it got: said before a run, and recorded with it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from hipt.config.config import PatchEncoderConfig
from hipt.config.presets import presets
from hipt.embedding.contract import Patches, contract, notes
from hipt.embedding.encoder_input import encoder_input
from hipt.embedding.recorded_input import card_text, recorded_text

PATCHES = Patches(px=256, mpp=0.5, weights="random:0")


def cfg(name: str, **values: Any) -> PatchEncoderConfig:
    return PatchEncoderConfig.model_validate({"encoder": name, "random": 0} | values)


def made(config: PatchEncoderConfig, patches: Patches = PATCHES) -> dict[str, Any]:
    return contract(config, encoder_input(config), patches)


def test_what_was_asked_for_stands_beside_what_was_given():
    card = made(cfg("gigapath"))
    assert json.loads(json.dumps(card)) == card
    assert card["encoder"] == "gigapath"
    assert card["requested"] == {
        **{"mpp": [0.5], "input_px": 224, "resize_px": 256, "interpolation": "bicubic"},
        **{"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "pooling": "cls"},
    }
    assert card["given"] == card["requested"] | {"mpp": 0.5}
    assert card["deviations"] == []


DEVIATIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "uni2-h's card asks for 0.5 um/px, and patches have 0.25": ({}, {"mpp": 0.25}),
    "pooling is mean, where uni2-h's card has cls": ({"pooling": "mean"}, {}),
    "resize_px is 256, where uni2-h's card has none": ({"resize_px": 256}, {}),
    "interpolation is bicubic, where uni2-h's card has bilinear": (
        {"interpolation": "bicubic"},
        {},
    ),
    "input_px is 196, where uni2-h's card has 224": ({"input_px": 196}, {}),
    "encoder_args.depth is 2, where uni2-h's card has 24": ({"encoder_args": {"depth": 2}}, {}),
    "encoder_args.qk_norm is True, where uni2-h's card has none": (
        {"encoder_args": {"qk_norm": True}},
        {},
    ),
}


@pytest.mark.parametrize("sentence", DEVIATIONS)
def test_what_is_not_as_the_card_asks_is_said(sentence: str):
    keys, patches = DEVIATIONS[sentence]
    config, given = cfg("uni2-h", **keys), replace(PATCHES, **patches)
    assert made(config, given)["deviations"] == [sentence]
    assert sentence in list(notes(config, encoder_input(config), given))


def test_values_by_hand_that_are_the_card_own_are_no_deviation():
    card = presets()["uni2-h"]
    keys = {"mean": card.mean, "std": card.std, "input_px": 224, "encoder_args": {"depth": 24}}
    assert made(cfg("uni2-h", **keys))["deviations"] == []


def test_any_of_several_resolutions_will_do_and_scanners_round():
    for mpp in (0.25, 0.2523, 0.49, 1.0, 2.0):
        assert not made(cfg("virchow2"), replace(PATCHES, mpp=mpp))["deviations"]
    (one,) = made(cfg("virchow2"), replace(PATCHES, mpp=0.35))["deviations"]
    assert one == "virchow2's card asks for 2 or 1 or 0.5 or 0.25 um/px, and patches have 0.35"
    assert not made(cfg("dinov2-b14"), replace(PATCHES, mpp=3.0))["deviations"]  # it states none


def test_an_unknown_file_under_a_known_name_is_warned_of():
    unknown = replace(PATCHES, weights="3f" * 32)
    config = PatchEncoderConfig(encoder="uni", weights="w.bin")
    given = encoder_input(cfg("uni"))
    (warning,) = contract(config, given, unknown)["deviations"]
    assert warning == (
        "the weights file is none of uni's published ones that are known (its sha256 begins with "
        "3f3f3f3f3f3f); see `hipt encoders show uni`"
    )
    (digest,) = presets()["uni"].sha256
    assert not contract(config, given, replace(PATCHES, weights=digest))["deviations"]
    kaiko = PatchEncoderConfig(encoder="kaiko-s16", weights="w.bin")  # no sha256 is known
    assert not contract(kaiko, encoder_input(cfg("kaiko-s16")), unknown)["deviations"]


def test_the_card_of_hipt_holds_for_its_released_weights_alone():
    coarse = replace(PATCHES, mpp=1.0)
    assert made(cfg("hipt"), coarse) == {}
    (digest,) = presets()["hipt"].sha256
    (sentence,) = made(cfg("hipt"), replace(coarse, weights=digest))["deviations"]
    assert sentence == "hipt's card asks for 0.5 um/px, and patches have 1"


def test_networks_without_a_card_have_no_contract_but_their_file_may():
    assert made(cfg("test_vit")) == {}
    (digest,) = presets()["virchow2"].sha256
    config = PatchEncoderConfig(encoder="local-dir:/models/virchow2", weights="w.safetensors")
    given = replace(encoder_input(cfg("virchow2")), pooling=None)
    (note,) = notes(config, given, replace(PATCHES, weights=digest))
    assert note == (
        "the weights are the published file of virchow2, whose card asks for 2 or 1 or 0.5 or 0.25 "
        "um/px, 224 px bicubic, mean 0.485 0.456 0.406, std 0.229 0.224 0.225, cls+mean; encoder: "
        "virchow2 gives it that"
    )


def test_enlarging_before_a_crop_is_noted_too():
    (note,) = notes(cfg("gigapath"), encoder_input(cfg("gigapath")), replace(PATCHES, px=224))
    assert note.startswith("patches are enlarged from 224 to 256 px")


def test_the_record_in_words():
    config = cfg("gigapath")
    settings, card = encoder_input(config).identity, made(config)
    text = "input 224 px cut from 256 px, mean 0.485 0.456 0.406, std 0.229 0.224 0.225, cls"
    assert recorded_text(settings, {}) == text
    assert recorded_text(settings, card) == f"gigapath: {text}: as its card asks"
    other = made(config, replace(PATCHES, mpp=1.0))
    asked = "gigapath's card asks for 0.5 um/px, and patches have 1"
    assert recorded_text(settings, other) == f"gigapath: {text}: {asked}"
    assert recorded_text({}, {}) == ""  # of shards without it
    assert card_text(presets()["hipt"].model_dump()) == (
        "0.5 um/px, mean 0.5 0.5 0.5, std 0.5 0.5 0.5"
    )
