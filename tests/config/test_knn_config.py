"""The section `knn`: its sentences, which tasks it asks, and who hears of a change."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from hipt.config.config import Config
from hipt.config.section import parse
from hipt.config.step_settings import task_settings
from hipt.errors import HiptError

OF_TASK = ("split", "fit", "evaluate", "knn")
TASK = {"kind": "classification", "label": "grade"}
TASKS = {
    "a": TASK,
    "s": {"kind": "survival", "time": "months", "event": "dead"},
    "f": TASK | {"features": "x.parquet"},
}


@pytest.mark.parametrize(
    ("key", "value", "heard"),
    [
        ("k", 3, {"knn"}),
        ("distances", ["cosine"], {"knn"}),
        ("levels", ["patch"], {"knn"}),
        ("tasks", [], set()),
    ],
)
def test_a_changed_key_of_knn_reaches_its_step(key: str, value: Any, heard: set[str]):
    def settings_with(**knn: Any) -> dict[str, Any]:
        config = parse(Config, {"tasks": {"t": TASK}, "knn": knn}, "x")
        return {step: task_settings(step, config, "t") for step in OF_TASK}

    before, after = settings_with(), settings_with(**{key: value})
    assert {step for step in OF_TASK if before[step] != after[step]} == heard


KNN_SENTENCES = {
    "{tasks: [b]}": "knn.tasks: there is no task 'b' (found: a, s, f)",
    "{tasks: [a, s]}": (
        "knn.tasks: neighbours vote on classes, and 's' is a survival task; leave it out"
    ),
    "{levels: [region, patch]}": (
        "knn.levels: patch needs the workflow's own embeddings, and 'f' takes a file; leave patch "
        "out, or the task by knn.tasks"
    ),
    "{levels: []}": "knn: levels must have at least one entry, each once",
    "{distances: [cosine, cosine]}": "knn: distances must have at least one entry, each once",
    "{distances: [manhattan]}": ("knn.distances: must be 'euclidean' or 'cosine', got 'manhattan'"),
    "{k: 0}": "knn.k: must be greater than or equal to 1, got 0",
}


@pytest.mark.parametrize("knn", KNN_SENTENCES)
def test_wrong_neighbours_are_refused_in_a_sentence(knn: str):
    with pytest.raises(HiptError) as error:
        parse(Config, {"tasks": TASKS, "knn": yaml.safe_load(knn)}, "x")
    assert str(error.value) == f"x: {KNN_SENTENCES[knn]}"


def test_neighbours_vote_in_classifications_unless_tasks_are_named():
    classifications = [
        parse(Config, {"tasks": TASKS, "knn": knn}, "x").knn_tasks
        for knn in ({}, {"tasks": ["f", "a"]}, {"tasks": ["a"], "levels": ["patch"]}, {"tasks": []})
    ]
    assert classifications == [("a", "f"), ("a", "f"), ("a",), ()]
