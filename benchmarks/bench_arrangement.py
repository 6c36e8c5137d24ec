"""Does stage 2 learn how patches are arranged? Regions of one mixture, arranged in two ways.

    python benchmarks/bench_arrangement.py [--recipes paper ours] [--offsets 0 1] [--seeds 0 1 2]

Every region is a grid of 16 x 16 patch vectors of three kinds, each kind with its own noise. The
mixture of kinds differs from region to region and is the same in both arrangements: *mixed*, where
every place draws its kind for itself, and *apart*, where the same kinds lie in patches of their own
(a smooth random field decides). The mean over patches cannot tell them apart. With offsets every
region has one number added to each channel, as stain and scanner do, as large as kinds differ.

Regions are drawn anew for the test; 20 nearest neighbours among those of training vote on the
arrangement, and a linear probe is fitted on the test's own regions, by folds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from hipt.config.config import ViTShape
from hipt.config.pretraining import GridViewsConfig, RegionsDinoConfig
from hipt.nn.dino.trainer import Trainer, step_seed
from hipt.nn.dino.views import GridViews
from hipt.nn.vit import ViT, initialise, place_by_sines, vit4096
from hipt.stats.knn import knn_predict, standardised
from hipt.stats.linear_probe import linear_hits
from hipt.stats.metrics import balanced_accuracy

SIDE, KINDS, DIM = 16, 3, 96
TRAIN, TEST = 512, 600
SMOOTH = 2.0
"""Standard deviation of the field's filter, patches."""


class Recipe(NamedTuple):
    """What differs from the paper's loss."""

    masked: float = 0.0
    standardise: bool = False
    sines: bool = False
    swap_means: bool = False


OURS = Recipe(masked=0.4, standardise=True, sines=True, swap_means=True)
RECIPES = {
    "random": None,
    "paper": Recipe(),
    "ours": OURS,
    "no_masks": OURS._replace(masked=0.0),
    "no_standardise": OURS._replace(standardise=False),
    "no_sines": OURS._replace(sines=False),
    "no_swap": OURS._replace(swap_means=False),
}
"""`random` is the network before training; the last four are ours without one of its parts."""


class Regions(NamedTuple):
    """Grids [N, D, 16, 16] and their arrangement (N,): 0 mixed, 1 apart."""

    grids: np.ndarray
    arrangement: np.ndarray


def regions(count: int, kinds: np.ndarray, offset: float, seed: int) -> Regions:
    """Regions drawn anew; every one's offset has a standard deviation of `offset` per channel."""
    rng = np.random.default_rng(seed)
    arrangement = rng.integers(0, 2, count)
    grids = np.empty((count, DIM, SIDE, SIDE), np.float32)
    for i, apart in enumerate(arrangement):
        field = rng.normal(size=(SIDE, SIDE))
        field = gaussian_filter(field, SMOOTH, mode="wrap") if apart else field
        rank = field.ravel().argsort().argsort() / SIDE**2
        edges = np.cumsum(rng.dirichlet(np.full(KINDS, 4.0)))[:-1]
        named = rng.permutation(KINDS)[np.searchsorted(edges, rank)]
        vectors = kinds[named] + rng.normal(0, 1, (SIDE**2, DIM)) + offset * rng.normal(0, 1, DIM)
        grids[i] = vectors.T.reshape(DIM, SIDE, SIDE)
    return Regions(grids, arrangement)


def scores(train: np.ndarray, test: np.ndarray, labels: tuple[np.ndarray, np.ndarray]) -> str:
    """Balanced accuracy of the arrangement, by neighbours and by a linear probe."""
    values = standardised(np.concatenate([train, test]))
    keys, queries = values[: len(train)], values[len(train) :]
    near = balanced_accuracy(labels[1], knn_predict(queries, keys, labels[0], 20))
    hits = linear_hits(test, labels[1], np.arange(len(test)), 1.0, seed=0)
    probed = np.mean([hits[labels[1] == k].mean() for k in (0, 1)])
    return f"{near:.3f} | {probed:.3f}"


@torch.no_grad()
def vectors(model: torch.nn.Module, grids: np.ndarray) -> np.ndarray:
    """[N, D] of a network."""
    parts = torch.from_numpy(grids).split(64)
    return torch.cat([model.eval()(part) for part in parts]).numpy()


def settings(recipe: Recipe, iterations: int, seed: int) -> RegionsDinoConfig:
    """Head, loss and optimiser; but for the recipe the same for all."""
    return RegionsDinoConfig(
        **{"iterations": iterations, "batch": 32, "seed": seed, "lr": 0.016},
        **{"out_dim": 64, "hidden_dim": 128, "bottleneck_dim": 64, "drop_path": 0.0},
        **{"warmup_iterations": iterations // 10, "teacher_momentum": 0.95},
        **{"weight_decay_end": 0.04, "masked": recipe.masked, "standardise": recipe.standardise},
        teacher_temp=0.5 if recipe.standardise else 0.04,
    )


def trained(recipe: Recipe | None, train: Regions, iterations: int, seed: int) -> torch.nn.Module:
    """A network after training; before it where there is no recipe."""
    sines, recipe = recipe is not None and recipe.sines, recipe or Recipe()
    cfg = settings(recipe, max(iterations, 1), seed)

    def build(drop_path: float) -> ViT:
        model = vit4096(ViTShape(depth=2, dim=64, heads=2), DIM, drop_path)
        initialise(model, cfg.seed)
        if sines:
            place_by_sines(model)
        return model

    trainer = Trainer(build, cfg, iterations // 20, torch.device("cpu"), "fp32")
    views = GridViews(
        GridViewsConfig(local_crops=2, rotate=True, dropout=0.0, swap_means=recipe.swap_means)
    )
    rng = np.random.default_rng(seed + 3)
    for i in range(iterations):
        drawn = torch.from_numpy(train.grids[rng.choice(TRAIN, cfg.batch, replace=False)])
        generator = torch.Generator().manual_seed(step_seed(cfg.seed, i, 0))
        trainer.student.train()
        trainer.step(i, [views(drawn, generator)])
    return trainer.product()


def rows(args: argparse.Namespace, offset: float, seed: int) -> Iterator[str]:
    """Lines of the table for one kind of region and one seed."""
    kinds = np.random.default_rng(seed).normal(0, 1, (KINDS, DIM))
    train = regions(TRAIN, kinds, offset, seed + 1)
    test = regions(TEST, kinds, offset, seed + 2)
    labels = (train.arrangement, test.arrangement)
    means = [part.grids.mean((2, 3)) for part in (train, test)]
    yield f"| mean of patches | {offset:g} | {seed} | {scores(*means, labels)} | |"
    for name in args.recipes:
        start = time.process_time()
        recipe = RECIPES[name]
        model = trained(recipe, train, args.iterations if recipe else 0, seed)
        seconds = time.process_time() - start
        result = scores(vectors(model, train.grids), vectors(model, test.grids), labels)
        yield f"| {name} | {offset:g} | {seed} | {result} | {seconds:.0f} |"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--recipes", nargs="+", choices=RECIPES, default=["random", "paper", "ours"]
    )
    parser.add_argument("--offsets", nargs="+", type=float, default=[0.0, 1.0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--iterations", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print("| features | offset | seed | 20 neighbours | linear probe | training, CPU s |")
    print("|---|---|---|---|---|---|")
    for offset in args.offsets:
        for seed in args.seeds:
            for row in rows(args, offset, seed):
                print(row, flush=True)


if __name__ == "__main__":
    main()
