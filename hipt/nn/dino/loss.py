"""DINO: a student learns to give every view of a thing the answer of its own slow average.

Legend: B things per batch, V views of each, G = 2 large views, which alone the teacher sees;
C channels, h, w size of a view, D width of the backbone's vector, K width of the head's output.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from hipt.config.pretraining import DinoConfig
from hipt.nn.vit import initialise

G = 2

COLLAPSE = 1e-3
"""How near to 0 or log K an entropy counts as there, as a share of log K."""


LEAST_SPREAD = 1e-6
"""What differs less, by rounding, is alike."""


class UnitRows(nn.Module):
    """A linear layer without bias whose rows have norm 1, however long the parameter's are."""

    def __init__(self, in_dim: int, out_dim: int, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        bound = in_dim**-0.5  # torch's own for a linear layer, which the released code keeps here
        weight = torch.empty(out_dim, in_dim).uniform_(-bound, bound, generator=generator)
        self.weight = nn.Parameter(weight)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in) -> (N, out)."""
        return F.linear(x, F.normalize(self.weight, dim=1))


class DinoHead(nn.Module):
    """Three layers, a vector of norm 1, and its cosines with K learnt directions.

    Its weights follow from `cfg.seed`; torch's own random state is neither used nor changed.

    Source: Caron et al., ICCV 2021.
    """

    def __init__(self, in_dim: int, cfg: DinoConfig) -> None:
        """Build the head for vectors `in_dim` wide (D)."""
        super().__init__()
        with torch.device("meta"):  # layers that draw no random numbers
            first = nn.Linear(in_dim, cfg.hidden_dim)
            second = nn.Linear(cfg.hidden_dim, cfg.hidden_dim)
            third = nn.Linear(cfg.hidden_dim, cfg.bottleneck_dim)
        self.mlp = nn.Sequential(first, nn.GELU(), second, nn.GELU(), third).to_empty(device="cpu")
        initialise(self.mlp, cfg.seed + 1)  # other numbers than a backbone of the same seed
        self.last_layer = UnitRows(cfg.bottleneck_dim, cfg.out_dim, cfg.seed + 2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, D) -> (N, K), cosines between -1 and 1, in fp32 whatever autocast says."""
        vectors = _wide(self.mlp(x))
        # bf16 would round cosines by 0.004, which the teacher's temperature of 0.04 makes 0.1
        with torch.autocast(x.device.type, enabled=False):
            out: Tensor = self.last_layer(F.normalize(vectors, dim=-1))
        return out


class Network(nn.Module):
    """Student or teacher: a backbone, (N, C, h, w) -> (N, D), and a head."""

    def __init__(self, backbone: nn.Module, head: DinoHead) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, views: Sequence[Tensor]) -> Tensor:
        """The head's outputs, view after view.

        Args:
            views: V times (B, C, h, w); those of one size pass the backbone together.

        Returns:
            (V*B, K), in the order of the views.
        """
        out: Tensor = self.head(torch.cat(self.vectors(views)))
        return out

    def vectors(self, views: Sequence[Tensor]) -> list[Tensor]:
        """The backbone's (B, D) of every view; those of one size pass it together."""
        sizes: dict[torch.Size, list[int]] = {}
        for i, view in enumerate(views):
            sizes.setdefault(view.shape, []).append(i)
        vectors: dict[int, Tensor] = {}
        for same in sizes.values():
            together = self.backbone(torch.cat([views[i] for i in same]))  # (len(same)*B, D)
            vectors.update(zip(same, together.chunk(len(same)), strict=True))
        return [vectors[i] for i in range(len(views))]


class Parts(NamedTuple):
    """A batch's loss, and how the teacher answered, without gradient.

    Attributes:
        loss: scalar, mean cross-entropy, nats.
        teacher_entropy: scalar, mean entropy of the teacher's distributions, nats.
        centre: (1, K) mean of the teacher's outputs over this process' batch.
    """

    loss: Tensor
    teacher_entropy: Tensor
    centre: Tensor


class DinoLoss(nn.Module):
    """Cross-entropy of each student view with each other view of the teacher; keeps the centre.

    Source: Caron et al., ICCV 2021.
    """

    centre: Tensor

    def __init__(self, cfg: DinoConfig) -> None:
        super().__init__()
        self._cfg = cfg
        self.register_buffer("centre", torch.zeros(1, cfg.out_dim))

    def forward(self, student: Tensor, teacher: Tensor, views: int) -> Parts:
        """Compare; the centre stays as it is. In fp32 at least, whatever autocast says.

        Args:
            student: (V*B, K) view after view, the two large ones first.
            teacher: (2*B, K), of the two large views; no gradient reaches it.
            views: V, at least 2.

        Raises:
            ValueError: if the numbers of rows do not fit each other.
        """
        B = teacher.shape[0] // G
        if views < G or (len(student), len(teacher)) != (views * B, G * B):
            raise ValueError(f"{len(student)} and {len(teacher)} rows do not fit {views} views")
        answers = _wide(teacher.detach())
        log_p = (self._centred(answers) / self._cfg.teacher_temp).log_softmax(-1)
        p = log_p.exp()
        entropy = -(p * log_p).sum(-1).mean()
        targets = p.reshape(G, B, -1)  # (G, B, K)
        both = targets.sum(0)
        loss = both.new_zeros(())
        for v, rows in enumerate(student.chunk(views)):  # (B, K) each
            own = (_wide(rows) / self._cfg.student_temp).log_softmax(-1)
            loss = loss - ((targets[1 - v] if v < G else both) * own).sum()
        pairs = G * (views - 1)
        return Parts(loss / (pairs * B), entropy, answers.mean(0, keepdim=True))

    def _centred(self, answers: Tensor) -> Tensor:
        """(2*B, K) answers less the centre; in units of their own spread, where that is asked for.

        A new network's answers differ by 0.005 from view to view, an eighth of the temperature:
        all outputs are alike then, and a student that learns them gives answers that differ less.
        """
        if not self._cfg.standardise:
            return answers - self.centre
        apart = answers - answers.mean(0)  # of this batch: a centre that lags makes all views alike
        return apart / apart.square().mean().sqrt().clamp_min(LEAST_SPREAD)

    @torch.no_grad()
    def update_centre(self, teacher: Tensor) -> None:
        """Move the centre towards the mean of (N, K) outputs over all GPUs; N is equal on each."""
        mean = mean_over_processes(_wide(teacher).mean(0, keepdim=True))  # (1, K)
        self.centre.lerp_(mean.to(self.centre.dtype), 1 - self._cfg.centre_momentum)


def mean_over_processes(values: Tensor) -> Tensor:
    """The mean of what all processes that train together give; the values where there is one."""
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(values)
        values /= dist.get_world_size()
    return values


def freeze_last_layer(head: DinoHead) -> None:
    """Drop the last layer's gradient, so that the optimiser passes it over."""
    head.last_layer.weight.grad = None


def collapsed(teacher_entropy: float, out_dim: int) -> str | None:
    """Why the teacher's outputs no longer tell one thing from another; None while they may.

    Args:
        teacher_entropy: `Parts.teacher_entropy`, nats, better over many batches than of one.
        out_dim: K.
    """
    most = math.log(out_dim)
    message = f"the teacher's entropy is {teacher_entropy:.4g} of at most {most:.4g} nats: "
    if not math.isfinite(teacher_entropy):
        return message + "its outputs are not finite"
    if teacher_entropy <= COLLAPSE * most:
        return message + "every answer is a single output"
    if teacher_entropy >= (1 - COLLAPSE) * most:
        return message + "every answer is all outputs alike"
    return None


def diverged(loss: float) -> str | None:
    """Why the run cannot go on with this loss; None if it can."""
    return None if math.isfinite(loss) else f"the loss is {loss}"


def _wide(x: Tensor) -> Tensor:
    """In fp32; fp64 stays."""
    return x if x.dtype == torch.float64 else x.float()
