"""A small cohort that steps are called on, one after the other, without Snakemake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hipt.cohort.ledger import read_ledger, updated, write_ledger
from hipt.cohort.sheet import read_sheet
from hipt.config.config import Config
from hipt.config.step_settings import settings
from hipt.layout import Results
from hipt.steps import attend, embed_patches, embed_regions, segment, slides, tile
from hipt.store.schemas import INDICES
from hipt.store.tables import read_table

SHAPE = {"depth": 1, "dim": 16, "heads": 2}


class Chain:
    """The steps of one batch, called as their rules call them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results = Results(folder / "results")
        self.values: dict[str, Any] = {
            "slides": {"sheet": str(folder / "slides.csv")},
            "tile": {"region_px": 256, "patch_px": 64},
            "embed": {
                "precision": "fp32",
                "patches": {"shape": SHAPE, "random": 1},
                "regions": {"shape": SHAPE, "random": 2},
            },
        }

    def sheet(self, text: str) -> None:
        """Write the sheet, and the ledger with one batch of all its slides."""
        (self.folder / "slides.csv").write_text(text)
        digests = {row.slide_id: row.digest() for row in read_sheet(self.folder / "slides.csv")}
        ledger = updated(read_ledger(self.results.batches), digests, 16)
        write_ledger(self.results.batches, ledger)

    def call(self, step: str, *more: str) -> dict[str, dict[str, Any]]:
        """One step, with further arguments; its index's rows by slide."""
        cfg = settings(step, Config.model_validate(self.values)).model_dump_json()
        out = self.results.index(step, "b0000")
        common = ["--cfg", cfg, "--out", str(out)]
        index = {name: str(self.results.index(name, "b0000")) for name in INDICES}
        match step:
            case "segment":
                segment.main(common)
            case "tile":
                tile.main(["--segment", index["segment"], *common])
            case "embed_patches":
                embed_patches.main(["--tile", index["tile"], "--threads", "2", *common, *more])
            case "embed_regions":
                embed_regions.main(["--patches", index["embed_patches"], *common, *more])
            case "attend":
                attend.main(["--regions", index["embed_regions"], *common])
        return {row["slide_id"]: row for row in read_table(out, INDICES[step]).to_pylist()}

    def upto(self, last: str) -> dict[str, dict[str, Any]]:
        """The steps up to one; the index of that one."""
        for step in INDICES:
            rows = self.call(step)
            if step == last:
                return rows
        raise KeyError(last)

    def table(self) -> dict[str, dict[str, Any]]:
        """The slide table's rows by slide."""
        cfg = json.dumps(
            {"sheet": self.values["slides"]["sheet"], "root": None, "case_from": "column"}
        )
        slides.main(["--cfg", cfg, "--out", str(self.results.slides)])
        return {row["slide_id"]: row for row in read_table(self.results.slides).to_pylist()}


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    """An empty folder to work in."""
    return Chain(tmp_path)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cohort with fitted tasks, made once; tests work on copies of it."""
    from tests.steps.mapped import make

    folder = tmp_path_factory.mktemp("mapped")
    make(folder)
    return folder
