"""Labels outside of tasks: of slides and of pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hipt.errors import HiptError
from tests.planning.conftest import Run


def maps(folder: Path, *slides: str) -> str:
    folder.mkdir(exist_ok=True)
    for name in slides:
        (folder / f"{name}.png").touch()
    return str(folder)


def test_a_column_and_maps(run: Run):
    seen, target = run.folder / "seen", run.folder / "target"
    probe = {"column": "grade", "labels": maps(seen, "c", "a", "stranger")}
    plan = run.plan(probe=probe, attend={"labels": maps(target, "b"), "target": [2]})
    assert plan.labels.of_slide == {"a": "high", "b": "low", "c": "high", "d": "low"}
    assert plan.labels.probe_maps == [seen / "a.png", seen / "c.png"]
    assert plan.labels.target_maps == [target / "b.png"]
    assert plan.probed


def test_nothing_is_named(run: Run):
    labels = run.plan().labels
    assert (labels.of_slide, labels.probe_maps, labels.target_maps) == ({}, [], [])


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        ({"probe": {"labels": "none"}}, "probe.labels: none has no label map of any slide"),
        ({"attend": {"labels": "none", "target": [1]}}, "attend.labels: none has no label map"),
        ({"attend": {"target": [1]}}, "attend.labels and attend.target go together"),
        ({"attend": {"slides": ["A"]}}, "attend.slides: the sheet has no slide 'A'"),
    ],
)
def test_labels_that_are_not_there(run: Run, sections: dict[str, Any], sentence: str):
    with pytest.raises(HiptError, match=sentence):
        run.plan_of_job(**sections)
