"""The plan of a run: what it holds, what it says, what it refuses."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hipt.errors import HiptError
from hipt.planning.start import remember
from tests.planning.conftest import SHEET, Run

GRADE = {"kind": "classification", "label": "grade", "folds": 2}
NEW = "e,e.svs,five,south,low\n"


def test_slides_are_in_batches(run: Run):
    plan = run.plan()
    assert [row.slide_id for row in plan.rows] == ["a", "b", "c", "d"]
    assert plan.batches == ["b0000", "b0001"]
    assert {batch: list(slides) for batch, slides in plan.members.items()} == {
        "b0000": ["a", "b"],
        "b0001": ["c", "d"],
    }
    assert plan.results.root == run.results
    assert plan.weights == {"embed_patches": "random:1", "embed_regions": "random:2"}
    assert (plan.trained, plan.features, plan.probed, plan.mapped) == ({}, None, False, {})
    assert run.messages == []


def test_a_plan_writes_nothing(run: Run):
    run.plan(tasks={"t": GRADE}, attend={"slides": "all"})
    assert [path.name for path in run.folder.iterdir()] == ["slides.csv"]


def test_a_new_slide_forms_a_batch_and_a_batch_without_slides_is_left(run: Run):
    remember(run.plan())
    run.sheet("".join(line for line in SHEET.splitlines(True) if line[0] not in "ab") + NEW)
    plan = run.plan()
    assert plan.batches == ["b0001", "b0002"]
    assert list(plan.members) == ["b0000", "b0001", "b0002"]


def test_a_job_takes_the_digests_that_the_run_wrote_down(run: Run):
    remember(run.plan())
    before = run.plan().ledger
    (run.folder / "a.svs").write_text("a slide at last")
    assert run.plan_of_job().ledger == before
    after = run.plan().ledger.digest_of
    assert [name for name in after if after[name] != before.digest_of[name]] == ["a"]


def test_batches_with_heatmaps(run: Run):
    assert run.plan(attend={"slides": "all"}).mapped == {"b0000": ["a", "b"], "b0001": ["c", "d"]}
    assert run.plan(attend={"slides": ["d", "b"]}).mapped == {"b0000": ["b"], "b0001": ["d"]}
    assert run.plan(attend={"slides": ["d"]}).mapped == {"b0001": ["d"]}


def test_models_that_are_trained_here(run: Run):
    embed = {"patches": {"weights": "pretrain"}, "regions": {"random": 2}}
    plan = run.plan(embed=embed)
    model = run.results / "models" / "vit256.safetensors"
    assert plan.trained == {"patches": model}
    assert plan.config.embed.patches.weights == str(model)
    assert plan.written.embed.patches.weights == "pretrain"
    assert plan.weights == {"embed_patches": "pretrain", "embed_regions": "random:2"}


def test_imported_features(run: Run):
    folder = run.folder / "features_uni"
    folder.mkdir()
    plan = run.plan(embed={"patches": {"features": str(folder)}, "regions": {"random": 2}})
    assert plan.features is not None
    assert plan.features.folder == folder
    assert plan.weights["embed_patches"] == "imported:uni"


def test_what_the_main_process_says_once(run: Run):
    (run.folder / "m.png").touch()
    head, first, *rest = SHEET.splitlines()
    lines = [f"{head},mask", f"{first},m.png", *(f"{line},gone.png" for line in rest)]
    run.sheet("\n".join(lines))
    run.plan(tasks={"t": GRADE})
    (level, masks), (_, task) = run.messages
    assert level == logging.WARNING
    assert masks.startswith("3 of 4 masks are not there")
    assert task.startswith("tasks.t: 4 of 4 slides have a label")


def test_slides_that_left_a_folder_are_a_remark(run: Run):
    slides = run.folder / "slides"
    slides.mkdir()
    for name in "ab":
        (slides / f"{name}.svs").touch()
    remember(run.plan(slides={"sheet": str(slides)}))
    (slides / "b.svs").unlink()
    run.plan(slides={"sheet": str(slides)})
    ((level, text),) = run.messages
    assert level == logging.INFO
    assert text.startswith(f"{slides}: slides of earlier runs that are not in the folder any more")


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "key": ({"tile": {"min_tisue": 1}}, "config: unknown key 'tile.min_tisue'"),
    "sheet": ({"slides": {"sheet": "none.csv"}}, r"none\.csv: no such sheet or folder"),
    "column": ({"probe": {"column": "stage"}}, "probe.column: the sheet has no column 'stage'"),
    "slides": ({"attend": {"slides": ["x"]}}, "attend.slides: the sheet has no slide 'x'"),
    "weights": ({"embed": {"patches": {}}}, "embed.patches: neither weights nor random is given"),
    "file": ({"embed": {"patches": {"weights": "x.pth"}}}, "no such weights file"),
    "features": ({"embed": {"patches": {"features": "none"}}}, "none: no such folder"),
}
LATER: dict[str, tuple[dict[str, Any], str]] = {
    "task": ({"tasks": {"t": GRADE | {"label": "gade"}}}, "column 'gade' is missing"),
    "corpus": (
        {
            "embed": {"patches": {"weights": "pretrain"}, "regions": {"random": 1}},
            "pretrain": {"patches": {"corpus": "grade=none"}},
        },
        "no slide has this value",
    ),
}
"""What only the main process looks at."""


@pytest.mark.parametrize("name", [*REFUSED, *LATER])
def test_what_is_wrong_is_refused_before_any_job(run: Run, name: str):
    sections, sentence = (REFUSED | LATER)[name]
    with pytest.raises(HiptError, match=sentence):
        run.plan(**sections)
    if name in REFUSED:
        with pytest.raises(HiptError, match=sentence):
            run.plan_of_job(**sections)
    else:
        assert run.plan_of_job(**sections).batches == ["b0000", "b0001"]


def test_masks_none_of_which_is_there(run: Run):
    run.sheet("slide_id,path,mask\na,a.svs,m.png\n")
    with pytest.raises(HiptError, match="none of the sheet's 1 masks is there"):
        run.plan()
    assert run.plan_of_job().batches == ["b0000"]


def test_every_job_reads_the_plan_so_it_is_light():
    code = "import sys, hipt.planning.requested, hipt.planning.revisions, hipt.planning.start\n"
    code += "print({'numpy', 'pyarrow', 'polars', 'torch', 'timm'} & set(sys.modules))"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
