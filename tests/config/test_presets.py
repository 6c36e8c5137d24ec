"""The cards of published encoders: complete, each once, and found by the names of other tools."""

from __future__ import annotations

from collections import Counter

import pytest
import yaml
from pydantic import ValidationError

from hipt.config.config import PatchEncoderConfig
from hipt.config.presets import FILE, Preset, nearest, presets, published

NAMES = list(presets())


def test_a_row_gives_a_preset_and_all_groups_are_used():
    table = yaml.safe_load(FILE.read_text())
    assert list(table["presets"]) == NAMES
    assert len(NAMES) >= 30
    rows = table["presets"].values()
    assert {row["colours"] for row in rows} == set(table["colours"])
    assert {letter for row in rows for letter in row["sources"]} == set(table["sources"])


@pytest.mark.parametrize("name", NAMES)
def test_a_card_is_whole(name: str):
    card = presets()[name]
    assert card.name == name
    assert card.page.startswith("https://")
    assert card.files
    assert card.sources
    assert card.resize_px is None or (card.input_px or 0) < card.resize_px
    if "NC" in card.licence or "on-commercial" in card.licence:
        assert card.commercial != "yes"
    cfg = PatchEncoderConfig(encoder=name, random=0)
    assert PatchEncoderConfig.model_validate_json(cfg.model_dump_json()) == cfg
    assert cfg.preset is card


@pytest.mark.parametrize("tool", ["trident", "slide2vec"])
def test_a_tool_knows_an_encoder_by_one_name(tool: str):
    names = Counter(getattr(card, tool) for card in presets().values() if getattr(card, tool))
    assert set(names.values()) == {1}
    for name in names:
        assert getattr(presets()[nearest(name, ())[0]], tool) == name


def test_a_published_file_is_known_by_its_content():
    for name, card in presets().items():
        for digest in card.sha256:
            assert name in published(digest)
    both = published("0b7e0236ce430064b31485bbb6f85e661dc5eca0cde709e8f04d59f1c2b23e0b")
    assert both == ("lunit-s8", "lunit-s8-hub")  # one file, two normalisations
    assert published("0" * 64) == ()


def test_cards_of_one_file_differ_in_what_decides_vectors():
    decisive = [str(sorted(card.decisive.items())) for card in presets().values()]
    same = {text for text, count in Counter(decisive).items() if count > 1}
    for text in same:  # H-optimus-0 and -1, UNI and mSTAR: other weights, one network
        digests = [
            card.sha256
            for card, other in zip(presets().values(), decisive, strict=True)
            if other == text
        ]
        assert len(set(digests)) == len(digests)


def test_cards_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        presets()["uni"].input_px = 256  # type: ignore[misc]
    row = presets()["uni"].model_dump()
    with pytest.raises(ValidationError, match="should match pattern"):
        Preset.model_validate(row | {"files": {"w.bin": "56ef09b4...e2ffb40"}})
    with pytest.raises(ValidationError, match="extra"):
        Preset.model_validate(row | {"crop": 224})


def test_arguments_by_hand_replace_those_of_the_card():
    cfg = PatchEncoderConfig(encoder="uni2-h", encoder_args={"depth": 2, "img_size": 256})
    assert cfg.arguments == presets()["uni2-h"].arguments | {"depth": 2, "img_size": 256}
    assert cfg.architecture == "vit_giant_patch14_224"
    plain = PatchEncoderConfig(encoder="vit_small_patch16_224")
    assert (plain.preset, plain.architecture, plain.arguments) == (None, plain.encoder, {})
