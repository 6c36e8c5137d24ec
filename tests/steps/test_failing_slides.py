"""No slide ends its batch: whatever raises in its work, the others are as without it."""

from __future__ import annotations

import pkgutil
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hipt.cohort.batch_run import BatchRun
from hipt.errors import HiptError
from hipt.slides.region_reader import RegionReader
from hipt.slides.slide import Slide
from hipt.store.schemas import INDICES
from tests.slidemaker import tissue_picture, write_slide
from tests.steps.conftest import Chain

BAD, GOOD = "b", ("a", "c")

STAGES = {
    "segment": (
        *(
            "hipt.steps.segment.slide_or_features",
            "hipt.slides.slide._info",
            "hipt.steps.segment._header",
        ),
        *("hipt.steps.segment.slide_mpp", "hipt.steps.segment.slide_identity"),
        *("hipt.slides.slide.Slide.thumbnail", "hipt.slides.slide.Slide.close"),
        *("hipt.steps.segment.find_tissue", "hipt.steps.segment.tissue_mm2"),
        *("hipt.steps.segment.contours", "hipt.steps.segment.draw_contours"),
        *("hipt.steps.segment.write_jpeg", "hipt.steps.segment.write_contours"),
        "hipt.steps.segment.write_mask",
    ),
    "tile": (
        *("hipt.steps.tile.slide_plan", "hipt.steps.tile.read_mask", "hipt.steps.tile.region_grid"),
        *("hipt.steps.tile._facts", "hipt.steps.tile.read_rgb", "hipt.steps.tile.draw_grid"),
        *("hipt.steps.tile.write_jpeg", "hipt.steps.tile.write_table"),
    ),
    "embed_patches": (
        *("hipt.steps.embed_patches.read_table", "hipt.steps.embed_patches.read_plan"),
        *("hipt.slides.direct.Opener.__call__", "hipt.slides.region_reader.RegionReader._submit"),
        *("hipt.slides.region_reader._read_block", "hipt.slides.direct.DirectSlide.read_patches"),
        *(
            "hipt.slides.direct.DirectSlide.reader_of",
            "hipt.embedding.embedder.PatchEmbedder.vectors",
        ),
        *("hipt.steps.embed_patches.patch_embeddings_writer", "hipt.steps.embed_patches.vectors"),
        "hipt.store.checksums.ChecksumWriter.write_batch",
        *("hipt.steps.embed_patches._refuse_another_slide", "hipt.steps.embed_patches._counted"),
        *("hipt.steps.embed_patches.read_provenance", "hipt.steps.embed_patches.PatchEmbeddings"),
    ),
    "embed_regions": (
        *("hipt.steps.embed_regions.PatchEmbeddings", "hipt.steps.embed_regions._Embedder._embed"),
        *("hipt.steps.embed_regions.vectors", "hipt.steps.embed_regions.write_table"),
    ),
    "attend": (
        *("hipt.steps.attend.read_table", "hipt.steps.attend.lattice"),
        *("hipt.steps.attend.PatchEmbeddings", "hipt.steps.attend.window_attention"),
        *("hipt.steps.attend.draw", "hipt.steps.attend.cell_maps", "hipt.steps.attend.draw_closer"),
        "hipt.steps.attend.write_maps",
    ),
}

AFTER = {
    "hipt.slides.slide.Slide.close",
    "hipt.steps.embed_patches._counted",
    "hipt.steps.embed_patches.PatchEmbeddings",
}
"""What comes after the slide's file was written whole."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Three slides through every step, with no trouble."""
    chain = Chain(tmp_path_factory.mktemp("undisturbed"))
    for seed, name in enumerate("abc"):
        write_slide(chain.folder / f"{name}.svs", tissue_picture(1024, 768, seed))
    chain.sheet("slide_id,path\na,a.svs\nb,b.svs\nc,c.svs\n")
    chain.values |= {"attend": {"cells": 1, "slides": "all"}}
    chain.upto("attend")
    return chain


def copied(undisturbed: Chain, folder: Path, before: str) -> Chain:
    """The same cohort, up to a step."""
    shutil.copytree(undisturbed.folder, folder, dirs_exist_ok=True)
    chain = Chain(folder)
    chain.values = {**undisturbed.values, "slides": {"sheet": str(folder / "slides.csv")}}
    for step in list(INDICES)[list(INDICES).index(before) :]:
        shutil.rmtree(chain.results.root / step, ignore_errors=True)
    return chain


def files(chain: Chain, step: str, slide_id: str) -> dict[str, bytes]:
    """A step's files of a slide."""
    folder = chain.results.root / step
    result = [*folder.glob(f"{slide_id}.*"), *(folder / slide_id).rglob("*")]
    named = {str(path.relative_to(folder)): path for path in result if path.is_file()}
    return {name: path.read_bytes() for name, path in named.items()}


class Fault:
    """Makes a function raise when it is called for the bad slide, and not for others."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
        self.patch, self.error, self.raised, self.at_work = monkeypatch, error, 0, ""
        slide = BatchRun.slide

        @contextmanager
        def watched(run: BatchRun, slide_id: str) -> Iterator[Any]:
            self.at_work = slide_id
            with slide(run, slide_id) as facts:
                yield facts

        monkeypatch.setattr(BatchRun, "slide", watched)

    def put(self, target: str) -> None:
        original: Callable[..., Any] = pkgutil.resolve_name(target)

        def broken(*args: Any, **kwargs: Any) -> Any:
            if self.about(args) == BAD:
                self.raised += 1
                raise self.error
            return original(*args, **kwargs)

        self.patch.setattr(target, broken)

    def about(self, args: tuple[Any, ...]) -> str:
        """The slide that a call is about: its arguments say, else it is the one at work."""
        for one in args:
            if isinstance(one, Slide):
                return one.path.stem
            if isinstance(one, Path) and one.stem in (BAD, *GOOD):
                return one.stem
            if isinstance(one, dict) and "slide_id" in one:
                return str(one["slide_id"])
            if not isinstance(one, RegionReader) and hasattr(one, "slide_id"):
                return str(one.slide_id)
        return self.at_work


@pytest.mark.parametrize(
    ("step", "target"), [(step, target) for step, targets in STAGES.items() for target in targets]
)
def test_a_stage_that_raises_costs_its_slide_alone(
    undisturbed: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, target: str
):
    chain = copied(undisturbed, tmp_path / "p", step)
    fault = Fault(monkeypatch, ZeroDivisionError("nobody foresaw\nthis at <x object at 0x7f01ab>"))
    fault.put(target)
    rows = chain.call(step)
    assert fault.raised
    trace = chain.results.traceback(step, BAD)
    assert [rows[name]["status"] for name in "abc"] == ["ok", "failed", "ok"]
    assert rows[BAD]["reason"] == (
        "ZeroDivisionError: nobody foresaw this at <x object at 0x...> "
        f"(traceback: {trace}; to try it again: snakemake --forcerun "
        f"{chain.results.index(step, 'b0000')})"
    )
    assert trace.read_text().startswith("Traceback (most recent call last):")
    assert trace.read_text().endswith("this at <x object at 0x7f01ab>\n")
    for name in GOOD:
        assert files(chain, step, name) == files(undisturbed, step, name) != {}
    shard = chain.results.shard(step, BAD)
    assert shard.exists() == (target in AFTER)
    assert not list(shard.parent.glob(".*part*"))
    monkeypatch.undo()
    again = chain.call(step)  # as a forced run does
    assert again[BAD]["status"] == "ok"
    assert not trace.exists()
    assert files(chain, step, BAD) == files(undisturbed, step, BAD)


def test_a_failed_slide_goes_no_further_and_is_in_the_table(
    undisturbed: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    chain = copied(undisturbed, tmp_path / "p", "tile")
    Fault(monkeypatch, ValueError("need at least one array to concatenate")).put(
        "hipt.steps.tile.region_grid"
    )
    for step in ("tile", "embed_patches", "embed_regions", "attend"):
        rows = chain.call(step)
        assert [rows[name]["status"] for name in "abc"] == ["ok", "failed", "ok"]
    row = chain.table()[BAD]
    assert row["status"] == "failed"
    assert row["reason"].startswith("ValueError: need at least one array to concatenate (traceback")


@pytest.mark.parametrize(("step", "target"), [("tile", "region_grid"), ("embed_patches", "_write")])
def test_stop_ends_the_job_with_the_error_itself(
    undisturbed: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, target: str
):
    chain = copied(undisturbed, tmp_path / "p", step)
    chain.values["slides"]["on_slide_error"] = "stop"
    Fault(monkeypatch, IndexError("off")).put(f"hipt.steps.{step}.{target}")
    with pytest.raises(IndexError, match="off") as error:
        chain.call(step)
    assert error.value.__notes__ == ["slide b: failed (slides.on_slide_error is 'stop')"]
    assert not chain.results.index(step, "b0000").exists()


@pytest.mark.parametrize("step", ["embed_regions", "attend"])
def test_weights_that_cannot_be_loaded_are_no_slides_fault(
    undisturbed: Chain, tmp_path: Path, step: str
):
    chain = copied(undisturbed, tmp_path / "p", step)
    wrong = tmp_path / "wrong.safetensors"
    wrong.write_bytes(b"no weights")
    chain.values["embed"] = {
        **chain.values["embed"],
        "regions": {**chain.values["embed"]["regions"], "random": None, "weights": str(wrong)},
    }
    with pytest.raises(HiptError, match=r"wrong\.safetensors"):
        chain.call(step)


class MuteError(Exception):
    """An error that raises when it is asked for its text."""

    def __str__(self) -> str:
        raise TypeError("no text")


def for_itself() -> Exception:
    error = RuntimeError("round and round")
    error.__cause__ = error
    return error


ODD = {
    r"ValueError: 100% of {slides} at %s, C:\d\n, <b>, gr\udce9": ValueError(
        "100% of {slides} at %s, C:\\d\\n, <b>, gr\udce9"  # a name that is no UTF-8
    ),
    "MuteError": MuteError(),
    "RuntimeError: round and round": for_itself(),
}


@pytest.mark.parametrize("line", ODD)
def test_odd_errors_cost_their_slide_alone_too(
    undisturbed: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
):
    chain = copied(undisturbed, tmp_path / "p", "tile")
    Fault(monkeypatch, ODD[line]).put("hipt.steps.tile.region_grid")
    rows = chain.call("tile")
    assert [rows[name]["status"] for name in "abc"] == ["ok", "failed", "ok"]
    assert rows[BAD]["reason"].startswith(f"{line} (traceback: ")
    assert chain.results.traceback("tile", BAD).read_text(encoding="utf-8").startswith("Traceback")
