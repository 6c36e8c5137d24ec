"""From split to scores: labels that mean nothing are not predicted, unless a case is torn apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hipt.config.config import Config
from hipt.config.step_settings import task_settings
from hipt.steps import evaluate, fit, split
from hipt.store.tables import read_table, vectors

CASES, SLIDES, REGIONS, DIM, FOLDS = 100, 2, 3, 16, 4
MODELS = ("linear", "abmil")
ASKED = {
    "classification": {"label": "grade", "unit": "slide"},
    "survival": {"time": "months", "event": "died", "unit": "slide"},
}
METRIC = {"classification": "auc", "survival": "c_index"}


class Pipeline:
    """A task in a folder, from features that tell the case, and the outcome if they are to."""

    def __init__(self, folder: Path, kind: str, signal: float, **task: Any) -> None:
        self.folder, self.kind = folder, kind
        rng = np.random.default_rng(3)
        outcome = rng.normal(size=CASES)
        looks = 3 * rng.normal(size=(CASES, 1, 1, DIM))  # the same on both slides of a case
        looks[..., 0] += signal * outcome[:, None, None]
        values = looks + rng.normal(size=(CASES, SLIDES, REGIONS, DIM))
        self.ids = [f"s{case:03}-{slide}" for case in range(CASES) for slide in range(SLIDES)]
        lines = ["slide_id,case_id,grade,months,died"]
        for i, name in enumerate(self.ids):
            value = outcome[i // SLIDES]
            grade, months = "ab"[int(value > 0)], 12 * np.exp(-value)
            lines.append(f"{name},{name[:4]},{grade},{months:.4f},{i // SLIDES % 4 > 0:d}")
        (folder / "labels.csv").write_text("\n".join(lines) + "\n")
        (folder / "slides.csv").write_text("slide_id,path\nnone,none.svs\n")
        embedding = vectors(values.reshape(-1, DIM).astype(np.float32))
        table = pa.table({"slide_id": np.repeat(self.ids, REGIONS), "embedding": embedding})
        pq.write_table(table, folder / "features.parquet")
        task = {
            **{"kind": kind, "folds": FOLDS, "validation": 0.2, "models": MODELS},
            **{"fit": {"epochs": 8, "lr": 3e-3, "batch": 8}, **ASKED[kind], **task},
            **{"features": str(folder / "features.parquet"), "labels": str(folder / "labels.csv")},
        }
        sheet = {"sheet": str(folder / "slides.csv")}
        self.config = Config.model_validate({"slides": sheet, "tasks": {"t": task}})

    def settings(self, step: str) -> list[str]:
        return ["--cfg", task_settings(step, self.config, "t").model_dump_json()]

    def run(self) -> dict[str, dict[str, Any]]:
        """The main score of each model over all test parts together, with its interval."""
        home, slides = (
            self.folder / "tasks" / "t",
            ["--slides", str(self.folder / "slides.parquet")],
        )
        home.mkdir(parents=True)
        folds, scores = home / "folds.parquet", home / "scores.parquet"
        leaks = ["--leaks", str(home / "leaks.parquet")]
        split.main([*slides, *self.settings("split"), *leaks, "--out", str(folds)])
        made = [home / model / "1" / "predictions.parquet" for model in MODELS]
        for path in made:
            path.parent.mkdir(parents=True)
            where = ["--folds", str(folds), "--out", str(path)]
            fit.main([*slides, *self.settings("fit"), *where])
        out = ["--out", str(scores), "--differences", str(home / "differences.parquet")]
        given = ["--predictions", *(str(path) for path in made)]
        evaluate.main(["--task", "t", *self.settings("evaluate"), *given, *out])
        rows = read_table(scores).to_pylist()
        return {
            row["model"]: row
            for row in rows
            if row["fold"] is None and row["metric"] == METRIC[self.kind]
        }


@pytest.mark.parametrize("kind", ASKED)
def test_labels_that_mean_nothing_are_not_predicted(tmp_path: Path, kind: str):
    for score in Pipeline(tmp_path, kind, signal=0).run().values():
        assert score["low"] < 0.5 < score["high"], score


@pytest.mark.parametrize("kind", ASKED)
def test_labels_that_show_are_predicted(tmp_path: Path, kind: str):
    for score in Pipeline(tmp_path, kind, signal=6).run().values():
        assert score["value"] > 0.75, score
        assert score["low"] > 0.6, score


def test_a_case_torn_apart_would_have_been_noticed(tmp_path: Path):
    """The first slide of every case is trained on, the second tested: looks give the case away."""
    folder = tmp_path / "splits"
    folder.mkdir()
    cases = range(0, CASES * SLIDES, SLIDES)
    pipeline = Pipeline(tmp_path, "classification", 0, split="files", split_files=str(folder))
    for fold in range(2):
        lines = [f"{i},{pipeline.ids[c]},,{pipeline.ids[c + 1]}" for i, c in enumerate(cases)]
        (folder / f"splits_{fold}.csv").write_text("\n".join([",train,val,test", *lines]) + "\n")
    scores = pipeline.run()
    assert scores["abmil"]["low"] > 0.5, scores["abmil"]
    assert scores["linear"]["low"] > 0.5, scores["linear"]
