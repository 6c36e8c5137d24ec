"""What reruns which step, beside its settings: changed rows, files, weights and versions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hipt.planning import revisions
from hipt.planning.plan import Plan
from hipt.registry import COMMANDS
from tests.planning.conftest import SHEET, Run

SECTIONS: dict[str, Any] = {
    "tasks": {"t": {"kind": "classification", "label": "grade", "folds": 2}},
    "probe": {"column": "grade"},
    "attend": {"slides": "all"},
}


Compared = dict[str, Any]


def all_of(plan: Plan) -> Compared:
    """Everything that Snakemake compares, by step, and by batch where there is one."""
    found: Compared = {
        "slides": revisions.of_slides(plan),
        "probe": revisions.of_probe(plan),
        "split": revisions.of_split(plan, "t"),
        "export": revisions.of_export(plan),
    }
    for step in ("embed_patches", "embed_regions", "attend", "report"):
        found[step] = revisions.revision(plan, step)
    for batch in plan.batches:
        found[f"segment {batch}"] = revisions.of_segment(plan, batch)
        found[f"tile {batch}"] = revisions.of_tile(plan, batch)
        found[f"maps {batch}"] = revisions.mapped(plan, batch)
    return found


def changed(before: Compared, plan: Plan) -> set[str]:
    after = all_of(plan)
    return {name for name in before | after if before.get(name) != after.get(name)}


@pytest.fixture
def before(run: Run) -> Compared:
    return all_of(run.plan(**SECTIONS))


ROWS = {
    "label": ("two,north,low", "two,north,high", {"probe", "split", "export"}),
    "site": ("two,north", "two,east", {"slides", "split"}),
    "case": ("b.svs,two", "b.svs,nine", {"slides", "probe", "split", "export"}),
    "path": ("b.svs", "other.svs", {"slides", "segment b0000"}),
}


@pytest.mark.parametrize("cell", ROWS)
def test_a_cell_of_the_sheet_reruns_what_reads_it(run: Run, before: Compared, cell: str):
    old, new, steps = ROWS[cell]
    run.sheet(SHEET.replace(old, new))
    assert changed(before, run.plan_of_job(**SECTIONS)) == steps


def test_a_slides_file_reruns_its_batch(run: Run, before: Compared):
    (run.folder / "d.svs").write_text("pixels")
    assert changed(before, run.plan(**SECTIONS)) == {"segment b0001"}


def test_fewer_heatmaps_rerun_their_batch(run: Run, before: Compared):
    fewer = run.plan(**SECTIONS | {"attend": {"slides": ["a", "b", "c"]}})
    assert changed(before, fewer) == {"maps b0001"}


def test_other_weights_rerun_their_stage(run: Run, before: Compared):
    other = run.plan(**SECTIONS, embed={"patches": {"random": 1}, "regions": {"random": 7}})
    assert changed(before, other) == {"embed_regions"}


@pytest.mark.parametrize("there", [True, False])
def test_imported_features_are_files_of_tile_and_stand_for_slides(run: Run, there: bool):
    """Where a slide is not there, segment reads what they say of it."""
    if there:
        (run.folder / "c.svs").write_text("slide")
    folder = run.folder / "features_uni"
    folder.mkdir()
    embed = {"patches": {"features": str(folder)}, "regions": {"random": 2}}
    without = all_of(run.plan(**SECTIONS, embed=embed))
    (folder / "c.h5").write_text("vectors")
    steps = {"tile b0001"} if there else {"segment b0001", "tile b0001"}
    assert changed(without, run.plan(**SECTIONS, embed=embed)) == steps


OWN = {"input_px": 224, "mean": [0.5] * 3, "std": [0.5] * 3}


@pytest.mark.parametrize(
    ("patches", "software"),
    [({"encoder": "resnet18"}, {"timm"}), ({"encoder": "resnet18"} | OWN, set()), ({}, set())],
    ids=["timm says it", "the config says it", "hipt"],
)
def test_timm_counts_where_it_says_what_the_network_takes(
    run: Run, patches: dict[str, Any], software: set[str]
):
    plan = run.plan(embed={"patches": patches | {"random": 1}, "regions": {"random": 2}})
    found = revisions.revision(plan, "embed_patches")
    assert found["weights"] == "random:1"
    assert found.keys() == {"version", "weights"} | software


def test_a_raised_version_reruns_its_step(
    run: Run, before: Compared, monkeypatch: pytest.MonkeyPatch
):
    step = COMMANDS["split"]
    monkeypatch.setitem(COMMANDS, "split", replace(step, version=step.version + 1))
    plan = run.plan(**SECTIONS)
    assert changed(before, plan) == {"split"}
    assert all_of(plan)["split"]["version"] == step.version + 1


def test_nothing_grows_with_the_sheet(run: Run, before: Compared):
    rows = "".join(f"x{i},x{i}.svs,x{i},north,high\n" for i in range(200))
    run.sheet(SHEET + rows)
    many = run.plan(**SECTIONS, slides={"batch_size": 500})
    assert {name: len(str(value)) for name, value in all_of(many).items()}.items() <= {
        name: len(str(value)) for name, value in before.items()
    }.items()
