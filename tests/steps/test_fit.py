"""The fit step: what can be found is found, nothing leaks, and finished folds are kept."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from hipt.config.config import Config
from hipt.config.section import parse
from hipt.config.step_settings import FitSettings, task_settings
from hipt.errors import HiptError
from hipt.stats.metrics import auc, brier
from hipt.stats.survival import harrell_c
from hipt.steps import fit, split
from hipt.store.tables import read_table, vectors, write_rows
from hipt.tasks.fold_files import read_fold
from hipt.tasks.fold_fits import FoldFitter, read_task_data
from hipt.tasks.schemas import EPOCHS, FOLDS
from hipt.tasks.units import TEST, read_units

CASES, REGIONS, DIM = 90, 5, 12
QUICK = {"epochs": 15, "lr": 3e-3, "batch": 4}


class FittedTask:
    """A task whose answer lies in the mean of a case's regions."""

    def __init__(self, folder: Path, kind: str = "classification", **task: Any) -> None:
        self.folder = folder
        arguments_of = (
            {"label": "grade"}
            if kind == "classification"
            else {"time": "months", "event": "died", "unit": "slide"}
        )
        self.values = {
            **{"kind": kind, "folds": 3, "validation": 0.2, "fit": QUICK, **arguments_of},
            **{"features": str(folder / "features.parquet"), "labels": str(folder / "labels.csv")},
            **task,
        }
        (folder / "slides.csv").write_text("slide_id,path\nnone,none.svs\n")
        self.write(shuffled=False)

    def write(self, *, shuffled: bool) -> None:
        """Features, and labels that follow from them, or not at all."""
        rng = np.random.default_rng(1)
        values = rng.normal(size=(CASES, REGIONS, DIM)).astype(np.float32)
        signal = rng.normal(size=CASES)
        values[:, :, 0] += 2 * signal[:, None]
        ids = [f"s{i:03}" for i in range(CASES)]
        outcome = rng.permutation(signal) if shuffled else signal
        months = np.exp(-outcome + 0.1 * rng.normal(size=CASES)) * 12
        lines = ["slide_id,case_id,grade,months,died"]
        for i, name in enumerate(ids):
            lines.append(f"{name},{name},{'ab'[int(outcome[i] > 0)]},{months[i]:.3f},{i % 4 > 0:d}")
        (self.folder / "labels.csv").write_text("\n".join(lines) + "\n")
        table = {"slide_id": np.repeat(ids, REGIONS), "embedding": vectors(values.reshape(-1, DIM))}
        pq.write_table(pa.table(table), self.folder / "features.parquet")

    @property
    def folds(self) -> Path:
        return self.folder / "tasks" / "t" / "folds.parquet"

    def settings(self, step: str) -> str:
        config = Config.model_validate(
            {"slides": {"sheet": str(self.folder / "slides.csv")}, "tasks": {"t": self.values}}
        )
        return task_settings(step, config, "t").model_dump_json()

    def run(self, model: str, fraction: str = "1", threads: int = 1) -> list[dict[str, Any]]:
        """Split if that was not done, and fit; the predictions."""
        table = self.split()
        out = self.made(model, fraction)
        out.parent.mkdir(parents=True, exist_ok=True)
        arguments = ["--folds", str(self.folds), "--cfg", self.settings("fit"), "--out", str(out)]
        fit.main([*table, *arguments, "--threads", str(threads)])
        return read_table(out).to_pylist()

    def split(self) -> list[str]:
        """Split if that was not done; the arguments that name the slide table."""
        table = ["--slides", str(self.folder / "slides.parquet")]
        self.folds.parent.mkdir(parents=True, exist_ok=True)
        if not self.folds.exists():
            out = ["--leaks", str(self.folder / "leaks.parquet"), "--out", str(self.folds)]
            split.main([*table, "--cfg", self.settings("split"), *out])
        return table

    def made(self, model: str, fraction: str = "1") -> Path:
        return self.folds.parent / model / fraction / "predictions.parquet"


def found(rows: list[dict[str, Any]]) -> float:
    """AUC over all test parts together."""
    p = np.array([[row["p_0"], row["p_1"]] for row in rows])
    return auc(np.array([row["y"] for row in rows]), p)


def concordance(rows: list[dict[str, Any]]) -> float:
    """Harrell's c over all test parts together."""
    columns = (np.array([row[name] for row in rows]) for name in ("time", "event", "risk"))
    return harrell_c(*columns).value


@pytest.mark.parametrize("model", ["linear", "mean", "abmil", "hipt", "hipt_wsi", "deepattnmisl"])
def test_a_class_is_found_and_every_unit_is_predicted_once(tmp_path: Path, model: str):
    task = FittedTask(tmp_path)
    rows = task.run(model)
    units = read_units(task.folds)
    assert sorted(row["unit"] for row in rows) == list(units.names)
    for row in rows:
        assert units.parts[units.names.index(row["unit"]), row["fold"]] == TEST
        assert row["p_0"] + row["p_1"] == pytest.approx(1)
    assert found(rows) > 0.85


def test_a_model_is_fitted_as_its_own_settings_say(tmp_path: Path):
    for name in ("own", "other"):
        (tmp_path / name).mkdir()
    own, other = (FittedTask(tmp_path / name) for name in ("own", "other"))
    own.values["models"] = ["mean", "abmil"]
    own.values["fit_of"] = {"abmil": QUICK | {"epochs": 2}}
    other.values["fit"] = QUICK | {"epochs": 2}
    assert own.run("abmil") == other.run("abmil")
    assert own.run("mean") != other.run("mean")


@pytest.mark.parametrize("kind", ["classification", "survival"])
def test_covariates_alone_and_with_mean_regions(tmp_path: Path, kind: str):
    """An age that says as much as the regions, with gaps; together they say more."""
    task = FittedTask(tmp_path, kind, covariates=["age"], models=["linear", "clinical_linear"])
    header, *lines = (tmp_path / "labels.csv").read_text().splitlines()
    noise = np.random.default_rng(5).normal(size=len(lines))
    months = np.array([float(line.split(",")[3]) for line in lines])
    ages = 60 - 10 * np.log(months / 12) + 15 * noise
    cells = ["" if i % 10 == 0 else f"{age:.1f}" for i, age in enumerate(ages)]
    table = [f"{line},{cell}" for line, cell in zip(lines, cells, strict=True)]
    (tmp_path / "labels.csv").write_text("\n".join([f"{header},age", *table]) + "\n")
    rows = {model: task.run(model) for model in ("linear", "clinical", "clinical_linear")}
    score = found if kind == "classification" else concordance
    scores = {model: score(predicted) for model, predicted in rows.items()}
    assert scores["clinical"] > 0.6
    assert scores["clinical_linear"] > scores["clinical"]
    before = task.made("clinical").with_name("fold_0.safetensors").stat().st_mtime_ns
    task.run("clinical")
    assert task.made("clinical").with_name("fold_0.safetensors").stat().st_mtime_ns == before


def test_other_covariates_are_another_fit(tmp_path: Path):
    task = FittedTask(tmp_path, covariates=["months"], models=["clinical"])
    one, plain = task.run("clinical"), task.run("linear")
    folds = [row | {"covariates": ["1"]} for row in read_table(task.folds, FOLDS).to_pylist()]
    write_rows(task.folds, folds, FOLDS)
    assert task.run("clinical") != one
    assert task.run("linear") == plain


@pytest.mark.parametrize("model", ["linear", "abmil"])
def test_shuffled_labels_are_not_found(tmp_path: Path, model: str):
    task = FittedTask(tmp_path)
    task.write(shuffled=True)
    assert 0.3 < found(task.run(model)) < 0.7


@pytest.mark.parametrize(("model", "loss"), [("linear", "nll"), ("abmil", "nll"), ("mean", "cox")])
def test_a_risk_is_found(tmp_path: Path, model: str, loss: str):
    task = FittedTask(tmp_path, kind="survival", fit=QUICK | {"loss": loss})
    rows = task.run(model)
    columns = {name: np.array([row[name] for row in rows]) for name in ("time", "event", "risk")}
    by_fold = [
        harrell_c(*(columns[name][mine] for name in ("time", "event", "risk"))).value
        for fold in range(3)
        if len(mine := [i for i, row in enumerate(rows) if row["fold"] == fold])
    ]
    assert np.mean(by_fold) > 0.75
    assert ("hazard_3" in rows[0]) == (model == "abmil")


def test_finished_folds_are_kept_and_the_rest_does_not_hang_on_them(tmp_path: Path):
    task = FittedTask(tmp_path)
    rows = task.run("abmil")
    out = task.made("abmil")
    whole = {path.name: path.read_bytes() for path in out.parent.iterdir()}
    assert {"fold_0.safetensors", "predictions.parquet", "epochs.parquet"} <= set(whole)
    for name in ("fold_1.safetensors", "predictions.parquet", "epochs.parquet"):
        out.with_name(name).unlink()
    kept = out.with_name("fold_0.safetensors").stat().st_mtime_ns
    assert task.run("abmil", threads=2) == rows
    assert out.with_name("fold_0.safetensors").stat().st_mtime_ns == kept
    assert {path.name: path.read_bytes() for path in out.parent.iterdir()} == whole


def test_asked_to_stop_it_does_not_wait_for_the_folds_at_work(tmp_path: Path):
    task = FittedTask(tmp_path, fit=QUICK | {"epochs": 100_000})
    table = task.split()
    out = task.made("abmil")
    out.parent.mkdir(parents=True)
    arguments = ["--folds", str(task.folds), "--cfg", task.settings("fit"), "--threads", "2"]
    arguments += [*table, "--out", str(out)]
    line = [sys.executable, "-m", "hipt", "fit", *arguments]
    with subprocess.Popen(
        line, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        try:
            assert running.stderr is not None
            assert "3 of 3 folds to fit" in next(running.stderr)
            time.sleep(3)  # until both processes are at work
            running.terminate()
            assert running.wait(timeout=30) == 128 + signal.SIGTERM
            with pytest.raises(ProcessLookupError):  # nor does one go on alone
                os.killpg(running.pid, 0)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
    assert not out.exists()


def test_other_settings_fit_anew(tmp_path: Path):
    task = FittedTask(tmp_path)
    rows = task.run("mean")
    task.values["fit"] = QUICK | {"lr": 1e-3}
    assert task.run("mean") != rows


def test_what_a_fold_keeps(tmp_path: Path):
    task = FittedTask(tmp_path)
    rows = task.run("abmil")
    fold = read_fold(task.made("abmil").with_name("fold_0.safetensors"))
    assert fold is not None
    assert list(fold.units) == [row["unit"] for row in rows if row["fold"] == 0]
    for attention in fold.attention:
        assert len(attention) == REGIONS
        assert float(attention.sum()) == pytest.approx(1, abs=1e-5)
    epochs = read_table(task.made("abmil").with_name("epochs.parquet"), EPOCHS).to_pylist()
    assert len(epochs) == 3 * QUICK["epochs"]
    for k in range(3):
        mine = [row for row in epochs if row["fold"] == k]
        chosen = next(row for row in mine if row["chosen"])
        assert chosen["validation_loss"] == min(row["validation_loss"] for row in mine)


def test_the_baseline_holds_one_vector_per_unit(tmp_path: Path):
    task = FittedTask(tmp_path)
    table = Path(task.split()[1])
    units = read_units(task.folds)
    data, whole = (
        read_task_data(units, model, task.values["features"], table) for model in ("linear", "mean")
    )
    assert [tuple(one.shape) for one in data.bags] == [(1, DIM)] * CASES
    assert {len(one) for one in whole.bags} == {REGIONS}
    cfg = parse(FitSettings, json.loads(task.settings("fit")), "fit")
    one, other = (
        FoldFitter(read, cfg, "linear", 1.0, torch.device("cpu")).fit(0) for read in (data, whole)
    )
    assert torch.equal(one.logits, other.logits)


def test_a_fraction_trains_with_less_and_tests_the_same(tmp_path: Path):
    task = FittedTask(tmp_path)
    rows, fewer = task.run("linear"), task.run("linear", "0.3")
    assert [row["unit"] for row in fewer] == [row["unit"] for row in rows]
    assert fewer != rows


def test_a_foreign_fold_file_is_named(tmp_path: Path):
    task = FittedTask(tmp_path)
    task.run("linear")
    file = task.made("linear").with_name("fold_0.safetensors")
    file.write_bytes(b"nothing of the kind")
    with pytest.raises(HiptError, match=r"fold_0\.safetensors: "):
        task.run("linear")


@pytest.mark.parametrize("model", ["linear", "abmil"])
def test_probabilities_are_put_back_to_the_prevalence_of_the_classes(tmp_path: Path, model: str):
    """One case in six is of class b; models are fitted on classes drawn equally often."""
    task = FittedTask(tmp_path)
    labels = (tmp_path / "labels.csv").read_text().splitlines()
    lines = [line.replace(",b,", ",a,") if i % 3 else line for i, line in enumerate(labels)]
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    rows = task.run(model)
    y = np.array([row["y"] for row in rows])
    raw, calibrated = (
        np.array([[row[f"{stem}_{k}"] for k in range(2)] for row in rows])
        for stem in ("p", "calibrated")
    )
    np.testing.assert_allclose(calibrated.sum(1), 1)
    assert abs(calibrated[:, 1].mean() - y.mean()) < 0.06 < raw[:, 1].mean() - y.mean()
    assert brier(y, calibrated) < brier(y, raw)
    fold = read_fold(task.made(model).with_name("fold_0.safetensors"))
    assert fold is not None
    assert fold.slope > 0


def test_the_labels_of_the_test_part_have_no_say_in_its_probabilities(tmp_path: Path):
    task = FittedTask(tmp_path)
    task.split()
    before = [row for row in task.run("linear") if row["fold"] == 0]
    folds = read_table(task.folds, FOLDS).to_pylist()
    other = [row | {"y": 1 - row["y"]} if row["parts"][0] == TEST else row for row in folds]
    write_rows(task.folds, other, FOLDS)
    after = [row for row in task.run("linear") if row["fold"] == 0]
    assert [row["y"] for row in after] == [1 - row["y"] for row in before]
    assert [row["calibrated_1"] for row in after] == [row["calibrated_1"] for row in before]


def test_survival_has_nothing_to_calibrate(tmp_path: Path):
    rows = FittedTask(tmp_path, kind="survival").run("linear")
    assert not any(name.startswith("calibrated") for name in rows[0])
