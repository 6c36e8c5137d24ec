"""Fits a bag model to the training part of a fold, and asks it about other units.

Legend: N units, m instances of a unit, D width of a vector, K outputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from hipt.config.tasks import FitConfig
from hipt.nn.averaging import follow
from hipt.nn.mil import BagModel, Bags, pad
from hipt.nn.mil.losses import cox, nll

ASKED = 16
"""Units that are asked about at once."""


@dataclass(frozen=True)
class BagData:
    """Units with their targets; every part of a fold is cut from it by index."""

    bags: Sequence[Tensor]
    """N times (m, D), or (m, T, C)."""
    positions: Sequence[Tensor] | None
    """N times (m, 2)."""
    clusters: Sequence[Tensor] | None
    """N times (m,) long."""
    target: Tensor
    """(N,) long: class, or time bin."""
    event: Tensor | None
    """(N,) bool; None: classification."""
    time: Tensor | None
    """(N,) months; None: classification."""

    def take(
        self,
        which: Sequence[int],
        device: torch.device,
        seen: Callable[[int], Tensor] | None = None,
    ) -> Bags:
        """Some units, padded to one length; `seen` says which of m instances, None: all."""
        bags = [self.bags[i] for i in which]
        kept = [slice(None) if seen is None else seen(len(bag)) for bag in bags]

        def cut(parts: Sequence[Tensor]) -> list[Tensor]:
            return [part[k] for part, k in zip(parts, kept, strict=True)]

        others = [
            None if parts is None else cut([parts[i] for i in which])
            for parts in (self.positions, self.clusters)
        ]
        return pad(cut(bags), *others).to(device)


class Epoch(NamedTuple):
    """Mean losses, nats per unit; NaN where there is no validation part."""

    train_loss: float
    validation_loss: float


class Fitted(NamedTuple):
    """A model's weights, and how they came about."""

    state: dict[str, Tensor]
    epoch: int
    """The epoch whose weights these are, from 0."""
    curve: tuple[Epoch, ...]


class Answers(NamedTuple):
    """What a model says of n units, in the order in which they were asked about."""

    logits: Tensor
    """(n, K)"""
    attention: list[Tensor]
    """n times (m,)."""


def refuse_empty(train: int, validation: int | None) -> None:
    """Refuse to fit without units to train with, or to validate with where that is needed.

    Raises:
        ValueError: saying how many there are.
    """
    if not train or validation == 0:
        raise ValueError(
            f"{train} units to train with, {validation or 0} to validate with; raise validation, "
            "or add cases"
        )


def fit(  # noqa: PLR0913 (each is a thing of its own)
    build: Callable[[], BagModel],
    data: BagData,
    train: Sequence[int],
    validation: Sequence[int],
    cfg: FitConfig,
    seed: int,
    device: torch.device,
) -> Fitted:
    """Train a model; the validation part chooses the epoch and nothing else.

    Equal arguments give equal numbers, bit for bit on one CPU thread, whatever ran before.

    Args:
        build: makes the model; its weights follow from torch's random state.
        data: all units.
        train: indices of the training part.
        validation: indices of the validation part.
        cfg: the recipe.
        seed: decides weights, draws and dropout.
        device: where to compute.

    Raises:
        ValueError: if the training part is empty, a loss is not finite, or the best epoch is asked
            for without a validation part.
    """
    refuse_empty(len(train), len(validation) if cfg.epoch == "best" else None)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        learner = _Learner(build().to(device), cfg, torch.Generator().manual_seed(seed), device)
        curve: list[Epoch] = []
        best, chosen = {}, 0
        for number in range(cfg.epochs):
            loss = learner.epoch(data, train)
            curve.append(Epoch(loss, _loss_on(learner.answering, data, validation, cfg, device)))
            if not math.isfinite(loss):
                raise ValueError(
                    f"the loss is {loss} in epoch {number}; lower fit.lr, or look at the features"
                )
            if cfg.epoch == "last" or _best(curve) == number:
                chosen, weights = number, learner.answering.state_dict()
                best = {name: value.cpu().clone() for name, value in weights.items()}
    return Fitted(best, chosen, tuple(curve))


class _Learner:
    """A model that learns, and the one that answers: itself, or the average of its weights."""

    def __init__(
        self, model: BagModel, cfg: FitConfig, draws: torch.Generator, device: torch.device
    ) -> None:
        self._model, self._cfg, self._draws, self._device = model, cfg, draws, device
        self._optimiser = torch.optim.Adam(
            model.parameters(), lr=cfg.lr, weight_decay=cfg.weight_decay, fused=True
        )
        self._steps = 0
        self.answering = deepcopy(model) if cfg.average else model

    def epoch(self, data: BagData, train: Sequence[int]) -> float:
        """Learn from as many draws as there are units; their mean loss."""
        model, cfg, device = self._model, self._cfg, self._device
        model.train()
        order = _drawn(data, train, cfg, self._draws)
        whole = torch.zeros((), device=device)
        for which in _parts(order, cfg.batch):
            target = data.target[list(which)].to(device)
            bags = data.take(which, device, self._seen if cfg.drop_regions else None)
            output = model(bags, target if data.event is None else None)
            loss = _loss(output.logits, data, which, cfg, device)
            self._optimiser.zero_grad(set_to_none=True)
            (model.bag_weight * loss + output.loss).backward()
            self._optimiser.step()
            self._average()
            whole += loss.detach() * len(which)
        return float(whole) / len(order)

    def _seen(self, m: int) -> Tensor:
        """(k,) which of m instances a step sees, rising: at least 1."""
        share = 1 - self._cfg.drop_regions * float(torch.rand((), generator=self._draws))
        kept = torch.randperm(m, generator=self._draws)[: math.ceil(share * m)]
        return kept.sort().values

    def _average(self) -> None:
        """Move the average towards the weights after a step; the first steps count little."""
        if self.answering is not self._model:
            self._steps += 1
            momentum = min(self._cfg.average, (1 + self._steps) / (10 + self._steps))
            follow(self.answering, self._model, momentum)


@torch.no_grad()
def answers(model: BagModel, data: BagData, which: Sequence[int], device: torch.device) -> Answers:
    """What a model says of some units, without dropout."""
    model.eval()
    by_length = sorted(range(len(which)), key=lambda i: len(data.bags[which[i]]))
    logits: dict[int, Tensor] = {}
    attention: dict[int, Tensor] = {}
    for places in _parts(by_length, ASKED):
        bags = data.take([which[i] for i in places], device)
        output = model(bags)
        for row, place in enumerate(places):
            logits[place] = output.logits[row].cpu()
            attention[place] = output.attention[row][bags.mask[row]].cpu()
    inside = range(len(which))
    return Answers(torch.stack([logits[i] for i in inside]), [attention[i] for i in inside])


def _best(curve: Sequence[Epoch]) -> int:
    """The epoch with the lowest validation loss; of equal ones the first."""
    losses = [epoch.validation_loss for epoch in curve]
    return losses.index(min(losses))


def _loss_on(
    model: BagModel, data: BagData, which: Sequence[int], cfg: FitConfig, device: torch.device
) -> float:
    """Mean loss of a part, without dropout; NaN of none."""
    if not which:
        return math.nan
    logits = answers(model, data, which, device).logits.to(device)
    return float(_loss(logits, data, which, cfg, device))


def _loss(
    logits: Tensor, data: BagData, which: Sequence[int], cfg: FitConfig, device: torch.device
) -> Tensor:
    """Mean loss of some units' logits."""
    rows = list(which)
    target = data.target[rows].to(device)
    if data.event is None or data.time is None:
        return F.cross_entropy(logits, target)
    event = data.event[rows].to(device)
    if cfg.loss == "cox":
        return cox(logits[:, 0], data.time[rows].to(device), event)
    return nll(logits, target, event).mean()


def _drawn(
    data: BagData, train: Sequence[int], cfg: FitConfig, draws: torch.Generator
) -> list[int]:
    """The units of an epoch: as many as there are, in a new order, or every kind equally often."""
    rows = torch.tensor(train)
    if not cfg.balanced:
        return [int(i) for i in rows[torch.randperm(len(rows), generator=draws)]]
    kind = data.target[rows]
    if data.event is not None:
        kind = 2 * kind + data.event[rows].long()
    _, place, counts = torch.unique(kind, return_inverse=True, return_counts=True)
    weights = 1 / counts[place].double()
    drawn = torch.multinomial(weights, len(rows), replacement=True, generator=draws)
    return [int(i) for i in rows[drawn]]


def _parts(items: Sequence[int], size: int) -> list[Sequence[int]]:
    """Consecutive pieces of at most so many items."""
    return [items[start : start + size] for start in range(0, len(items), size)]
