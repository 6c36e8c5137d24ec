"""The published labels of TCGA, as tasks read them."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from hipt.config.tasks import TaskConfig
from hipt.errors import HiptError
from hipt.tasks.labels.of_task import task_labels

SUBTYPES = {
    "brca": (("IDC", "ILC"), 875, 62),
    "kidney": (("CCRCC", "PRCC", "CHRCC"), 905, 0),
    "lung": (("LUAD", "LUSC"), 958, 0),
}
"""Slides that the published runs used, and those of other classes; shared/tcga/README.md."""

COHORTS = {
    "brca": (956, 1022, 897),
    "coadread": (340, 345, 316),
    "kirc": (345, 350, 334),
    "kirp": (260, 284, 257),
    "luad": (453, 515, 430),
    "stad": (349, 374, 321),
}
"""Cases and slides of the survival tables, and the cases that have embeddings."""


@pytest.fixture
def tcga(shared_dir: Path) -> Path:
    folder = shared_dir / "tcga"
    if not folder.is_dir():
        pytest.skip(f"no published labels at {folder}")
    return folder


@pytest.mark.parametrize("ending", ["csv", "csv.zip"])
@pytest.mark.parametrize("name", SUBTYPES)
def test_published_subtypes(name: str, ending: str, tcga: Path):
    classes, used, others = SUBTYPES[name]
    labels = str(tcga / "labels" / f"tcga_{name}_subset.{ending}")
    embedded = pq.read_table(tcga / f"region_embeddings_{name}.parquet", columns=["slide_id"])
    slides = embedded["slide_id"].to_pylist()
    task = TaskConfig(
        kind="classification",
        label="oncotree_code",
        labels=labels,
        classes=classes,
        features="f",
        folds=10,
    )
    result = task_labels(name, task, [], slides, "tcga")
    assert (len(result.slides), len(result.left_out), result.classes) == (used, others, classes)
    assert all(one.case_id == one.slide_id[:12] for one in result.slides)
    assert {one.site.zfill(2) == one.slide_id[5:7] for one in result.slides} == {True}


@pytest.mark.parametrize("name", COHORTS)
def test_published_survival(name: str, tcga: Path):
    labels = tcga / "survival" / f"tcga_{name}_all_clean.csv"
    settings = {"time": "survival_months", "censorship": "censorship"}
    task = TaskConfig(kind="survival", labels=str(labels), features="f", **settings)
    result = task_labels(name, task, [], None)
    cases = {one.case_id for one in result.slides}
    assert (len(cases), len(result.slides), result.left_out) == (*COHORTS[name][:2], ())
    with labels.open() as file:
        deaths = sum(float(line["censorship"]) == 0 for line in csv.DictReader(file))
    assert sum(one.event is True for one in result.slides) == deaths
    every = pq.read_table(tcga / "slide_embeddings.parquet", columns=["slide_id"])["slide_id"]
    embedded = task_labels(name, task, [], set(every.to_pylist()), "tcga")
    assert len({one.case_id for one in embedded.slides}) == COHORTS[name][2]


def test_published_labels_with_two_cohorts_for_a_slide(tcga: Path):
    labels = tcga / "labels" / "tcga_wsi_labels.csv"
    with labels.open() as file:
        slides = {line["slide_id"].removesuffix(".pt") for line in csv.DictReader(file)}
    task = TaskConfig(
        kind="classification", label="label", labels=str(labels), features="f", folds=2
    )
    with pytest.raises(HiptError, match=r"column 'label': 'TCGA-.*' has '.*' here and .* in row"):
        task_labels("t", task, [], slides, "tcga")
