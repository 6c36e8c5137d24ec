"""Does stage 2 learn how patches are arranged? Regions of one mixture, arranged in two ways.

    python benchmarks/bench_arrangement.py [--iterations 300] [--threads 2] [--seed 0]

Every region is a grid of 16 x 16 patch vectors of three kinds, each kind with its own noise. The
mixture of kinds differs from region to region and is the same in both arrangements: *mixed*, where
every place draws its kind for itself, and *apart*, where the same kinds lie in patches of their own
(a smooth random field decides). The mean over patches cannot tell them apart. Regions are drawn
anew for the test; 20 nearest neighbours vote on the arrangement.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from hipt.config.config import ViTShape
from hipt.config.pretraining import DinoConfig, GridViewsConfig
from hipt.nn.dino.trainer import Trainer, step_seed
from hipt.nn.dino.views import GridViews
from hipt.nn.vit import ViT, initialise, vit4096
from hipt.stats.knn import knn_predict, standardised
from hipt.stats.metrics import balanced_accuracy

SIDE, KINDS, DIM = 16, 3, 96
TRAIN, TEST = 1024, 600
SMOOTH = 2.0
"""Standard deviation of the field's filter, patches."""


def regions(count: int, kinds: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Grids [N, D, 16, 16] and their arrangement (N,): 0 mixed, 1 apart."""
    rng = np.random.default_rng(seed)
    arrangement = rng.integers(0, 2, count)
    grids = np.empty((count, DIM, SIDE, SIDE), np.float32)
    for i, apart in enumerate(arrangement):
        field = rng.normal(size=(SIDE, SIDE))
        field = gaussian_filter(field, SMOOTH, mode="wrap") if apart else field
        rank = field.ravel().argsort().argsort() / SIDE**2
        edges = np.cumsum(rng.dirichlet(np.full(KINDS, 4.0)))[:-1]
        named = rng.permutation(KINDS)[np.searchsorted(edges, rank)]
        vectors = kinds[named] + rng.normal(0, 1, (SIDE**2, DIM))
        grids[i] = vectors.T.reshape(DIM, SIDE, SIDE)
    return grids, arrangement


def found(train: np.ndarray, test: np.ndarray, labels: tuple[np.ndarray, np.ndarray]) -> float:
    """Balanced accuracy of the arrangement."""
    values = standardised(np.concatenate([train, test]))
    keys, queries = values[: len(train)], values[len(train) :]
    return balanced_accuracy(labels[1], knn_predict(queries, keys, labels[0], 20))


@torch.no_grad()
def vectors(model: torch.nn.Module, grids: np.ndarray) -> np.ndarray:
    """[N, D] of a network."""
    parts = torch.from_numpy(grids).split(64)
    return torch.cat([model.eval()(part) for part in parts]).numpy()


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=300)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    kinds = np.random.default_rng(args.seed).normal(0, 1, (KINDS, DIM))
    train, y_train = regions(TRAIN, kinds, args.seed + 1)
    test, y_test = regions(TEST, kinds, args.seed + 2)
    labels = (y_train, y_test)
    cfg = DinoConfig(
        **{"iterations": args.iterations, "batch": 32, "seed": args.seed, "lr": 0.004},
        **{"out_dim": 256, "hidden_dim": 128, "bottleneck_dim": 64, "drop_path": 0.0},
        **{"warmup_iterations": args.iterations // 10, "teacher_momentum": 0.98},
    )
    views = GridViews(GridViewsConfig())  # 14 x 14 and 6 x 6, as in the paper

    def build(drop_path: float) -> ViT:
        model = vit4096(ViTShape(depth=2, dim=64, heads=2), DIM, drop_path)
        initialise(model, cfg.seed)
        return model

    trainer = Trainer(build, cfg, args.iterations // 20, torch.device("cpu"), "fp32")
    print("| features | iterations | loss, nats | arrangement found |")
    print("|---|---|---|---|")
    mean = found(train.mean((2, 3)), test.mean((2, 3)), labels)
    print(f"| mean of patches | | | {mean:.3f} |")
    random = found(vectors(trainer.product(), train), vectors(trainer.product(), test), labels)
    print(f"| random network | 0 | | {random:.3f} |", flush=True)
    rng, start = np.random.default_rng(args.seed + 3), time.monotonic()
    for i in range(args.iterations):
        drawn = torch.from_numpy(train[rng.choice(TRAIN, cfg.batch, replace=False)])
        generator = torch.Generator().manual_seed(step_seed(cfg.seed, i, 0))
        trainer.student.train()
        step = trainer.step(i, [views(drawn, generator)])
        if (i + 1) % (args.iterations // 6) == 0:
            model = trainer.product()
            score = found(vectors(model, train), vectors(model, test), labels)
            print(f"| trained | {i + 1} | {step.loss:.2f} | {score:.3f} |", flush=True)
    rate = args.iterations * cfg.batch / (time.monotonic() - start)
    print(f"\n{rate:.0f} regions/s, looking included; chance 0.5")


if __name__ == "__main__":
    main()
