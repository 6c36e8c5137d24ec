"""Small bags, and small models whose every parameter is random."""

from __future__ import annotations

import torch

from hipt.config.config import ViTShape
from hipt.nn.mil import CLUSTERS, MODELS, Bags, build, pad
from hipt.nn.vit import vit4096

torch.set_num_threads(1)

DIM, SIDE = 12, 4
NAMES = list(MODELS)
VMAPPED = ["hipt", "hipt_wsi", "mean", "max", "abmil", "clam_sb", "dsmil"]
LENGTHS = (5, 1, 20, 9)


def noise(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def small(name: str, outputs: int = 3, seed: int = 0, **extra) -> torch.nn.Module:
    """In evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if "finetuned" in name or "scratch" in name:
            extra["stage2"] = vit4096(ViTShape(depth=1, dim=9, heads=3), DIM)
        model = build(name, DIM, outputs, width=12, **extra)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.2)
    return model.eval()


def parts(name: str, length: int, seed: int = 1) -> tuple[torch.Tensor, ...]:
    """One bag's features, positions and clusters; no region lies on another."""
    grid = (SIDE**2,) if MODELS[name].grids else ()
    generator = torch.Generator().manual_seed(seed)
    places = torch.randperm(64, generator=generator)[:length]
    positions = torch.stack([places // 8, places % 8], dim=1)
    clusters = torch.randint(CLUSTERS, (length,), generator=generator)
    return noise(length, *grid, DIM, seed=seed), positions, clusters


def bags(name: str, lengths=LENGTHS, positions: bool = True, first_seed: int = 1) -> Bags:
    own = [parts(name, length, seed) for seed, length in enumerate(lengths, first_seed)]
    features, places, clusters = (list(part) for part in zip(*own, strict=True))
    return pad(features, places if positions else None, clusters)


def alone(batch: Bags, i: int) -> Bags:
    """Bag i without its padding."""
    there = batch.mask[i]
    rest = (batch.positions, batch.clusters)
    return Bags(
        batch.features[i][there][None],
        batch.mask[i][there][None],
        *(None if part is None else part[i][there][None] for part in rest),
    )
