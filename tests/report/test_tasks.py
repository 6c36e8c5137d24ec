"""What the page is told of tasks."""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from hipt.config.tasks import LINEAR
from hipt.report.tasks import NAMES, tasks
from hipt.store.tables import read_table, write_rows
from hipt.tasks.published import published_rows
from hipt.tasks.schemas import FOLDS, LABELS, PUBLISHED, SCORES, predictions_schema
from tests import taskmaker
from tests.taskmaker import MadeTask

TWO = {"linear": 1.0, "hipt": 3.0}


def shown(made: MadeTask) -> dict[str, Any]:
    (task,) = tasks(made.config, made.results)
    return task


def texts(figure: dict[str, Any]) -> list[str]:
    """What is written in a figure."""
    nodes = ET.fromstring(figure["svg"]).iter("{http://www.w3.org/2000/svg}text")
    return ["".join(node.itertext()).strip() for node in nodes]


def scores(made: MadeTask) -> pl.DataFrame:
    return pl.read_parquet(made.results.task(made.name, "scores.parquet"))


def test_tasks_without_scores_are_left_out(tmp_path: Path):
    made = taskmaker.classes(tmp_path, "grade", "ab", TWO)
    made.results.task("grade", "scores.parquet").unlink()
    assert list(tasks(made.config, made.results)) == []


def test_what_became_of_the_labels(tmp_path: Path):
    made = taskmaker.survival(tmp_path, "os", TWO)
    assert shown(made)["labels"] == []  # folds of an earlier version have no such table
    facts = [
        {"kind": "missing", "value": "NA", "meaning": "", "slides": 2},
        {"kind": "reading", "value": "1:DECEASED", "meaning": "event seen", "slides": 9},
    ]
    write_rows(made.results.task("os", "labels.parquet"), facts, LABELS)
    assert shown(made)["labels"][1:] == [
        "2 of 2 slides have no time or event, left out: 2 'NA'",
        "e: '1:DECEASED' is event seen (9)",
    ]


def test_scores_of_every_fraction_and_model(tmp_path: Path):
    made = taskmaker.classes(tmp_path, "grade", "ab", TWO, train_fractions=[0.25, 1.0])
    task = shown(made)
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


def test_published_numbers_beside_ours(tmp_path: Path):
    given = {"hipt": {1.0: [0.879, 0.06], 0.5: [0.1, 0.1]}, "linear": {1: [0.5, 0.0]}}
    made = taskmaker.classes(tmp_path, "grade", "ab", TWO, published=given)
    task = shown(made)
    linear, hipt = task["models"]
    ours, beside = hipt["scores"][0], hipt["published"]
    assert (beside["published_mean"], beside["published_sd"]) == (0.879, 0.06)
    assert beside["difference"] == pytest.approx(ours["mean"] - 0.879)
    # three folds share training cases: each tests a third
    error = ((ours["sd"] ** 2 + 0.06**2) * (1 / 3 + (1 / 3) / (2 / 3))) ** 0.5
    assert beside["distance"] == pytest.approx((ours["mean"] - 0.879) / error)
    assert linear["published"]["distance"] is not None
    assert task["test_share"] == pytest.approx(1 / 3)


def test_what_is_missing_is_noted_once_for_all_models(tmp_path: Path):
    made = taskmaker.classes(tmp_path, "grade", "abc", TWO, classes=["a", "b", "c", "d"])
    for path in made.predictions:  # nobody is of class d
        rows = [row | {"p_3": 0.0} for row in read_table(path).to_pylist()]
        write_rows(path, rows, predictions_schema("classification", 4))
    made.evaluate()
    task = shown(made)
    assert task["notes"] == [
        "AUC of linear (100 %), hipt (100 %): no unit has y = 3",
        "balanced accuracy of linear (100 %), hipt (100 %): no unit has y = 3: mean over the rest",
    ]
    assert task["models"][0]["scores"][0] == {"pooled": None, "mean": None, "sd": None}
    assert task["figures"] == []


def neighbours(made: MadeTask, model: str, value: float) -> None:
    """Scores as knn writes them, and published ones beside them."""
    head = {"task": made.name, "model": model, "fraction": 1.0, "note": None}
    head |= {"low": None, "high": None}
    rows = [
        {**head, "fold": fold, "metric": metric, "value": value, "units": 20}
        for fold, metric in ((0, "auc"), (None, "auc"), (None, "auc_mean"), (None, "auc_sd"))
    ]
    path = made.results.knn_scores(made.name)
    path.parent.mkdir(exist_ok=True)
    write_rows(path, rows, SCORES)
    published = made.config.tasks[made.name].published
    beside = list(published_rows(rows, "classification", published, None))
    write_rows(made.results.knn_published(made.name), beside, PUBLISHED)


def test_neighbours_are_rows_beside_the_published_ones(tmp_path: Path):
    made = taskmaker.classes(tmp_path, "grade", "ab", TWO, published={"knn": {1.0: [0.77, 0.04]}})
    assert [row["model"] for row in shown(made)["models"]] == ["linear", "hipt"]
    neighbours(made, "knn_region_euclidean", 0.9999)
    task = shown(made)
    assert [row["model"] for row in task["models"]] == ["linear", "hipt", "knn_region_euclidean"]
    assert task["models"][2]["published"]["difference"] == pytest.approx(0.2299)
    assert task["best"] == "hipt"  # neighbours are no fitted model
    neighbours(made, "knn_region_cosine", 0.5)
    assert shown(made)["models"][2]["published"] is None


def test_the_download_is_both_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = taskmaker.classes(tmp_path, "grade", "ab", TWO)
    neighbours(made, "knn_region_cosine", 0.5)
    head, _, data = shown(made)["download"].partition(",")
    assert head == "data:text/csv;charset=utf-8;base64"
    result = pl.read_csv(base64.b64decode(data))
    assert result.columns == SCORES.names
    assert len(result) == len(scores(made)) + 4
    monkeypatch.setattr("hipt.report.tasks.MOST_DOWNLOAD", 100)
    assert shown(made)["download"] is None


def test_the_best_and_the_baseline_are_drawn(tmp_path: Path):
    models = {"linear": 0.5, "max": 1.0, "mean": 1.5, "abmil": 2.0, "hipt": 3.0}
    made = taskmaker.classes(tmp_path, "grade", ["IDC", "ILC"], models, units=240)
    roc, curve = shown(made)["figures"]
    names = [text.split(":")[0] for text in texts(roc) if ": AUC" in text]
    assert names == ["hipt", LINEAR, "abmil", "mean"]
    names = [text.split(":")[0] for text in texts(curve) if "calibration error" in text]
    assert names == ["hipt", LINEAR]
    assert roc["title"] == "ROC: ILC told from IDC"
    assert roc["files"] == ["figures/grade-roc.pdf", "figures/grade-roc.svg"]
    assert all((tmp_path / file).stat().st_size for file in roc["files"] + curve["files"])
    pooled = scores(made).filter(pl.col("fold").is_null(), model="hipt", metric="auc").row(0)
    value, low, high = (pooled[SCORES.names.index(name)] for name in ("value", "low", "high"))
    assert f"hipt: AUC {value:.3f} ({low:.3f} to {high:.3f})" in texts(roc)


def test_the_second_best_where_the_baseline_is_best(tmp_path: Path):
    made = taskmaker.survival(tmp_path, "death", {"linear": 3.0, "hipt": 1.0, "max": 0.1}, 150)
    task = shown(made)
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
    made.evaluate()
    assert [text[0] for text in texts(shown(made)["figures"][0]) if ": AUC" in text] == names


@pytest.mark.parametrize(
    "names", [("Αδενοκαρκίνωμα", "Πλακώδες"), ("腺癌", "鳞癌"), ("سرطان غدي", "سرطان حرشفي")]
)
def test_classes_in_any_script(tmp_path: Path, names: tuple[str, str]):
    made = taskmaker.classes(tmp_path, "grade", names, TWO)
    task = shown(made)
    roc, curve = task["figures"]
    assert roc["title"] == f"ROC: {names[1]} told from {names[0]}"
    assert curve["title"] == f"Calibration: probability of {names[1]}"
    assert {row["truth"] for row in task["errors"][0]["rows"]} <= set(names)
    many = taskmaker.classes(tmp_path, "three", [*names, "c"], TWO)
    legend = [text for text in texts(shown(many)["figures"][0]) if ": AUC" in text]
    assert [text.split(": AUC")[0] for text in legend] == [*names, "c"]


@pytest.mark.parametrize("table", ["roc", "calibration", "errors"])
def test_tables_that_are_gone_leave_the_scores(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, table: str
):
    made = taskmaker.classes(tmp_path, "grade", "ab", TWO)
    made.results.task("grade", f"{table}.parquet").unlink()
    task = shown(made)
    assert task["figures"] == task["errors"] == []
    assert len(task["models"]) == 2
    assert "task grade is shown without figures" in caplog.text


def test_no_pictures_of_features_from_a_file(tmp_path: Path):
    made = taskmaker.classes(tmp_path, "grade", "ab", {"hipt": 0.0}, features="f.parquet")
    for slide in range(60):
        path = made.results.overview("tile", f"s{slide:03}")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"not looked at")
    (group,) = shown(made)["errors"]
    assert group["rows"]
    assert all(row["picture"] is None for row in group["rows"])
