"""A small cohort with two tasks that are fitted: what maps are made of."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from hipt.config.config import Config
from hipt.config.step_settings import task_settings
from hipt.steps import fit, split
from tests.slidemaker import tissue_picture, write_slide
from tests.steps.conftest import Chain

SLIDES = 12
TASKS = {
    "grade": {
        "kind": "classification",
        "label": "grade",
        "folds": 2,
        "validation": 0.3,
        "models": ["linear", "hipt"],
        "fit": {"epochs": 1},
    },
    "death": {
        "kind": "survival",
        "time": "months",
        "event": "died",
        "folds": 2,
        "validation": 0.3,
        "models": ["linear", "abmil"],
        "fit": {"epochs": 1},
    },
}


def cohort(chain: Chain, made: Path, *, fitted: bool) -> Config:
    """A copy of the cohort that `make` made, embedded; with its tasks' models if asked for."""
    shutil.copytree(made, chain.folder, dirs_exist_ok=True)
    if fitted:
        chain.values |= {"tasks": TASKS}
    return Config.model_validate(chain.values)


def make(folder: Path) -> None:
    """Slides of two to a case, embedded, and both tasks fitted."""
    chain = Chain(folder)
    lines = ["slide_id,path,case_id,grade,months,died"]
    for i in range(SLIDES):
        write_slide(chain.folder / f"s{i}.svs", tissue_picture(768, 512, seed=i))
        lines.append(f"s{i},s{i}.svs,c{i // 2},{'ab'[i // 2 % 2]},{10 + 7 * (i // 2)},1")
    chain.sheet("\n".join(lines) + "\n")
    chain.upto("embed_regions")
    chain.table()
    fit_tasks(chain, TASKS)


def fit_tasks(chain: Chain, tasks: dict[str, Any]) -> None:
    """The folds of tasks, and all their models."""
    config = Config.model_validate(chain.values | {"tasks": tasks})
    for name, task in tasks.items():
        settings = task_settings("split", config, name).model_dump_json()
        folds = chain.results.task(name, "folds.parquet")
        common = ["--slides", str(chain.results.slides), "--cfg", settings]
        split.main([*common, "--leaks", str(folds.with_name("leaks.parquet")), "--out", str(folds)])
        settings = task_settings("fit", config, name).model_dump_json()
        common = ["--slides", str(chain.results.slides), "--cfg", settings, "--folds", str(folds)]
        for model in task["models"]:
            out = chain.results.fit(name, model, "1", "predictions.parquet")
            fit.main([*common, "--out", str(out)])
