"""Which steps hear of a task's keys, and the sentence for each mistake in one."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from hipt.config.config import Config
from hipt.config.section import parse
from hipt.config.step_settings import task_settings
from tests.config.test_config import OF_TASK, sentence

TASK = {"kind": "classification", "label": "grade"}
READ_OF_TASK = {
    **{"classes": ("a", "b"), "unit": "case", "folds": 3, "validation": 0.2, "labels": "x.csv"},
    **{"split": "site", "seed": 9, "features": "x.parquet", "resamples": 500},
    **{"fit": {"epochs": 3}, "models": ["linear"], "train_fractions": [0.5]},
    "published": {"knn": {0.5: [0.8, 0.1]}},
    "fit_of": {"hipt": {"batch": 8}},
}
HEARD = {
    **{key: {"split"} for key in READ_OF_TASK},
    **{"split": {"split", "fit"}, "seed": {"split", "fit", "evaluate", "knn"}},
    **{"features": {"split", "fit", "knn"}, "fit": {"split", "fit"}},
    **{"resamples": {"split", "evaluate", "knn"}, "published": {"evaluate", "knn"}},
    "classes": {"split", "evaluate"},
    "fit_of": {"split", "fit"},
    **{key: {"split", "examples"} for key in ("models", "train_fractions")},
}


@pytest.mark.parametrize("key", READ_OF_TASK)
def test_a_changed_key_of_a_task_reaches_its_steps(key: str):
    def settings_with(**changed: Any) -> dict[str, Any]:
        config = parse(Config, {"tasks": {"t": TASK | changed}}, "x")
        return {step: task_settings(step, config, "t") for step in OF_TASK}

    before, after = settings_with(), settings_with(**{key: READ_OF_TASK[key]})
    assert {step for step in OF_TASK if before[step] != after[step]} == HEARD[key]


TASK_SENTENCES = {
    "{kind: survival}": "tasks.t: a survival task needs time, and no label or classes",
    "{kind: classification}": (
        "tasks.t: a classification needs label, and no time, event or censorship"
    ),
    "{kind: survival, time: a}": "tasks.t: a survival task needs either event or censorship",
    "{kind: survival, time: a, event: b, fit: {loss: cox}}": (
        "tasks.t: fit.loss: cox compares cases with each other; set fit.batch above 1"
    ),
    "{kind: classification, label: a, models: [clinical]}": (
        "tasks.t: clinical needs covariates: name columns such as age"
    ),
    "{kind: classification, label: a, covariates: [age]}": (
        "tasks.t: no model takes covariates; add clinical or clinical_linear"
    ),
    "{kind: classification, label: a, covariates: [age, a], models: [clinical]}": (
        "tasks.t: covariates must be named once each, and not be what is predicted"
    ),
    "{kind: classification, label: a, fit_of: {abmil: {}}}": (
        "tasks.t: fit_of: abmil is none of the task's models"
    ),
    "{kind: survival, time: a, event: b, fit_of: {hipt: {bins: 5}}}": (
        "tasks.t: fit_of.hipt: loss and bins must be those of fit"
    ),
    "{kind: survival, time: a, event: b, fit: {batch: 2, loss: cox}, fit_of: {hipt: {loss: cox}}}"
    "": "tasks.t: fit_of.hipt: loss: cox needs a batch above 1",
    "{kind: classification, label: a, split: files}": (
        "tasks.t: split_files and split: files go together"
    ),
    "{kind: classification, label: a, models: []}": (
        "tasks.t: models must have at least one entry, each once"
    ),
    "{kind: classification, label: a, classes: [b]}": (
        "tasks.t: classes must be at least two, each named once"
    ),
    "{kind: classification, label: a, features: f, models: [hipt_n]}": (
        "tasks.t: hipt_n takes patches, which a file of features does not hold"
    ),
    "{kind: classification, label: a, published: {resnet: {1.0: [0.9, 0.1]}}}": (
        "tasks.t: published: there is no model 'resnet' (known: linear, clinical, "
        "clinical_linear, hipt, hipt_wsi, hipt_finetuned, hipt_scratch, hipt_n, mean, max, "
        "abmil, clam_sb, dsmil, deepattnmisl, dgcn, knn)"
    ),
    "{kind: classification, label: a, published: {knn: {25: [0.9, 0.1]}}}": (
        "tasks.t: published.knn: 25 is no share of the training part; it must be above 0 and at "
        "most 1"
    ),
    "{kind: classification, label: a, published: {hipt: {1.0: [87.9, 6.2]}}}": (
        "tasks.t: published.hipt.1: [87.9, 6.2] is no mean (0 to 1) with its standard deviation "
        "(0 or more)"
    ),
    "{kind: classification, label: a, published: {hipt: {1.0: [0.9]}}}": (
        "tasks.t: published.hipt.1: [0.9] is no mean (0 to 1) with its standard deviation (0 or "
        "more)"
    ),
    "{kind: classification, label: a, model: [abmil]}": (
        "unknown key 'tasks.t.model'; did you mean 'models'?"
    ),
}


@pytest.mark.parametrize("task", TASK_SENTENCES)
def test_a_wrong_task_is_refused_in_a_sentence(task: str):
    assert sentence(yaml.safe_load(f"tasks: {{t: {task}}}")) == TASK_SENTENCES[task]
