"""Numbers that are none never become a slide's vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hipt.config.config import ViTShape
from hipt.embedding.embedder import PatchEmbedder
from hipt.embedding.weights_files import write_weights
from hipt.errors import SlideError
from hipt.nn.vit import vit256, vit4096
from hipt.steps import embed_patches
from hipt.store.finite import Broken
from tests.slidemaker import tissue_picture, write_slide
from tests.steps.conftest import SHAPE, Chain


@pytest.fixture
def cohort(tmp_path: Path) -> Chain:
    chain = Chain(tmp_path)
    for seed, name in enumerate("ab"):
        write_slide(chain.folder / f"{name}.svs", tissue_picture(768, 512, seed))
    chain.sheet("slide_id,path\na,a.svs\nb,b.svs\n")
    chain.upto("tile")
    return chain


def weights(path: Path, network: torch.nn.Module, scale: float) -> dict[str, Any]:
    """A section with weights whose last norm is scaled, so that every vector is."""
    with torch.no_grad():
        network.norm.weight.mul_(scale)
    write_weights(path, network.state_dict(), {})
    return {"shape": SHAPE, "weights": str(path)}


@pytest.mark.parametrize(
    ("value", "kind"), [(1e5, "numbers beyond 65504 (float16)"), (float("nan"), "nan")]
)
def test_a_slide_with_such_a_vector_fails_alone(
    cohort: Chain, monkeypatch: pytest.MonkeyPatch, value: float, kind: str
):
    write, vectors, at_work = embed_patches._write, PatchEmbedder.vectors, []

    def watched(work: Any, *more: Any) -> None:
        at_work.append(work.row["slide_id"])
        write(work, *more)

    def broken(self: PatchEmbedder, pixels: torch.Tensor) -> torch.Tensor:
        found = vectors(self, pixels).clone()
        if at_work[-1] == "b":
            found[3, 2] = found[7, 0] = value
        return found

    monkeypatch.setattr(embed_patches, "_write", watched)
    monkeypatch.setattr(PatchEmbedder, "vectors", broken)
    rows = cohort.call("embed_patches")
    assert [row["status"] for row in rows.values()] == ["ok", "failed"]
    regions = rows["a"]["regions"]
    assert rows["b"]["reason"].startswith(
        f"2 of its {16 * regions} vectors cannot be used: 2 with {kind}; "
        "the first is patch 3 of region 0. See to the weights, and try embed.precision: fp32"
    )
    assert not cohort.results.shard("embed_patches", "b").exists()


@pytest.mark.parametrize(
    ("scale", "kind"), [(1e7, "numbers beyond 65504 (float16)"), (float("nan"), "nan")]
)
def test_weights_that_give_no_numbers(cohort: Chain, scale: float, kind: str):
    section = weights(cohort.folder / "w.safetensors", vit256(ViTShape(**SHAPE)), scale)
    cohort.values["embed"]["patches"] = section
    rows = cohort.call("embed_patches")
    assert {row["status"] for row in rows.values()} == {"failed"}
    assert f"with {kind}; the first is patch 0 of region 0" in rows["a"]["reason"]


@pytest.mark.parametrize("scale", [float("inf"), float("nan")])
def test_region_weights_that_give_no_numbers(cohort: Chain, scale: float):
    rows = cohort.call("embed_patches")
    section = weights(cohort.folder / "w.safetensors", vit4096(ViTShape(**SHAPE), 16), scale)
    cohort.values["embed"]["regions"] = section
    rows = cohort.call("embed_regions")
    assert {row["status"] for row in rows.values()} == {"failed"}
    count = cohort.call("embed_patches")["a"]["regions"]
    assert rows["a"]["reason"].startswith(
        f"{count} of its {count} vectors cannot be used: {count} with "
    )
    assert "; the first is region 0. See to" in rows["a"]["reason"]
    assert not cohort.results.shard("embed_regions", "a").exists()


def test_both_kinds_are_counted_once_each():
    broken = Broken()
    broken.add(np.ones((4, 3), np.float16), 0)
    values = np.ones((4, 3), np.float16)
    values[1, 0], values[1, 1], values[2, 2] = np.nan, np.inf, -np.inf
    broken.add(values, 5)
    with pytest.raises(SlideError) as error:
        broken.refuse("65504 (float16)", "region", "patch")
    assert error.value.status == "failed"
    assert str(error.value).startswith(
        "2 of its 8 vectors cannot be used: 1 with nan and 1 with numbers beyond 65504 (float16); "
        "the first is patch 1 of region 5"
    )


def test_the_largest_number_of_float16_is_one():
    broken = Broken()
    broken.add(np.full((2, 3), 65504, np.float16), 0)
    assert (broken.vectors, broken.nan, broken.infinite, broken.first) == (2, 0, 0, None)
    broken.refuse("65504 (float16)", "region", "patch")
