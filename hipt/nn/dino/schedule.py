"""The optimiser's side of training: rates at an iteration, what decays, gradients kept short.

Legend: P parameters.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


def cosine(iteration: int, total: int, start: float, end: float, warmup: int = 0) -> float:
    """The value at one iteration: a line from 0 up to `start`, then half a cosine to `end`.

    It is `start` at iteration `warmup` and `end` at the last one, `total - 1`. A warm-up as long as
    the whole run never ends; a single iteration without one has `start`.

    Args:
        iteration: counted from 0, below `total`.
        total: iterations of the whole run.
        start: value after the warm-up.
        end: value at the last iteration; may be above `start`.
        warmup: iterations before `start` is reached.

    Raises:
        ValueError: if the iteration lies outside the run, or `warmup` is negative.

    Source: Caron et al., ICCV 2021.

    Differs: the released code reaches `start` one iteration before the warm-up ends and stops one
    short of `end`; here both are met where their names say.
    """
    if not 0 <= iteration < total:
        raise ValueError(f"iteration {iteration} lies outside a run of {total}")
    if warmup < 0:
        raise ValueError(f"warmup must not be negative, got {warmup}")
    if iteration < warmup:
        return start * iteration / warmup
    left = total - 1 - warmup
    share = (iteration - warmup) / left if left > 0 else 0.0
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def parameter_groups(model: nn.Module) -> list[dict[str, Any]]:
    """Two groups for an optimiser: what decays, and biases and other 1-D parameters, which do not.

    `decays` tells `set_rates` which is which.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "decays": True},
        {"params": [p for p in trained if p.ndim <= 1], "decays": False, "weight_decay": 0.0},
    ]


def set_rates(optimiser: torch.optim.Optimizer, lr: float, weight_decay: float) -> None:
    """Give an optimiser of `parameter_groups` this iteration's rates."""
    for group in optimiser.param_groups:
        group["lr"], group["weight_decay"] = lr, weight_decay if group["decays"] else 0.0


@torch.no_grad()
def clip_each(parameters: Iterable[nn.Parameter], limit: float) -> Tensor:
    """Scale down every gradient whose own norm is above `limit`.

    Returns:
        (P,) norms before, of the parameters that have a gradient.
    """
    grads = [p.grad for p in parameters if p.grad is not None]
    if not grads:
        return torch.zeros(0)
    norms = torch.stack(torch._foreach_norm(grads))
    torch._foreach_mul_(grads, (limit / (norms + 1e-6)).clamp(max=1).unbind())
    return norms
