"""Which model finds which signal: in one region of a bag, in the mean, in how the regions lie.

    python benchmarks/bench_synthetic_bags.py [--bags 240] [--models abmil ...]

- *one region*: one of the 24 is of a kind of its own;
- *mean*: every region is shifted a little, less than a tenth of a region's own spread;
- *arrangement*: as many regions of either of two kinds, apart or mixed; as sets the bags are equal.
  Only `dgcn` is told where regions lie;
- *shuffled*: the bags of *one region*, with labels that mean nothing.

Five folds by bag, a fifth of the training bags chooses the epoch; AUC over all test parts with its
95 % interval (bootstrap over bags).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import torch

from hipt.config.config import Config
from hipt.config.step_settings import FitSettings, task_settings
from hipt.stats.bootstrap import bootstrap_scores
from hipt.stats.evaluation import Classified, scores
from hipt.stats.intervals import interval
from hipt.tasks.fold_fits import FoldFitter, TaskData
from hipt.tasks.folds.splits import grouped_folds, validation_part
from hipt.tasks.units import TEST, TRAIN, VALIDATION, Units

ROWS, COLUMNS, WIDTH, FOLDS = 4, 6, 32, 5
REGIONS = ROWS * COLUMNS
MODELS = ("linear", "mean", "max", "abmil", "clam_sb", "dsmil", "deepattnmisl", "hipt", "dgcn")
FIT = {"epochs": 20, "batch": 8, "lr": 1e-3}
PLACES = np.stack(np.divmod(np.arange(REGIONS), COLUMNS), axis=1).astype(np.float32)

Bags = np.ndarray  # [N, REGIONS, WIDTH]


def one_region(y: np.ndarray, rng: np.random.Generator) -> Bags:
    """A region of another kind, anywhere."""
    bags = rng.normal(size=(len(y), REGIONS, WIDTH))
    kind = 0.8 * rng.normal(size=WIDTH)
    bags[np.arange(len(y)), rng.integers(REGIONS, size=len(y))] += kind * y[:, None]
    return bags


def mean(y: np.ndarray, rng: np.random.Generator) -> Bags:
    """All regions a little to one side."""
    bags = rng.normal(size=(len(y), REGIONS, WIDTH))
    return bags + 0.08 * np.sign(rng.normal(size=WIDTH)) * y[:, None, None]


def arrangement(y: np.ndarray, rng: np.random.Generator) -> Bags:
    """Two kinds, apart (left and right, either way round) or mixed."""
    kinds = 1.5 * rng.normal(size=(2, WIDTH))
    apart = (PLACES[:, 1] >= COLUMNS / 2).astype(int)
    named = [
        apart ^ rng.integers(2) if told else rng.permutation(np.arange(REGIONS) % 2) for told in y
    ]
    return kinds[np.array(named)] + rng.normal(size=(len(y), REGIONS, WIDTH))


def units_of(y: np.ndarray) -> Units:
    """Bags as units, each a case of its own, dealt to folds."""
    names = tuple(f"{i:04}" for i in range(len(y)))
    cases, strata = np.array(names), y.astype(str)
    fold = grouped_folds(cases, strata, FOLDS, 0)
    parts = np.empty((len(y), FOLDS), np.int64)
    for k in range(FOLDS):
        kept = validation_part(cases, strata, None, fold != k, 0.2, (0, k)).rows
        parts[:, k] = np.where(fold == k, TEST, np.where(kept, VALIDATION, TRAIN))
    slides, none = tuple((name,) for name in names), np.zeros(len(y))
    return Units(names, names, ("",) * len(y), slides, names, parts, y, none, none > 0)


def asked(bags: Bags, units: Units, model: str) -> str:
    """AUC of a model with its interval."""
    task = {"kind": "classification", "label": "y", "features": "-", "fit": FIT}
    cfg = task_settings("fit", Config.model_validate({"tasks": {"bags": task}}), "bags")
    assert isinstance(cfg, FitSettings)
    places = [torch.from_numpy(PLACES)] * len(bags)
    data = TaskData(units, list(torch.from_numpy(bags).float()), places)
    fitter = FoldFitter(data, cfg, model, 1.0, torch.device("cpu"))
    p = np.empty((len(bags), 2))
    for fold in range(FOLDS):
        p[units.of(fold, TEST)] = fitter.fit(fold).logits.double().softmax(1).numpy()
    found = Classified(units.y, p)
    low, high, _ = interval(bootstrap_scores(found, np.arange(len(p)), 1000, 0)["auc"])
    return f"{scores(found)['auc']:.2f} ({low:.2f} to {high:.2f})"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--bags", type=int, default=240)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    made: dict[str, Callable[[np.ndarray, np.random.Generator], Bags]] = {
        "one region": one_region,
        "mean": mean,
        "arrangement": arrangement,
        "shuffled": one_region,
    }
    rng = np.random.default_rng(0)
    y = rng.permutation(np.arange(args.bags) % 2)
    tasks = []
    for name, make in made.items():
        bags = make(y, rng)
        tasks.append((bags, units_of(rng.permutation(y) if name == "shuffled" else y)))
    print("| model | " + " | ".join(made) + " |\n" + "|---" * (len(made) + 1) + "|", flush=True)
    for model in args.models:
        cells = [asked(bags, units, model) for bags, units in tasks]
        print("| " + " | ".join([model, *cells]) + " |", flush=True)


if __name__ == "__main__":
    main()
