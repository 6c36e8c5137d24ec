"""Neighbours of a task's test units: whose votes count, what is written, what is refused."""

from __future__ import annotations

from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from hipt.config.config import Config
from hipt.config.step_settings import task_settings
from hipt.errors import HiptError
from hipt.stats.metrics import auc
from hipt.steps import knn
from hipt.store.tables import read_table, vectors, write_rows
from hipt.tasks.schemas import FOLDS, SCORES, knn_schema
from hipt.tasks.units import TEST, TRAIN, UNUSED, VALIDATION

CASES, FOLD_COUNT, DIM = 45, 3, 6
TASK = {"kind": "classification", "label": "grade", "resamples": 200}


class Neighbours:
    """A task of cases with one to three slides of one to four regions, whose class is in x[0]."""

    def __init__(self, folder: Path, classes: int = 2, **task: Any) -> None:
        self.folder, self.classes = folder, classes
        self.task = TASK | {"features": str(folder / "features.parquet")} | task
        self.knn: dict[str, Any] = {"k": 3}
        rng = np.random.default_rng(4)
        self.y = rng.integers(classes, size=CASES)
        self.parts = np.stack([(np.arange(CASES) + fold) % 9 // 2 for fold in range(FOLD_COUNT)], 1)
        self.parts = np.array([TEST, TRAIN, VALIDATION, TRAIN, UNUSED])[self.parts]
        self.slides: dict[str, tuple[int, np.ndarray]] = {}
        for case in range(CASES):
            for slide in range(rng.integers(1, 4)):
                values = rng.integers(-9, 10, size=(rng.integers(1, 5), DIM)).astype(np.float32)
                values[:, 0] += 12 * self.y[case]
                self.slides[f"s{case:03}-{slide}"] = (case, values)

    def write(self) -> None:
        """Features and folds."""
        ids = np.repeat(list(self.slides), [len(values) for _, values in self.slides.values()])
        column = vectors(np.concatenate([values for _, values in self.slides.values()]))
        pq.write_table(
            pa.table({"slide_id": ids, "embedding": column}), self.folder / "features.parquet"
        )
        rows = [
            {"slide_id": name, "case_id": f"c{case:03}", "site": "", "unit": f"c{case:03}"}
            | {"label": "abc"[self.y[case]], "y": int(self.y[case]), "source": name}
            | {"parts": self.parts[case].tolist()}
            for name, (case, _) in self.slides.items()
        ]
        write_rows(self.folder / "folds.parquet", rows, FOLDS)

    def call(self, *cfg: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Predictions and scores."""
        config = {"tasks": {"grade": self.task}, "knn": self.knn}
        settings = task_settings("knn", Config.model_validate(config), "grade").model_dump_json()
        out, scores = self.folder / "grade.parquet", self.folder / "grade.scores.parquet"
        paths = [*("--folds", str(self.folder / "folds.parquet")), "--out", str(out)]
        paths += ["--scores", str(scores), "--slides", str(self.folder / "slides.parquet")]
        knn.main([*paths, *(cfg or ("--cfg", settings))])
        predictions = read_table(out, knn_schema(self.classes))
        return predictions.to_pylist(), read_table(scores, SCORES).to_pylist()

    def mean_of(self, case: int) -> np.ndarray:
        """(D,) over the regions of all slides of a case."""
        return np.concatenate([v for c, v in self.slides.values() if c == case]).mean(
            0, dtype=float
        )

    def by_loop(self, distance: str, k: int) -> dict[tuple[int, str], list[float]]:
        """Shares by fold and unit, case by case."""
        result = {}
        means = [self.mean_of(case) for case in range(CASES)]
        if distance == "cosine":
            means = [one / np.linalg.norm(one) for one in means]
        for fold in range(FOLD_COUNT):
            voters = [case for case in range(CASES) if self.parts[case, fold] == TRAIN]
            for case in np.flatnonzero(self.parts[:, fold] == TEST):
                voters.sort(key=lambda v, case=case: float(np.linalg.norm(means[case] - means[v])))
                votes = [int(self.y[v]) for v in voters[:k]]
                shares = [votes.count(kind) / k for kind in range(self.classes)]
                result[fold, f"c{case:03}"] = shares
        return result


@pytest.fixture
def task(tmp_path: Path) -> Neighbours:
    made = Neighbours(tmp_path)
    made.write()
    return made


def only(rows: list[dict[str, Any]], **wanted: Any) -> list[dict[str, Any]]:
    """Rows with these values."""
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def shares(rows: list[dict[str, Any]], classes: int) -> dict[tuple[int, str], list[float]]:
    return {(r["fold"], r["unit"]): [r[f"p_{k}"] for k in range(classes)] for r in rows}


@pytest.mark.parametrize("classes", [2, 3])
def test_predictions_are_those_of_a_plain_loop(tmp_path: Path, classes: int):
    task = Neighbours(tmp_path, classes)
    task.write()
    rows, _ = task.call()
    for distance in ("euclidean", "cosine"):
        here = only(rows, distance=distance, level="region")
        assert shares(here, classes) == task.by_loop(distance, 3)
        assert len(here) == len(rows) / 2 == (task.parts == TEST).sum()
    assert all(row["case_id"] == row["unit"] for row in rows)
    assert all(row["y"] == task.y[int(row["unit"][1:])] for row in rows)


def test_scores_are_of_every_fold_over_folds_and_of_all_together(task: Neighbours):
    rows, scores = task.call()
    assert {row["task"] for row in scores} == {"grade"}
    assert {row["fraction"] for row in scores} == {1.0}
    models = list(dict.fromkeys(row["model"] for row in scores))
    assert models == ["knn_region_euclidean", "knn_region_cosine"]
    for distance in ("euclidean", "cosine"):
        here = only(scores, model=f"knn_region_{distance}")
        by_fold = []
        for fold in range(FOLD_COUNT):
            tested = only(rows, distance=distance, fold=fold)
            p = np.array([[row["p_0"], row["p_1"]] for row in tested])
            by_fold.append(auc(np.array([row["y"] for row in tested]), p))
            (result,) = only(here, fold=fold, metric="auc")
            assert (result["value"], result["units"]) == (by_fold[-1], len(tested))
        summary = {row["metric"]: row for row in only(here, fold=None)}
        assert summary["auc_mean"]["value"] == pytest.approx(mean(by_fold))
        assert summary["auc_sd"]["value"] == pytest.approx(stdev(by_fold))
        assert summary["auc"]["low"] < summary["auc"]["value"] < summary["auc"]["high"]
        assert summary["auc"]["value"] > 0.7


def test_only_the_training_part_votes(task: Neighbours):
    task.parts[:9], task.parts[9:12] = VALIDATION, UNUSED
    task.write()
    before = task.call()
    for name, (case, values) in task.slides.items():
        task.slides[name] = (case, values[:, ::-1] if case < 12 else values)
    task.y[:12] = 1 - task.y[:12]
    task.write()
    assert task.call() == before
    task.y[12:] = 1 - task.y[12:]
    task.write()
    assert task.call() != before


def test_one_vector_for_each_slide_is_enough(task: Neighbours):
    task.slides = {
        name: (case, values[:1]) for name, (case, values) in task.slides.items() if name[-1] == "0"
    }
    task.write()
    rows, _ = task.call()
    assert shares(only(rows, distance="cosine"), 2) == task.by_loop("cosine", 3)


def test_of_classes_with_equal_shares_the_first_is_predicted(tmp_path: Path):
    task = Neighbours(tmp_path, 3)
    task.knn = {"k": 2, "distances": ["euclidean"]}
    task.write()
    rows, scores = task.call()
    tied = [row for row in rows if sorted(row[f"p_{k}"] for k in range(3)) == [0, 0.5, 0.5]]
    assert tied
    right = [row["y"] == max(range(3), key=lambda k, row=row: (row[f"p_{k}"], -k)) for row in rows]
    (result,) = only(scores, metric="accuracy", fold=None)
    assert result["value"] == pytest.approx(mean(right))


def test_settings_from_a_config_file(task: Neighbours):
    task.knn = {"k": 4, "distances": ["cosine"]}
    whole = task.call()
    path = task.folder / "config.yaml"
    values = {"tasks": {"grade": task.task}, "knn": task.knn}
    embed = {"patches": {"random": 1}, "regions": {"random": 1}}
    path.write_text(yaml.safe_dump(values | {"embed": embed}))
    assert task.call("--cfg", str(path), "--task", "grade") == whole


def sentence(task: Neighbours, *cfg: str) -> str:
    with pytest.raises(HiptError) as error:
        task.call(*cfg)
    assert not (task.folder / "grade.parquet").exists()
    return str(error.value)


def test_fewer_to_train_on_than_neighbours(task: Neighbours):
    smallest = int((task.parts == TRAIN).sum(0).min())
    task.knn = {"k": smallest}
    task.call()
    (task.folder / "grade.parquet").unlink()
    task.knn = {"k": smallest + 1}
    fold = int((task.parts == TRAIN).sum(0).argmin())
    assert sentence(task) == (
        f"tasks.grade: fold {fold} has {smallest} to train on, fewer than the {smallest + 1} "
        "neighbours of knn.k; lower it, or leave the task out by knn.tasks"
    )


def test_a_survival_task(task: Neighbours):
    task.task = {"kind": "survival", "time": "months", "event": "dead", "resamples": 200}
    assert sentence(task) == (
        "tasks.grade: is a survival task, and neighbours vote on classes; ask classification tasks "
        "alone"
    )
