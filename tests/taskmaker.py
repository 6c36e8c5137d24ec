"""Folders of evaluated tasks, with predictions drawn on the spot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hipt.config.config import Config
from hipt.config.step_settings import task_settings
from hipt.layout import Results
from hipt.steps import evaluate
from hipt.store.tables import write_rows
from hipt.tasks.schemas import FOLDS, LEAKS, predictions_schema


class MadeTask:
    """A task of slides s000, s001, ...: two to a case, which a survival task predicts."""

    def __init__(self, root: Path, name: str, units: int, **task: Any) -> None:
        self.results, self.name, self.task, self.units = Results(root), name, task, units
        self.rng = np.random.default_rng(len(name))
        self.by_case = task["kind"] == "survival"
        self.folds = task.get("folds", 3)
        self.predictions: list[Path] = []
        self.renamed: dict[str, str] = {}
        """Other ids for units, cases and slides."""

    @property
    def config(self) -> Config:
        return Config.model_validate({"tasks": {self.name: self.task}})

    def unit(self, i: int) -> dict[str, str]:
        case = self.named(f"c{i if self.by_case else i // 2:03}")
        return {"unit": case if self.by_case else self.named(f"s{i:03}"), "case_id": case}

    def named(self, name: str) -> str:
        return self.renamed.get(name, name)

    def split(self, truth: Sequence[dict[str, Any]]) -> None:
        """folds.parquet and leaks.parquet, from each unit's target."""
        empty = dict.fromkeys(("label", "y", "time", "event"))
        rows = [
            empty
            | self.unit(i)
            | {"slide_id": self.named(slide), "site": "", "source": "x"}
            | target
            | {"parts": [2 if i % self.folds == k else 0 for k in range(self.folds)]}
            for i, target in enumerate(truth)
            for slide in ([f"s{2 * i:03}", f"s{2 * i + 1:03}"] if self.by_case else [f"s{i:03}"])
        ]
        path = self.results.task(self.name, "folds.parquet")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_rows(path, rows, FOLDS)
        write_rows(path.with_name("leaks.parquet"), [], LEAKS)

    def add(self, model: str, rows: Sequence[dict[str, Any]], fraction: str = "1") -> Path:
        """Predictions of a model, from what each unit's row adds to unit and fold."""
        outputs = sum(name.startswith("p_") for name in rows[0])
        path = self.results.fit(self.name, model, fraction, "predictions.parquet")
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = [{**self.unit(i), "fold": i % self.folds, **row} for i, row in enumerate(rows)]
        write_rows(path, whole, predictions_schema(self.task["kind"], outputs))
        self.predictions.append(path)
        return path

    def evaluate(self) -> None:
        """scores.parquet, differences.parquet, and what can be drawn."""
        out = self.results.task(self.name, "scores.parquet")
        differences, folds = (out.with_name(f"{name}.parquet") for name in ("differences", "folds"))
        cfg = task_settings("evaluate", self.config, self.name)
        evaluate.run(self.predictions, out, differences, cfg, folds)


def classes(
    root: Path,
    name: str,
    labels: Sequence[str],
    models: dict[str, float],
    units: int = 60,
    renamed: dict[str, str] | None = None,
    **task: Any,
) -> MadeTask:
    """A classification: models by name, with how much they know (0 nothing)."""
    settings = {"kind": "classification", "label": "x", "resamples": 100, "models": list(models)}
    made = MadeTask(root, name, units, **settings, **task)
    made.renamed = renamed or {}
    y = made.rng.integers(len(labels), size=units)
    made.split([{"label": labels[k], "y": int(k)} for k in y])
    for fraction in task.get("train_fractions", [1.0]):
        for model, known in models.items():
            logits = made.rng.normal(size=(units, len(labels)))
            logits += known * fraction**0.5 * np.eye(len(labels))[y]
            p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
            rows = [
                {"y": int(k), **{f"p_{j}": float(v) for j, v in enumerate(row)}}
                for k, row in zip(y, p, strict=True)
            ]
            made.add(model, rows, f"{fraction:g}")
    made.evaluate()
    return made


def survival(
    root: Path, name: str, models: dict[str, float], units: int = 60, **task: Any
) -> MadeTask:
    """Survival of cases; models as in `classes`."""
    settings = {
        "kind": "survival",
        "time": "m",
        "event": "e",
        "resamples": 100,
        "models": list(models),
    }
    made = MadeTask(root, name, units, **settings, **task)
    danger = made.rng.normal(size=units)
    months = made.rng.exponential(40 * np.exp(-danger))
    ends = made.rng.uniform(6, 120, size=units)
    time, event = np.minimum(months, ends) + 0.1, months < ends
    truth = [{"time": float(t), "event": bool(e)} for t, e in zip(time, event, strict=True)]
    made.split(truth)
    for model, known in models.items():
        scale = 1 + np.arange(units) % made.folds  # another one in each fold
        risk = scale * (known * danger + made.rng.normal(size=units))
        made.add(model, [one | {"risk": float(r)} for one, r in zip(truth, risk, strict=True)])
    made.evaluate()
    return made
