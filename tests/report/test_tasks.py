"""What the page is told of tasks."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from hipt.config.tasks import LINEAR
from hipt.report.tasks import NAMES, tasks
from hipt.store.tables import read_table, write_rows
from hipt.tasks.schemas import FOLDS, LABELS, SCORES, predictions_schema
from tests import taskmaker
from tests.taskmaker import MadeTask

TWO = {"linear": 1.0, "hipt": 3.0}


def told(made: MadeTask) -> dict[str, Any]:
    (task,) = tasks(made.config, made.results)
    return task


def scores(made: MadeTask) -> pl.DataFrame:
    return pl.read_parquet(made.results.task(made.name, "scores.parquet"))


def test_tasks_without_scores_are_left_out(tmp_path: Path):
    made = taskmaker.classes(tmp_path, "grade", "ab", TWO)
    made.results.task("grade", "scores.parquet").unlink()
    assert list(tasks(made.config, made.results)) == []


def test_what_became_of_the_labels(tmp_path: Path):
    made = taskmaker.survival(tmp_path, "os", TWO)
    assert told(made)["labels"] == []  # folds of an earlier version have no such table
    facts = [
        {"kind": "missing", "value": "NA", "meaning": "", "slides": 2},
        {"kind": "reading", "value": "1:DECEASED", "meaning": "event seen", "slides": 9},
    ]
    write_rows(made.results.task("os", "labels.parquet"), facts, LABELS)
    assert told(made)["labels"][1:] == [
        "2 of 2 slides have no time or event, left out: 2 'NA'",
        "e: '1:DECEASED' is event seen (9)",
    ]


def test_scores_of_every_fraction_and_model(tmp_path: Path):
    made = taskmaker.classes(tmp_path, "grade", "ab", TWO, train_fractions=[0.25, 1.0])
    task = told(made)
    assert task["metrics"] == [NAMES[m] for m in ("auc", "balanced_accuracy", "kappa")] + [
        NAMES[m] for m in ("brier", "accuracy")
    ]
    assert [(row["fraction"], row["model"]) for row in task["models"]] == [
        (fraction, model) for fraction in (0.25, 1.0) for model in TWO
    ]
    wanted = scores(made).filter(model="hipt", fraction=1.0, metric="auc_mean")["value"][0]
    assert task["models"][3]["scores"][0]["mean"] == wanted
    assert all(row["published"] is None for row in task["models"])
    assert (task["best"], task["fraction"]) == ("hipt", 1.0)
    assert task["linear_wins"] == []


def test_published_numbers_in_standard_errors_of_the_difference(tmp_path: Path):
    given = {"hipt": {1.0: [0.879, 0.06], 0.5: [0.1, 0.1]}, "linear": {1: [0.5, 0.0]}}
    made = taskmaker.classes(tmp_path, "grade", "ab", TWO, published=given)
    linear, hipt = told(made)["models"]
    ours = hipt["scores"][0]
    assert (hipt["published"]["mean"], hipt["published"]["sd"]) == (0.879, 0.06)
    assert hipt["published"]["difference"] == pytest.approx(ours["mean"] - 0.879)
    # three folds share training cases: each tests a third
    error = ((ours["sd"] ** 2 + 0.06**2) * (1 / 3 + (1 / 3) / (2 / 3))) ** 0.5
    assert hipt["published"]["errors"] == pytest.approx((ours["mean"] - 0.879) / error)
    assert linear["published"]["errors"] is not None


def test_a_score_of_one_fold_alone_has_no_distance_in_standard_errors(tmp_path: Path):
    """Its deviation is not known; it counted as 0."""
    given = {"hipt": {1.0: [0.879, 0.06]}}
    made = taskmaker.classes(tmp_path, "grade", "ab", TWO, published=given)
    path = made.results.task("grade", "scores.parquet")
    lost = [
        row | {"value": None}
        if row["metric"] == "auc_sd" or (row["metric"] == "auc" and row["fold"] in (1, 2))
        else row
        for row in read_table(path, SCORES).to_pylist()
    ]
    write_rows(path, lost, SCORES)
    hipt = told(made)["models"][1]["published"]
    assert hipt["difference"] is not None
    assert hipt["errors"] is None


def test_what_is_missing_is_said_once_for_all_models(tmp_path: Path):
    made = taskmaker.classes(tmp_path, "grade", "abc", TWO, classes=["a", "b", "c", "d"])
    for path in made.predictions:  # nobody is of class d
        rows = [row | {"p_3": 0.0} for row in read_table(path).to_pylist()]
        write_rows(path, rows, predictions_schema("classification", 4))
    made.evaluate()
    task = told(made)
    assert task["notes"] == [
        "AUC of linear (100 %), hipt (100 %): no unit has y = 3",
        "balanced accuracy of linear (100 %), hipt (100 %): no unit has y = 3: mean over the rest",
    ]
    assert task["models"][0]["scores"][0] == {"pooled": None, "mean": None, "sd": None}
    assert task["figures"] == []


def neighbours(made: MadeTask, model: str, value: float) -> None:
    head = {"task": made.name, "model": model, "fraction": 1.0, "note": None}
    head |= {"low": None, "high": None}
    rows = [
        {**head, "fold": fold, "metric": metric, "value": value, "units": 20}
        for fold, metric in ((0, "auc"), (None, "auc"), (None, "auc_mean"))
    ]
    path = made.results.knn_scores(made.name)
    path.parent.mkdir(exist_ok=True)
    write_rows(path, rows, SCORES)


def test_neighbours_are_rows_beside_the_published_ones(tmp_path: Path):
    made = taskmaker.classes(tmp_path, "grade", "ab", TWO, published={"knn": {1.0: [0.77, 0.04]}})
    assert [row["model"] for row in told(made)["models"]] == ["linear", "hipt"]
    neighbours(made, "knn_region_euclidean", 0.9999)
    task = told(made)
    assert [row["model"] for row in task["models"]] == ["linear", "hipt", "knn_region_euclidean"]
    assert task["models"][2]["published"]["difference"] == pytest.approx(0.2299)
    assert task["best"] == "hipt"  # neighbours are no fitted model
    neighbours(made, "knn_region_cosine", 0.5)
    assert told(made)["models"][2]["published"] is None


def test_the_download_is_both_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = taskmaker.classes(tmp_path, "grade", "ab", TWO)
    neighbours(made, "knn_region_cosine", 0.5)
    head, _, data = told(made)["download"].partition(",")
    assert head == "data:text/csv;charset=utf-8;base64"
    found = pl.read_csv(base64.b64decode(data))
    assert found.columns == SCORES.names
    assert len(found) == len(scores(made)) + 3
    monkeypatch.setattr("hipt.report.tasks.MOST_DOWNLOAD", 100)
    assert told(made)["download"] is None


def test_the_best_and_the_baseline_are_drawn(tmp_path: Path):
    models = {"linear": 0.5, "max": 1.0, "mean": 1.5, "abmil": 2.0, "hipt": 3.0}
    made = taskmaker.classes(tmp_path, "grade", ["IDC", "ILC"], models, units=240)
    roc, curve = told(made)["figures"]
    assert [it["text"].split(":")[0] for it in roc["legend"]] == ["hipt", LINEAR, "abmil", "mean"]
    assert [it["text"].split(":")[0] for it in curve["legend"]] == ["hipt", LINEAR]
    assert roc["title"] == "ROC: ILC told from IDC"
    pooled = scores(made).filter(pl.col("fold").is_null(), model="hipt", metric="auc").row(0)
    value, low, high = (pooled[SCORES.names.index(name)] for name in ("value", "low", "high"))
    assert roc["legend"][0]["text"] == f"hipt: AUC {value:.3f} ({low:.3f} to {high:.3f})"


def test_the_second_best_where_the_baseline_is_best(tmp_path: Path):
    made = taskmaker.survival(tmp_path, "death", {"linear": 3.0, "hipt": 1.0, "max": 0.1}, 150)
    task = told(made)
    titles = [f"Survival by the risk that {name} predicts" for name in ("linear", "hipt")]
    assert [it["title"] for it in task["figures"]] == titles
    assert task["linear_wins"] == ["hipt", "max"]
    assert task["errors"][0]["kind"] == "Early event, low risk"
    assert all(len(row["slides"]) == 2 for group in task["errors"] for row in group["rows"])


def test_classes_that_no_unit_has_keep_their_names(tmp_path: Path):
    names = ["a", "b", "c"]
    made = taskmaker.classes(tmp_path, "grade", names, {"hipt": 5.0}, classes=names)
    path = made.results.task("grade", "folds.parquet")
    known = [row for row in read_table(path, FOLDS).to_pylist() if row["y"] != 1]
    write_rows(path, known, FOLDS)
    assert [it["text"][0] for it in told(made)["figures"][0]["legend"]] == names


def test_predictions_that_are_gone_leave_the_scores(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    made = taskmaker.classes(tmp_path, "grade", "ab", TWO)
    made.predictions[1].unlink()
    task = told(made)
    assert task["figures"] == task["errors"] == []
    assert len(task["models"]) == 2
    assert "task grade is shown without figures" in caplog.text


def test_no_pictures_of_features_from_a_file(tmp_path: Path):
    made = taskmaker.classes(tmp_path, "grade", "ab", {"hipt": 0.0}, features="f.parquet")
    for slide in range(60):
        path = made.results.overview("tile", f"s{slide:03}")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"not looked at")
    (group,) = told(made)["errors"]
    assert group["rows"]
    assert all(row["picture"] is None for row in group["rows"])
