"""What every bag model has in common: sizes in, logits and attention out; and its small layers.

Legend: B bags, M instances, K outputs (classes, time bins, or one risk).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from hipt.nn.mil.bags import Bags


@dataclass(frozen=True)
class Sizes:
    """What a bag model is built from.

    Attributes:
        in_dim: width of the vectors in a bag: D of regions, or C of patches in grids.
        outputs: K.
        dropout: share of units dropped in training.
        width: of the hidden layers; None takes the model's own.
        stage2: (N, C, side, side) -> (N, D), for models that take grids through ViT4096.
    """

    in_dim: int
    outputs: int
    dropout: float = 0.25
    width: int | None = None
    stage2: nn.Module | None = None


class Output(NamedTuple):
    """A model's answer to B bags.

    Attributes:
        logits: (B, K).
        attention: (B, M), sums to 1 over a bag's instances, 0 on padding.
        loss: scalar, to be added to `bag_weight` times the loss of the logits; mostly 0.
    """

    logits: Tensor
    attention: Tensor
    loss: Tensor


class BagModel(nn.Module):
    """Bags to answers; each model says how in `answer`.

    Attributes:
        grids: whether the bags hold grids of patches (B, M, T, C) and not region vectors.
        clustered: whether the bags have to come with clusters.
        placed: whether the model looks at positions, where there are some.
        bag_weight: what the loss of the logits is multiplied by before `Output.loss` is added.
    """

    grids: ClassVar[bool] = False
    clustered: ClassVar[bool] = False
    placed: ClassVar[bool] = False
    bag_weight: ClassVar[float] = 1.0

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.outputs = sizes.outputs

    def answer(self, bags: Bags) -> tuple[Tensor, Tensor]:
        """Logits (B, K) and attention (B, M)."""
        raise NotImplementedError

    def forward(self, bags: Bags, labels: Tensor | None = None) -> Output:
        """Answer for bags.

        Args:
            bags: B of them.
            labels: (B,) long; only models with a loss of their own look at them, in training.

        Raises:
            ValueError: if the bags hold something else than the model takes.
        """
        del labels
        self.check(bags)
        logits, attention = self.answer(bags)
        return Output(logits, attention, logits.new_zeros(()))

    def check(self, bags: Bags) -> None:
        """Raise ValueError where the bags do not fit the model."""
        if (bags.features.ndim == 4) != self.grids:
            wanted = "grids (B, M, T, C)" if self.grids else "region vectors (B, M, D)"
            raise ValueError(f"the model takes {wanted}, got {tuple(bags.features.shape)}")
        if self.clustered and bags.clusters is None:
            raise ValueError("the model needs the cluster of each instance: Bags.clusters")


def dense(in_dim: int, out_dim: int, dropout: float) -> nn.Sequential:
    """Linear, ReLU, dropout."""
    return nn.Sequential(nn.Linear(in_dim, out_dim), nn.ReLU(), nn.Dropout(dropout))


def xavier(model: nn.Module) -> None:
    """Start all linear layers by Glorot's normal distribution, biases 0."""
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
