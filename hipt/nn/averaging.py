"""A model that follows another: a moving average of its weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn


@torch.no_grad()
def follow(average: nn.Module, model: nn.Module, momentum: float) -> None:
    """Make average = momentum * average + (1 - momentum) * model; buffers are copied."""
    own: list[Tensor] = list(average.parameters())
    torch._foreach_lerp_(own, list[Tensor](model.parameters()), 1 - momentum)
    for buffer, other in zip(average.buffers(), model.buffers(), strict=True):
        buffer.copy_(other)
