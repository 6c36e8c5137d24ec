"""Which name an encoder has in the files of other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hipt.config.config import PatchEncoderConfig
from hipt.config.presets import presets
from hipt.exchange.slide import encoder_name
from tests.slide2vecmaker import write_slide2vec

WEIGHTS = {"weights": "file"}


def name(tool: str, dim: int, **values: Any) -> str:
    return encoder_name(PatchEncoderConfig(**values), tool, dim)


@pytest.mark.parametrize("encoder", presets())
def test_a_published_encoder_has_trident_s_name_there_and_its_own_elsewhere(encoder: str):
    row = presets()[encoder]
    given = {"encoder": encoder, **WEIGHTS}
    assert name("trident", row.width, **given) == (row.trident or encoder)
    assert name("stamp", row.width, **given) == encoder


@pytest.mark.parametrize(
    "changed",
    [
        {"weights": None, "random": 1},
        {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)},
        {"pooling": "mean"},
        {"input_px": 448},
        {"resize_px": 256, "input_px": 224},
        {"interpolation": "bicubic"},
        {"encoder_args": {"depth": 2}},
    ],
)
def test_what_departs_from_the_card_is_not_what_trident_has_under_the_name(changed: dict):
    assert name("trident", 1536, encoder="uni2-h", **WEIGHTS) == "uni_v2"
    assert name("trident", 1536, **{"encoder": "uni2-h", **WEIGHTS, **changed}) == "uni2-h"


def test_midnight_s_cls_token_has_trident_s_name_and_its_card_s_vector_has_not():
    """TRIDENT's midnight12k is 1536 wide unless it is told otherwise."""
    assert name("trident", 1536, encoder="midnight-cls", **WEIGHTS) == "midnight12k"
    assert name("trident", 3072, encoder="midnight", **WEIGHTS) == "midnight"
    assert name("trident", 1536, encoder="midnight", **WEIGHTS, pooling="cls") == "midnight"


def test_other_networks_keep_their_names():
    assert name("trident", 384, **WEIGHTS) == "hipt"
    own = "python:my_package.module:build"
    assert name("trident", 8, encoder=own) == "python_my_package.module_build"


@pytest.mark.parametrize(
    ("folder", "dim", "trident", "stamp"),
    [
        ("features_uni_v2", 1536, "uni_v2", "uni2-h"),
        ("features_uni2-h", 1536, "uni_v2", "uni2-h"),
        ("features_uni_v2", 99, "uni_v2", "uni_v2"),
        ("features_conch_v15", 768, "conch_v15", "conch_v15"),
        ("features_midnight12k", 1536, "midnight12k", "midnight-cls"),
        ("features_midnight12k", 3072, "midnight12k", "midnight12k"),  # if TRIDENT was told so
    ],
)
def test_imported_features_of_trident(
    tmp_path: Path, folder: str, dim: int, trident: str, stamp: str
):
    (tmp_path / folder).mkdir()
    given = {"features": str(tmp_path / folder)}
    assert (name("trident", dim, **given), name("stamp", dim, **given)) == (trident, stamp)


def test_slide2vec_s_name_becomes_trident_s(tmp_path: Path):
    write_slide2vec(tmp_path, "a", np.ones((1, 1536), np.float32), np.zeros((1, 2)), 128)
    given = {"features": str(tmp_path)}
    assert (name("trident", 1536, **given), name("stamp", 1536, **given)) == ("uni_v2", "uni2-h")
