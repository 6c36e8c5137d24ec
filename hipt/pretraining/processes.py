"""The processes that train one model together: which one this is, and what they agree on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist

from hipt.pretraining.corpus_list import State
from hipt.pretraining.launch import is_launched


@dataclass(frozen=True)
class Process:
    """One of the processes that train a model; by default the only one."""

    device: torch.device
    rank: int = 0
    ranks: int = 1

    def greatest(self, value: int) -> int:
        """The greatest of all processes' values; each waits for the others."""
        if self.ranks == 1:
            return value
        values = torch.tensor([value], device=self.device)
        dist.all_reduce(values, dist.ReduceOp.MAX)
        return int(values.item())

    def gathered(self, state: State) -> list[State]:
        """All processes' states, by rank; each waits for the others."""
        states = [state] * self.ranks
        if self.ranks > 1:
            dist.all_gather_object(states, state)
        return states


@contextmanager
def joined(device: torch.device) -> Iterator[Process]:
    """This process among those that torchrun has started; alone where it has started none."""
    if not is_launched():
        yield Process(device)
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Process(device, dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
