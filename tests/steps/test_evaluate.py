"""Scores and differences of a task's models, from predictions made on the spot."""

from __future__ import annotations

import logging
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import polars as pl
import pytest

from hipt.config.config import Config
from hipt.config.step_settings import task_settings
from hipt.errors import HiptError
from hipt.steps import evaluate
from hipt.store.tables import read_table, write_rows
from hipt.tasks.schemas import DIFFERENCES, SCORES, predictions_schema

CLASSES = {"kind": "classification", "label": "grade", "resamples": 200}
SURVIVAL = {"kind": "survival", "time": "months", "event": "dead", "resamples": 200}
UNITS = 60
FOLDS = 3
RNG = np.random.default_rng(2)
Y = RNG.integers(2, size=UNITS)
MONTHS = RNG.permutation(UNITS) + 1.0
NOISE = RNG.random(UNITS)


class Task:
    """A task's folder."""

    def __init__(self, folder: Path, task: dict[str, Any]) -> None:
        self.folder, self.task = folder, task
        self.paths: list[str] = []

    def add(self, model: str, rows: list[dict[str, Any]], fraction: str = "1.0") -> Path:
        """Predictions of a model."""
        survival = self.task["kind"] == "survival"
        outputs = 0 if survival else sum(name.startswith("p_") for name in rows[0])
        path = self.folder / "tasks" / "grade" / model / fraction / "predictions.parquet"
        path.parent.mkdir(parents=True)
        write_rows(path, rows, predictions_schema(self.task["kind"], outputs))
        self.paths.append(str(path))
        return path

    def call(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Both tables."""
        out, differences = self.folder / "scores.parquet", self.folder / "differences.parquet"
        config = Config.model_validate({"tasks": {"grade": self.task}})
        settings = task_settings("evaluate", config, "grade")
        arguments = ["--task", "grade", "--cfg", settings.model_dump_json()]
        arguments += ["--out", str(out), "--differences", str(differences)]
        evaluate.main([*arguments, "--predictions", *self.paths])
        return read_table(out, SCORES).to_pylist(), read_table(differences, DIFFERENCES).to_pylist()


@pytest.fixture
def classes(tmp_path: Path) -> Task:
    return Task(tmp_path, CLASSES)


@pytest.fixture
def survival(tmp_path: Path) -> Task:
    return Task(tmp_path, SURVIVAL)


def row(i: int, p: float, **other: Any) -> dict[str, Any]:
    """One prediction of a class; units 2k and 2k + 1 are of one case."""
    head = {"fold": i % FOLDS, "unit": f"s{i:03}", "case_id": f"c{i // 2:03}"}
    return head | {"y": int(Y[i]), "p_0": 1 - p, "p_1": p} | other


def probabilities(p: Any) -> list[dict[str, Any]]:
    return [row(i, float(p[i])) for i in range(UNITS)]


def risks(risk: Any, event: Any = None) -> list[dict[str, Any]]:
    seen = np.ones(UNITS, bool) if event is None else event
    heads = ({"fold": i % FOLDS, "unit": f"c{i:03}", "case_id": f"c{i:03}"} for i in range(UNITS))
    return [
        head | {"time": float(MONTHS[i]), "event": bool(seen[i]), "risk": float(risk[i])}
        for i, head in enumerate(heads)
    ]


def one(rows: list[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    """The row with these values."""
    (result,) = [r for r in rows if all(r[name] == value for name, value in wanted.items())]
    return result


def test_perfect_and_random_classes(classes: Task):
    classes.add("hipt", probabilities(0.1 + 0.8 * Y))
    classes.add("mean", probabilities(NOISE))
    scores, differences = classes.call()
    best = one(scores, model="hipt", fold=None, metric="auc")
    assert (best["value"], best["low"], best["high"], best["units"]) == (1, 1, 1, UNITS)
    chance = one(scores, model="mean", fold=None, metric="auc")
    assert chance["low"] < 0.5 < chance["high"]
    assert chance["low"] < chance["value"] < chance["high"]
    (result,) = differences
    assert (result["model"], result["other"], result["metric"]) == ("hipt", "mean", "auc")
    assert result["difference"] == pytest.approx(1 - chance["value"])
    assert result["p"] == result["p_holm"] == pytest.approx(2 / 201)
    assert result["low"] > 0
    assert {r["task"] for r in scores + differences} == {"grade"}


def test_same_predictions_do_not_differ(classes: Task):
    for model in ("abmil", "dsmil"):
        classes.add(model, probabilities(NOISE))
    _, (result,) = classes.call()
    assert [result[name] for name in ("difference", "low", "high", "p", "p_holm")] == [
        0,
        0,
        0,
        1,
        1,
    ]


def test_pairs_meet_at_the_same_fraction_and_are_a_family_of_their_own(classes: Task):
    for fraction in ("0.5", "1.0"):
        for model, p in (("a", 0.1 + 0.8 * Y), ("b", NOISE), ("c", NOISE[::-1])):
            classes.add(model, probabilities(p), fraction)
    scores, differences = classes.call()
    pairs = {(r["model"], r["other"], r["fraction"]) for r in differences}
    assert pairs == {(*pair, part) for pair in ("ab", "ac", "bc") for part in (0.5, 1.0)}
    assert len(differences) == len(pairs)
    for fraction in (0.5, 1.0):  # three pairs each, whatever other fractions there are
        result = one(differences, model="a", other="b", fraction=fraction)
        assert result["p_holm"] == pytest.approx(3 * result["p"]) == pytest.approx(6 / 201)
    assert {r["fraction"] for r in scores} == {0.5, 1.0}


def test_too_few_resamples_for_so_many_pairs_are_logged(
    classes: Task, caplog: pytest.LogCaptureFixture
):
    for model in "abcd":
        classes.add(model, probabilities(NOISE))
    classes.call()
    assert "6 pairs of models: with 200 resamples no corrected p gets down to 0.05" in caplog.text
    assert "set resamples to 239 or more" in caplog.text
    caplog.clear()
    classes.task = CLASSES | {"resamples": 239}
    classes.call()
    assert "pairs of models" not in caplog.text


def test_mean_and_deviation_are_those_of_the_folds(classes: Task):
    classes.add("hipt", probabilities(NOISE))
    scores, differences = classes.call()
    assert differences == []
    for metric in ("auc", "balanced_accuracy", "kappa", "brier", "accuracy"):
        folds = [one(scores, fold=fold, metric=metric) for fold in range(FOLDS)]
        assert all(r["low"] is None and r["units"] == UNITS // FOLDS for r in folds)
        values = [r["value"] for r in folds]
        for name, wanted in ((f"{metric}_mean", mean(values)), (f"{metric}_sd", stdev(values))):
            result = one(scores, metric=name)
            assert result["value"] == pytest.approx(wanted)
            assert (result["fold"], result["low"], result["high"]) == (None, None, None)


def test_slides_of_a_case_stay_together(classes: Task):
    rows = probabilities(NOISE)
    classes.add("hipt", rows)
    once = one(classes.call()[0], fold=None, metric="accuracy")
    copies = [r | {"unit": f"{r['unit']}-{copy}"} for r in rows for copy in range(4)]
    twins = Task(classes.folder / "twins", CLASSES)
    twins.add("hipt", copies)
    again = one(twins.call()[0], fold=None, metric="accuracy")
    for name in ("value", "low", "high"):  # as if the slides counted once
        assert again[name] == pytest.approx(once[name])
    apart = Task(classes.folder / "apart", CLASSES)
    apart.add("hipt", [r | {"case_id": r["unit"]} for r in copies])
    narrow = one(apart.call()[0], fold=None, metric="accuracy")
    assert narrow["high"] - narrow["low"] < 0.7 * (once["high"] - once["low"])


def test_a_fold_of_one_class_has_no_auc(classes: Task, caplog: pytest.LogCaptureFixture):
    rows = [row(i, NOISE[i], **({"y": 1} if i % FOLDS == 1 else {})) for i in range(UNITS)]
    classes.add("hipt", rows)
    scores, _ = classes.call()
    why = "all 20 predictions are of units with y = 1"
    for metric in ("auc", "balanced_accuracy", "kappa"):
        none = one(scores, fold=1, metric=metric)
        assert (none["value"], none["note"]) == (None, why)
        two = [one(scores, fold=fold, metric=metric)["value"] for fold in (0, 2)]
        over = one(scores, metric=f"{metric}_mean")
        assert (over["value"], over["note"]) == (pytest.approx(mean(two)), "over 2 of 3 folds")
    assert one(scores, fold=1, metric="brier")["value"] is not None
    assert f"hipt, fraction 1: no auc in fold 1 (20 units): {why}" in caplog.text


def test_nothing_is_compared_where_no_score_is_known(
    classes: Task, caplog: pytest.LogCaptureFixture
):
    for model in ("a", "b"):
        classes.add(model, [row(i, NOISE[i], y=0) for i in range(UNITS)])
    scores, (pair,) = classes.call()
    why = "no auc: all 60 predictions are of units with y = 0"
    assert (pair["note"], pair["difference"], pair["p_holm"]) == (why, None, None)
    assert f"a and b: {why}" in caplog.text
    assert all(r["value"] is None and r["note"] for r in scores if r["metric"].startswith("auc"))


def test_several_classes(classes: Task):
    rows = []
    for i in range(UNITS):
        head = {"fold": i // 20, "unit": f"s{i}", "case_id": f"c{i}", "y": i % 4}
        rows.append(head | {f"p_{k}": float(k == i % 4) for k in range(4)})
    classes.add("hipt", rows)
    scores, _ = classes.call()
    assert one(scores, fold=None, metric="kappa")["value"] == 1


def test_models_are_compared_on_the_units_of_both(classes: Task, caplog: pytest.LogCaptureFixture):
    rows = probabilities(NOISE)
    classes.add("a", rows)
    classes.add("b", [r for r in rows if r["fold"] != 2][::-1])
    classes.add("c", [r for r in rows if r["fold"] == 2])
    _, differences = classes.call()
    pairs = {(r["model"], r["other"]): r["difference"] for r in differences}
    assert pairs == {("a", "b"): 0, ("a", "c"): 0, ("b", "c"): None}
    assert "b and c: no unit that both predict" in caplog.text


def test_survival_ranks_within_each_fold(survival: Task):
    survival.add("hipt", risks(-MONTHS + 1000 * (np.arange(UNITS) % FOLDS)))
    survival.add("mean", risks(NOISE, np.ones(UNITS, bool)))
    scores, (result,) = survival.call()
    for fold in range(FOLDS):
        assert one(scores, model="hipt", fold=fold, metric="c_index")["value"] == 1
    best = one(scores, model="hipt", fold=None, metric="c_index")
    assert 0.9 < best["low"] < best["value"] < best["high"] <= 1
    assert one(scores, model="hipt", metric="c_index_mean")["value"] == 1
    assert one(scores, model="hipt", metric="c_index_sd")["value"] == 0
    assert 0.9 < one(scores, model="hipt", fold=None, metric="uno_c")["value"] <= 1
    assert (result["metric"], result["p"]) == ("c_index", pytest.approx(2 / 201))


def test_test_parts_may_overlap(survival: Task):
    rows = risks(-MONTHS)
    both = [r | {"fold": fold} for fold in range(2) for r in rows]
    survival.add("hipt", both)
    scores, _ = survival.call()
    result = one(scores, fold=None, metric="c_index")
    assert (result["value"], result["units"]) == (1, UNITS)


def test_survival_without_events_has_no_scores(survival: Task, caplog: pytest.LogCaptureFixture):
    survival.add("hipt", risks(NOISE, np.zeros(UNITS, bool)))
    scores, differences = survival.call()
    assert differences == []
    assert all(r["value"] is None for r in scores)
    why = one(scores, fold=None, metric="c_index")["note"]
    assert why == "none of 60 predictions is of a unit with an event"
    assert f"no c_index over all folds (60 units): {why}" in caplog.text


def test_same_bytes_twice_whatever_the_order_of_rows(classes: Task):
    rows = probabilities(NOISE)
    classes.add("a", rows)
    classes.add("b", probabilities(Y * 0.4 + NOISE * 0.5))
    tables = ("scores", "differences", "roc", "calibration", "errors")
    files = [classes.folder / f"{name}.parquet" for name in tables]
    classes.call()
    before = [path.read_bytes() for path in files]
    Path(classes.paths[0]).unlink()
    Path(classes.paths[0]).parent.rmdir()
    del classes.paths[0]
    classes.add("a", rows[::-1])
    classes.paths.reverse()
    classes.call()
    assert [path.read_bytes() for path in files] == before


def drawn(task: Task, name: str) -> pl.DataFrame:
    """A table beside the scores, as anybody reads it."""
    return pl.read_parquet(task.folder / f"{name}.parquet")


def test_what_can_be_drawn_of_classes(classes: Task):
    for fraction in ("0.5", "1.0"):
        classes.add("hipt", probabilities(0.1 + 0.8 * Y), fraction)
        classes.add("mean", probabilities(NOISE), fraction)
    scores, _ = classes.call()
    roc = drawn(classes, "roc")
    areas = roc.unique(["model", "fraction"], maintain_order=True)["model", "fraction", "auc"]
    for model, fraction, area in areas.iter_rows():
        wanted = one(scores, model=model, fraction=fraction, fold=None, metric="auc")["value"]
        assert area == pytest.approx(wanted, abs=1e-12)
    assert len(areas) == 4
    assert set(roc["task"]) == {"grade"}
    assert set(roc["label"]) == {"1"}  # nobody says what the classes are called
    bins = drawn(classes, "calibration").filter(model="mean", fraction=1.0)
    assert bins["items"].sum() == UNITS
    assert ((bins["low"] <= bins["observed"]) & (bins["observed"] <= bins["high"])).all()
    errors = drawn(classes, "errors")
    assert set(errors["model"]) == {"mean"}
    assert errors.filter(fraction=1.0)["rank"].to_list() == list(range(1, 9))
    assert len(drawn(classes, "survival")) == len(drawn(classes, "published")) == 0


def test_what_can_be_drawn_of_survival(survival: Task):
    survival.add("hipt", risks(-MONTHS))
    survival.task = SURVIVAL | {"published": {"hipt": {1.0: [0.6, 0.1]}}}
    survival.call()
    curves = drawn(survival, "survival")
    assert curves.group_by("group", maintain_order=True).agg(pl.col("at_risk").first()).rows() == [
        ("high", UNITS // 2),
        ("low", UNITS // 2),
    ]
    assert curves["events"].sum() + curves["censored"].sum() == UNITS
    assert len(drawn(survival, "roc")) == len(drawn(survival, "calibration")) == 0
    (beside,) = drawn(survival, "published").to_dicts()
    assert (beside["metric"], beside["mean"], beside["difference"]) == ("c_index", 1, 0.4)
    assert beside["distance"] is None  # without folds nobody knows what they share


def test_published_numbers_and_names_change_no_score(classes: Task):
    classes.add("hipt", probabilities(NOISE))
    classes.call()
    files = [classes.folder / f"{name}.parquet" for name in ("scores", "differences", "roc")]
    before = [path.read_bytes() for path in files]
    classes.task = CLASSES | {"published": {"hipt": {1.0: [0.6, 0.1]}}, "classes": ["a", "b"]}
    classes.call()
    after = [path.read_bytes() for path in files]
    assert before[:2] == after[:2]
    assert set(drawn(classes, "roc")["label"]) == {"b"}
    assert drawn(classes, "published")["published_mean"].to_list() == [0.6]


def test_a_line_per_model(classes: Task, caplog: pytest.LogCaptureFixture):
    classes.add("hipt", probabilities(0.1 + 0.8 * Y), "0.25")
    with caplog.at_level(logging.INFO):
        classes.call()
    assert (
        "hipt, fraction 0.25: auc 1.000 (1.000 to 1.000), over 3 folds 1.000 +- 0.000"
        in caplog.text
    )


@pytest.mark.parametrize(
    ("rows", "fraction", "sentence"),
    [
        ([row(0, 0.5), row(0, 0.5)], "1.0", "fold 0 predicts 's000' twice"),
        ([row(0, 0.5), row(1, float("nan"))], "1.0", "fold 1 predicts nan for 's001'"),
        ([row(0, 0.5)], "whole", "but 'whole' is no number"),
    ],
)
def test_what_cannot_be_scored(
    classes: Task, rows: list[dict[str, Any]], fraction: str, sentence: str
):
    path = classes.add("hipt", rows, fraction)
    with pytest.raises(HiptError) as error:
        classes.call()
    assert sentence in str(error.value)
    assert str(path) in str(error.value)


def test_no_predictions(classes: Task):
    path = classes.add("hipt", [row(0, 0.5)])
    write_rows(path, [], predictions_schema("classification", 2))
    with pytest.raises(HiptError, match="has no predictions"):
        classes.call()


def test_predictions_of_another_kind(survival: Task):
    survival.add("hipt", risks(NOISE))
    survival.task = CLASSES
    with pytest.raises(HiptError, match="column 'y' is missing"):
        survival.call()


@pytest.mark.parametrize("change", [{"y": 1 - int(Y[4])}, {"case_id": "another"}])
def test_models_have_to_agree_about_the_truth(classes: Task, change: dict[str, Any]):
    classes.add("a", probabilities(NOISE))
    classes.add("b", [row(i, NOISE[i], **(change if i == 4 else {})) for i in range(UNITS)])
    with pytest.raises(HiptError, match=r"differ in the case or label of 's004' \(fold 1\)"):
        classes.call()
