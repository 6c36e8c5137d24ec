"""Results of a small cohort, copied away from their slides."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import hipt
from hipt.heatmaps.table import SlideMaps, read_maps, write_maps
from hipt.notebook.opened import OpenedResults
from hipt.store.shard import read_provenance
from tests.once import made_once
from tests.slidemaker import GLASS, tissue_picture, write_slide
from tests.steps.conftest import Chain
from tests.taskmaker import classes, survival

SIGNED = "subtype.hipt.contribution"
HOSTILE = "<img src=x onerror=alert(1)>.svs"
"""A file's name that a page must not obey; the slide's reason has it."""


def make(folder: Path) -> None:
    """Two slides in order, one of glass, one that is not there; tasks of other slides."""
    chain = Chain(folder)
    for i, name in enumerate(("s0", "s1")):
        write_slide(folder / f"{name}.svs", tissue_picture(768, 512, seed=i))
    write_slide(folder / "glass.svs", np.full((512, 768, 3), GLASS, np.uint8))
    names = {"s0": "s0.svs", "s1": "s1.svs", "glass": "glass.svs", "gone": HOSTILE}
    chain.sheet("slide_id,path\n" + "".join(f"{s},{file}\n" for s, file in names.items()))
    chain.upto("attend")
    chain.table()
    shard = chain.results.shard("attend", "s0")
    maps = read_maps(shard)
    signed = np.linspace(-1, 2, len(maps.attention), dtype=np.float32)
    more, ends = {**maps.maps, SIGNED: signed}, {SIGNED: ("first", "second")}
    more_maps = SlideMaps("s0", maps.manifest, maps.attention, more, ends)
    write_maps(shard, more_maps, read_provenance(shard))
    classes(chain.results.root, "subtype", ("a", "b"), {"linear": 0.5, "hipt": 2.0})
    survival(chain.results.root, "death", {"linear": 1.0}, folds=2)


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with slides and results; tests read it."""
    return made_once(tmp_path_factory, "notebook", make)


@pytest.fixture
def folder(cohort: Path, tmp_path: Path) -> Path:
    """A copy of the results alone, in a folder whose name is no plain word."""
    return shutil.copytree(cohort / "results", tmp_path / "the results [copy]")


@pytest.fixture
def opened(folder: Path) -> OpenedResults:
    return hipt.open(folder)
