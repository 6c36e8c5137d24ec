"""Every file of a task says by what it was made: one list for all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from hipt.audit.files import place_of, result_files
from hipt.config.config import Config
from hipt.config.recorded import PLACES
from hipt.config.step_settings import settings, task_settings
from hipt.registry import version_of
from hipt.steps import agreement, evaluate, examples, fit, knn, probe, split, weights
from hipt.store.provenance import Provenance
from hipt.store.shard import read_provenance
from hipt.store.tables import read_table, write_rows
from hipt.tasks.fold_files import read_fold, write_fold
from hipt.tasks.schemas import FOLDS
from tests.steps.conftest import Chain
from tests.steps.mapped import TASKS, cohort

BARE = {"members.csv"}
"""A ledger of cases, which only grows; CSV carries nothing."""

INPUTS = {
    "split": {"labels", "embeddings", "parts"},
    "fit": {"folds", "embeddings"},
    "knn": {"folds", "embeddings"},
    "examples": {"folds", "embeddings", "predictions"},
    "probe": {"labels", "embeddings", "maps"},
    "agreement": {"labels", "maps"},
}


class Tasks:
    """All files that tasks have, made by the steps as their rules call them."""

    def __init__(self, chain: Chain, made: Path) -> None:
        self.chain, self.results = chain, chain.results
        cohort(chain, made, fitted=True)
        chain.values |= {"knn": {"k": 1}, "probe": {"column": "grade", "k": 2}}

    @property
    def config(self) -> Config:
        return Config.model_validate(self.chain.values)

    def told(self, step: str, task: str, **other: Any) -> list[str]:
        tasks = {**TASKS, task: {**TASKS[task], **other}}
        config = Config.model_validate(self.chain.values | {"tasks": tasks})
        return ["--cfg", task_settings(step, config, task).model_dump_json()]

    def split(self, task: str, **other: Any) -> Path:
        out = self.results.task(task, "folds.parquet")
        common = ["--slides", str(self.results.slides), "--out", str(out)]
        leaks = ["--leaks", str(out.with_name("leaks.parquet"))]
        split.main([*common, *leaks, *self.told("split", task, **other)])
        return out

    def evaluate(self, task: str) -> None:
        fits = [
            str(self.results.fit(task, model, "1", "predictions.parquet"))
            for model in TASKS[task]["models"]
        ]
        out = self.results.task(task, "scores.parquet")
        other = ["--differences", str(out.with_name("differences.parquet")), "--out", str(out)]
        other += ["--folds", str(out.with_name("folds.parquet"))]
        other += ["--slides", str(self.results.slides)]
        evaluate.main(["--predictions", *fits, *other, *self.told("evaluate", task)])

    def all(self) -> None:
        for task in TASKS:
            self.evaluate(task)
            told = task_settings("examples", self.config, task)
            examples.run(self.results.slides, self.results.task(task, "examples.jpg"), told)
        folds = ["--folds", str(self.results.task("grade", "folds.parquet"))]
        out = self.results.root / "knn" / "grade.parquet"
        both = ["--out", str(out), "--scores", str(out.with_suffix(".scores.parquet"))]
        both += ["--slides", str(self.results.slides)]
        knn.main([*folds, *both, *self.told("knn", "grade")])
        probe.run(self.results.slides, self.results.probe, settings("probe", self.config), 1)
        self.agreement()

    def agreement(self) -> None:
        self.chain.call("attend")
        folder = self.chain.folder / "maps"
        folder.mkdir()
        for i in range(12):
            picture = Image.new("L", (96, 64), 1)
            picture.paste(2, (0, 0, 48, 64))
            picture.save(folder / f"s{i}.png")
        self.chain.values |= {"attend": {"labels": str(folder), "target": [2]}}
        agreement.run(
            self.results.slides, self.results.agreement, settings("agreement", self.config)
        )


@pytest.fixture
def tasks(chain: Chain, made: Path) -> Tasks:
    return Tasks(chain, made)


def of_tasks(root: Path) -> list[str]:
    steps = {"split", "fit", "evaluate", "knn", "examples", "probe", "agreement"}
    return [name for name in result_files(root) if place_of(name).step in steps]


def texts(values: Any) -> list[str]:
    """All texts in a table of settings."""
    if isinstance(values, dict):
        return [*values, *(text for value in values.values() for text in texts(value))]
    if isinstance(values, list):
        return [text for value in values for text in texts(value)]
    return [values] if isinstance(values, str) else []


def test_every_file_says_what_made_it(tasks: Tasks):
    tasks.all()
    root, seen = tasks.results.root, set()
    for name in of_tasks(root):
        if Path(name).name in BARE:
            continue
        made, step = read_provenance(root / name), place_of(name).step
        seen.add(step)
        assert (made.step, made.step_version) == (step, version_of(step)), name
        assert len(made.fingerprint) == 32, name
        assert made.settings, name
        assert not any(str(root.parent) in text for text in texts(dict(made.settings))), name
        assert not PLACES & set(texts(dict(made.settings))), name
        if step == "evaluate":
            fits = {f"{model}/1" for model in TASKS[name.split("/")[1]]["models"]}
            scored = Path(name).stem in ("scores", "differences")
            assert set(made.inputs) == (fits if scored else fits | {"folds"}), name
        else:
            assert set(made.inputs) - {"corpus", "facts"} == INPUTS[step], name
        assert all(len(mark) == 32 for mark in made.inputs.values()), name
        if step in ("fit", "evaluate", "knn", "probe", "agreement"):
            assert made.software["device"] == "cpu", name
            assert made.software["precision"] in ("fp32", "fp64"), name
            assert {"torch", "numpy"} & made.software.keys(), name
    assert seen == {*INPUTS, "evaluate"}
    assert len(of_tasks(root)) > 30


def test_equal_tasks_in_two_folders_have_equal_bytes(made: Path, tmp_path: Path):
    """No date, no path, nothing that varies."""
    content = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        tasks = Tasks(Chain(tmp_path / name), made)
        for fold in tasks.results.root.glob("tasks/*/*/*/fold_*.safetensors"):
            fold.unlink()
        for task, values in TASKS.items():
            folds = ["--folds", str(tasks.split(task)), "--slides", str(tasks.results.slides)]
            for model in values["models"]:
                out = tasks.results.fit(task, model, "1", "predictions.parquet")
                fit.main([*folds, "--out", str(out), *tasks.told("fit", task)])
        tasks.all()
        root = tasks.results.root
        content.append({name: (root / name).read_bytes() for name in of_tasks(root)})
    one, two = content
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []


def test_a_fit_says_device_and_precision(tasks: Tasks):
    linear, hipt = (
        read_provenance(tasks.results.fit("grade", model, "1", "fold_0.safetensors"))
        for model in ("linear", "hipt")
    )
    assert linear.software["precision"] == "fp64"
    assert "torch" not in linear.software
    assert (hipt.software["precision"], hipt.settings["model"]) == ("fp32", "hipt")
    shown = weights.show(tasks.results.fit("grade", "hipt", "1", "fold_0.safetensors"))
    assert '"device": "cpu"' in shown
    assert hipt.fingerprint in shown


def test_folds_do_not_change_with_what_they_do_not_depend_on(tasks: Tasks):
    """Snakemake fits again where their bytes differ."""
    before = tasks.split("grade").read_bytes()
    other = {"models": ["mean"], "fit": {"epochs": 9}, "resamples": 300}
    assert tasks.split("grade", **other).read_bytes() == before
    sheet = tasks.chain.folder / "slides.csv"
    moved = sheet.with_name("elsewhere.csv")
    moved.write_text(sheet.read_text())
    tasks.chain.values["slides"] = {"sheet": str(moved)}
    assert tasks.split("grade").read_bytes() == before
    assert tasks.split("grade", validation=0.4).read_bytes() != before


def test_a_label_that_changes_shows_in_the_folds_and_their_fits(tasks: Tasks):
    folds = tasks.results.task("grade", "folds.parquet")
    predictions = tasks.results.fit("grade", "linear", "1", "predictions.parquet")
    before = [read_provenance(path).inputs for path in (folds, predictions)]
    sheet = tasks.chain.folder / "slides.csv"
    sheet.write_text(sheet.read_text().replace("c5,b", "c5,a"))
    tasks.split("grade")
    rows = read_table(folds, FOLDS).to_pylist()
    assert {row["label"] for row in rows if row["case_id"] == "c5"} == {"a"}
    common = ["--slides", str(tasks.results.slides), "--folds", str(folds)]
    fit.main([*common, "--out", str(predictions), *tasks.told("fit", "grade")])
    after = [read_provenance(path).inputs for path in (folds, predictions)]
    assert before[0]["labels"] != after[0]["labels"]
    assert before[1]["folds"] != after[1]["folds"]
    assert [one["embeddings"] for one in before] == [one["embeddings"] for one in after]


def test_predictions_from_two_devices_say_so(tasks: Tasks):
    path = tasks.results.fit("grade", "hipt", "1", "fold_1.safetensors")
    made = read_provenance(path)
    elsewhere = Provenance(**{**vars(made), "software": {**made.software, "device": "cuda"}})
    write_fold(path, read_fold(path), elsewhere)
    predictions = path.with_name("predictions.parquet")
    common = ["--slides", str(tasks.results.slides), "--out", str(predictions)]
    folds = ["--folds", str(tasks.results.task("grade", "folds.parquet"))]
    fit.main([*common, *folds, *tasks.told("fit", "grade")])  # both folds are kept
    assert read_provenance(predictions).software["device"] == "cpu, cuda"


def test_a_table_without_provenance_is_still_read(tasks: Tasks):
    """Scores of predictions that somebody else wrote: their content is the input."""
    path = tasks.results.fit("grade", "linear", "1", "predictions.parquet")
    table = read_table(path)
    write_rows(path, table.to_pylist(), table.schema)
    tasks.evaluate("grade")
    made = read_provenance(tasks.results.task("grade", "scores.parquet"))
    assert len(made.inputs["linear/1"]) == 32
