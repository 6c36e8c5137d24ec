"""How long the fits of a task take: `hipt` in 10 folds of 900 bags of 40 regions, 20 epochs.

    python benchmarks/bench_fits.py [--epochs 1] [--folds 2] [--batch 1 8]

Some folds are fitted as the step does it, one process per core, for some epochs; the rest is
extrapolated, since every epoch of every fold does the same. Beside it the bare step: forward,
backward and update on bags that lie in memory, padded and masked.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import torch
import torch.nn.functional as F

from hipt.config.tasks import FitConfig
from hipt.nn.mil import BagModel, build
from hipt.nn.mil.fitting import BagData, fit

BAGS, REGIONS, WIDTH, CLASSES = 900, 40, 192, 2
FOLDS, EPOCHS, TRAINED = 10, 20, 0.8
CPU = torch.device("cpu")


def model() -> BagModel:
    """The slide-level transformer."""
    return build("hipt", WIDTH, CLASSES, dropout=0.25)


def data() -> BagData:
    """Random bags; how long they take does not depend on what is in them."""
    draws = torch.Generator().manual_seed(0)
    bags = list(torch.randn(BAGS, REGIONS, WIDTH, generator=draws))
    return BagData(bags, None, None, torch.arange(BAGS) % CLASSES, None, None)


def fold(cfg: FitConfig, number: int) -> float:
    """Seconds of one fold."""
    torch.set_num_threads(1)
    bags, train = data(), round(TRAINED * BAGS)
    start = time.monotonic()
    fit(model, bags, range(train), range(train, round(0.9 * BAGS)), cfg, number, CPU)
    return time.monotonic() - start


def bare(cfg: FitConfig, number: int, steps: int = 200) -> float:
    """Seconds per bag of the bare step."""
    torch.set_num_threads(1)
    bags, network = data(), model().train()
    batch = bags.take(range(number, number + cfg.batch), CPU)
    target = bags.target[number : number + cfg.batch]
    optimiser = torch.optim.Adam(network.parameters(), lr=cfg.lr, fused=True)
    for step in range(steps + 20):
        if step == 20:  # warmed up
            start = time.monotonic()
        optimiser.zero_grad(set_to_none=True)
        F.cross_entropy(network(batch).logits, target).backward()
        optimiser.step()
    return (time.monotonic() - start) / steps / cfg.batch


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=1, help="epochs that are really run")
    parser.add_argument("--folds", type=int, default=2, help="folds that are really fitted")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    args = parser.parse_args()
    cores = min(os.cpu_count() or 1, args.folds)
    print(f"{cores} cores, AVX: {torch.backends.cpu.get_cpu_capability()}\n")
    print("| batch | bare step, ms per bag | fit, ms per bag | bare ÷ fit | 10 folds, min |")
    print("|---|---|---|---|---|")
    for batch in args.batch:
        cfg = FitConfig(epochs=args.epochs, batch=batch)
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(cores, mp_context=context) as pool:
            before, after = [], []
            before += pool.map(partial(bare, cfg), range(cores))
            seconds = list(pool.map(partial(fold, cfg), range(args.folds)))
            after += pool.map(partial(bare, cfg), range(cores))
        step = sum(before + after) / (2 * cores)
        seen = round(TRAINED * BAGS) * args.epochs
        each = sum(seconds) / args.folds / seen
        minutes = each * round(TRAINED * BAGS) * EPOCHS * FOLDS / cores / 60
        cells = [f"{batch}", f"{1e3 * step:.1f}", f"{1e3 * each:.1f}", f"{step / each:.2f}"]
        print("| " + " | ".join([*cells, f"{minutes:.1f} (extrapolated)"]) + " |", flush=True)


if __name__ == "__main__":
    main()
