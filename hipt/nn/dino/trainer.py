"""DINO step by step: student, teacher, loss and optimiser of one stage.

Legend: B things per micro-batch, V views of each, C channels, h, w size of a view, K the head's
width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from hipt.config.pretraining import DinoConfig, RegionsDinoConfig
from hipt.nn.averaging import follow
from hipt.nn.dino.loss import (
    DinoHead,
    DinoLoss,
    Network,
    freeze_last_layer,
    mean_over_processes,
)
from hipt.nn.dino.masked import MaskedPatches, MaskedStudent
from hipt.nn.dino.schedule import clip_each, cosine, parameter_groups, set_rates
from hipt.nn.vit import ViT

LR_BATCH = 256
"""The batch for which `DinoConfig.lr` holds."""


class Step(NamedTuple):
    """What one optimiser step showed."""

    loss: float
    """What is made small: mean cross-entropy, nats, and the error of hidden patches, if any are."""
    teacher_entropy: float
    """Mean entropy of the teacher's answers, nats."""
    gradient_norm: float
    """Largest norm of a single parameter's gradient, before it was cut."""
    lr: float
    weight_decay: float
    teacher_momentum: float


class Trainer:
    """One stage's networks and optimiser.

    Every random number of a step follows from the seed, the step and the process, so that a run
    that is resumed equals one that was never stopped.

    Source: Caron et al., ICCV 2021.
    """

    def __init__(
        self,
        build: Callable[[float], ViT],
        cfg: DinoConfig,
        frozen_iterations: int,
        device: torch.device,
        precision: Literal["fp32", "bf16"],
    ) -> None:
        """Make two networks of one shape; the teacher starts as the student.

        Args:
            build: a backbone with its first weights, for a stochastic depth.
            cfg: the recipe.
            frozen_iterations: steps during which the last layer is not trained.
            device: where to compute.
            precision: of matrix products; weights and loss are fp32.
        """
        self._cfg, self._frozen = cfg, frozen_iterations
        self._device, self._precision = device, precision
        backbone, quiet = build(cfg.drop_path), build(0.0)
        self.student = Network(backbone, DinoHead(backbone.dim, cfg)).to(device).train()
        self.teacher = Network(quiet, DinoHead(quiet.dim, cfg)).to(device).eval()
        self.teacher.load_state_dict(self.student.state_dict())
        self.teacher.requires_grad_(requires_grad=False)
        self._loss = DinoLoss(cfg).to(device)
        self._masked = _masked_patches(backbone, cfg)
        self._trained: nn.Module = self.student
        if self._masked:
            self._trained = MaskedStudent(self.student, self._masked.to(device))
        self._optimiser = torch.optim.AdamW(parameter_groups(self._trained), lr=0.0)
        together = dist.is_available() and dist.is_initialized()
        self._rank = dist.get_rank() if together else 0
        self._parallel = DistributedDataParallel(self._trained) if together else None

    def step(self, iteration: int, micro_batches: Sequence[Sequence[Tensor]]) -> Step:
        """One optimiser step.

        Args:
            iteration: counted from 0.
            micro_batches: V views (B, C, h, w) each, the two large ones first; their gradients are
                added up. All have the same B.
        """
        cfg = self._cfg
        rates = self._rates(iteration)
        set_rates(self._optimiser, rates["lr"], rates["weight_decay"])
        self._optimiser.zero_grad(set_to_none=True)
        # stochastic depth, and which patches are hidden
        torch.manual_seed(step_seed(cfg.seed, iteration, self._rank, use=1))
        results = [
            self._backward(views, len(micro_batches), last=i == len(micro_batches) - 1)
            for i, views in enumerate(micro_batches)
        ]
        norms = clip_each(self._trained.parameters(), cfg.clip or float("inf"))
        if iteration < self._frozen:
            freeze_last_layer(self.student.head)
        self._optimiser.step()
        self._loss.update_centre(torch.cat([answers for *_, answers in results]))
        follow(self.teacher, self.student, rates["teacher_momentum"])
        return Step(
            loss=_mean(loss for loss, *_ in results),
            teacher_entropy=_mean(entropy for _, entropy, _ in results),
            gradient_norm=float(norms.max()),
            **rates,
        )

    def _backward(
        self, views: Sequence[Tensor], parts: int, *, last: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Add a micro-batch's gradients; its loss, the teacher's entropy and answers (2*B, K)."""
        student = self._parallel or self._trained
        bf16 = torch.autocast(self._device.type, torch.bfloat16, enabled=self._precision == "bf16")
        with self._unsynchronised(last):
            with bf16:
                with torch.no_grad():
                    answers = self.teacher(views[:2])
                guesses = student(views)
            guesses, of_hidden = guesses if self._masked else (guesses, 0.0)
            compared = self._loss(guesses, answers, len(views))
            loss = compared.loss + of_hidden
            (loss / parts).backward()
        return loss.detach(), compared.teacher_entropy, answers

    def _unsynchronised(self, last: bool) -> AbstractContextManager[None]:
        """Processes exchange gradients with the last micro-batch alone."""
        if self._parallel is None or last:
            return nullcontext()
        context: AbstractContextManager[None] = self._parallel.no_sync()
        return context

    def _rates(self, iteration: int) -> dict[str, float]:
        """What the schedules say at a step."""
        cfg, total = self._cfg, self._cfg.iterations
        lr = cfg.lr * cfg.batch / LR_BATCH
        return {
            "lr": cosine(iteration, total, lr, min(cfg.min_lr, lr), cfg.warmup_iterations),
            "weight_decay": cosine(iteration, total, cfg.weight_decay, cfg.weight_decay_end),
            "teacher_momentum": cosine(iteration, total, cfg.teacher_momentum, 1.0),
        }

    def state_dict(self) -> dict[str, Any]:
        """Everything that a later step depends on."""
        masked = {"masked": self._masked.state_dict()} if self._masked else {}
        return masked | {
            "student": self.student.state_dict(),
            "teacher": self.teacher.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "centre": self._loss.centre,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        self.student.load_state_dict(state["student"])
        self.teacher.load_state_dict(state["teacher"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._loss.centre.copy_(state["centre"])
        if self._masked:
            self._masked.load_state_dict(state["masked"])

    def product(self) -> nn.Module:
        """The teacher's backbone: what training was for."""
        return self.teacher.backbone


def _masked_patches(backbone: ViT, cfg: DinoConfig) -> MaskedPatches | None:
    """What predicts a backbone's hidden patches; None where none are hidden."""
    if not isinstance(cfg, RegionsDinoConfig) or not cfg.masked:
        return None
    phi: Any = backbone.get_submodule("phi")
    return MaskedPatches(backbone.dim, phi[0].in_features, cfg.masked, cfg.seed + 3)


def step_seed(seed: int, iteration: int, rank: int, use: int = 0) -> int:
    """The seed of one step's random numbers in one process, for one of two uses; 63 bits."""
    return (((seed * 1_000_003 + iteration) * 4099 + rank) * 2 + use) % (1 << 63)


def _mean(values: Iterable[Tensor]) -> float:
    """Mean of scalars, over all processes."""
    return float(mean_over_processes(torch.stack(list(values)).mean()))
