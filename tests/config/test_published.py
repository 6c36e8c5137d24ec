"""The numbers of others in config/tcga/ are those of the authors' stored folds."""

from __future__ import annotations

import csv
from pathlib import Path
from statistics import mean, stdev

import pytest

from hipt.config.command_line import read_config
from hipt.config.tasks import TaskConfig

TCGA = Path(__file__).parents[2] / "config" / "tcga"
COHORTS = {
    **{"brca": "brca", "nsclc": "lung", "rcc": "kidney"},
    **{"survival_brca": "brca", "survival_crc": "coadread", "survival_ccrcc": "kirc"},
    **{"survival_prcc": "kirp", "survival_luad": "luad", "survival_stad": "stad"},
}
SUBTYPING = {
    "hipt": {"results_set": "results_Issue25", "model": "hipt_gp_192", "seed": "1"},
    "max": {"results_set": "results_Issue25", "model": "mil_192", "seed": "1"},
    "knn": {
        "results_set": "knn_reproduced_here",
        "source": "reproduced here: 10foldcv_subtype_test",
    },
}
SURVIVAL = {
    "hipt": {"model": "HIPT_LGP[vit4k_xs_dino]_freeze_[None]"},
    "abmil": {"model": "AMIL"},
}


PUBLISHED = [
    case
    for name in ("subtyping.yaml", "survival.yaml")
    for case in read_config(TCGA / name).tasks.items()
]


@pytest.fixture(scope="module")
def rows(shared_dir: Path) -> list[dict[str, str]]:
    with (shared_dir / "tcga" / "published_results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("name", "task"), PUBLISHED, ids=[name for name, _ in PUBLISHED])
def test_published_numbers_are_those_of_the_stored_folds(
    name: str, task: TaskConfig, rows: list[dict[str, str]]
):
    survival = task.kind == "survival"
    wanted = SURVIVAL if survival else SUBTYPING
    assert task.published.keys() == wanted.keys()
    head = {"task": f"tcga_{COHORTS[name]}_{'survival' if survival else 'subtype'}"}
    head["metric"] = "val_cindex" if survival else "test_auc"
    for model, numbers in task.published.items():
        assert numbers.keys() == ({1.0} if model == "knn" else set(task.train_fractions))
        for fraction, (value, sd) in numbers.items():
            facts = head | wanted[model] | {"train_fraction": str(fraction)}
            folds = [float(r["value"]) for r in rows if facts.items() <= r.items()]
            assert len(folds) == (5 if survival else 10)
            assert value == pytest.approx(mean(folds), abs=5.1e-4)
            assert sd == pytest.approx(stdev(folds), abs=5.1e-4)
