"""The bag models by name; docs/models.md says what each is."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from torch import nn

from hipt.nn.mil.clam import ClamSb
from hipt.nn.mil.clusters import DeepAttnMisl
from hipt.nn.mil.dsmil import Dsmil
from hipt.nn.mil.graph import Dgcn
from hipt.nn.mil.hipt import Hipt, HiptOnGrids, HiptWsi
from hipt.nn.mil.model import BagModel, Sizes
from hipt.nn.mil.single import Abmil, Max, Mean
from hipt.nn.mil.two_level import TwoLevel

MODELS: Mapping[str, type[BagModel]] = MappingProxyType(
    {
        "hipt": Hipt,
        "hipt_wsi": HiptWsi,
        "hipt_finetuned": HiptOnGrids,
        "hipt_scratch": HiptOnGrids,
        "hipt_n": TwoLevel,
        "mean": Mean,
        "max": Max,
        "abmil": Abmil,
        "clam_sb": ClamSb,
        "dsmil": Dsmil,
        "deepattnmisl": DeepAttnMisl,
        "dgcn": Dgcn,
    }
)


def build(
    name: str,
    in_dim: int,
    outputs: int,
    *,
    dropout: float = 0.25,
    stage2: nn.Module | None = None,
    width: int | None = None,
) -> BagModel:
    """A bag model with fresh weights, which follow from torch's random state.

    Args:
        name: one of MODELS.
        in_dim: width of the vectors in a bag: of regions, or of patches where it takes grids.
        outputs: classes, time bins, or 1.
        dropout: share of units dropped in training.
        stage2: ViT4096, (N, C, side, side) -> (N, D), for hipt_finetuned and hipt_scratch alone.
        width: of the hidden layers; None takes the model's own.

    Raises:
        ValueError: if there is no such model, or stage2 is missing or out of place.
    """
    if name not in MODELS:
        raise ValueError(f"there is no model '{name}': {', '.join(MODELS)}")
    kind = MODELS[name]
    if (stage2 is not None) != (kind is HiptOnGrids):
        raise ValueError(f"{name} {'needs a' if stage2 is None else 'takes no'} stage2")
    return kind(Sizes(in_dim, outputs, dropout, width, stage2))
