"""What a fold's fit leaves: its weights, and what it says of the units that it never saw."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from hipt.embedding.weights_files import read_weights, write_weights
from hipt.errors import HiptError
from hipt.store.provenance import Provenance

_WEIGHT, _CURVE, _LOGITS, _ATTENTION = "weights.", "curve", "logits", "attention"
_CALIBRATED = "calibrated"


@dataclass(frozen=True)
class FoldFit:
    """One fold of one model."""

    units: tuple[str, ...]
    """The test units, rising."""
    logits: Tensor
    """(n, K) of the test units."""
    attention: tuple[Tensor, ...]
    """Per test unit (m,), over its regions in order; nothing for models without."""
    chosen: int
    """The row of `curve` whose weights these are."""
    curve: Tensor
    """(E, 2) training and validation loss; per epoch, or per penalty (training: the penalty)."""
    weights: Mapping[str, Tensor]
    calibrated: Tensor | None = None
    """(n, K) probabilities of the test units at the classes' prevalence; None for survival."""
    slope: float | None = None
    """Of the calibration, see `stats.recalibration`."""
    software: Mapping[str, str] = field(default_factory=dict)
    """Versions, device and precision that it was fitted with."""


def write_fold(path: Path, fit: FoldFit, provenance: Provenance) -> None:
    """Write a fold's fit, whole or not at all."""
    tensors = {f"{_WEIGHT}{name}": value for name, value in fit.weights.items()}
    tensors |= {_CURVE: fit.curve, _LOGITS: fit.logits}
    if fit.attention:
        tensors[_ATTENTION] = torch.cat(fit.attention)
    if fit.calibrated is not None:
        tensors[_CALIBRATED] = fit.calibrated
    facts = {
        "units": list(fit.units),
        "regions": [len(values) for values in fit.attention],
        "chosen": fit.chosen,
        "slope": fit.slope,
    }
    write_weights(path, tensors, {**asdict(provenance), "fold": json.dumps(facts)})


def read_fold(path: Path, fingerprint: str | None = None) -> FoldFit | None:
    """A fold's fit; None if it is absent, or not the one of that fingerprint.

    Raises:
        HiptError: if the file is there and no fold's fit.
    """
    if not path.exists():
        return None
    weights = read_weights(path)
    try:
        facts = json.loads(weights.metadata["fold"])
        if fingerprint is not None and weights.metadata.get("fingerprint") != fingerprint:
            return None
        parts: Sequence[Tensor] = ()
        if _ATTENTION in weights.state:
            parts = torch.split(weights.state[_ATTENTION], facts["regions"])
        return FoldFit(
            units=tuple(facts["units"]),
            logits=weights.state[_LOGITS],
            attention=tuple(parts),
            chosen=int(facts["chosen"]),
            curve=weights.state[_CURVE],
            weights={
                name.removeprefix(_WEIGHT): value
                for name, value in weights.state.items()
                if name.startswith(_WEIGHT)
            },
            calibrated=weights.state.get(_CALIBRATED),
            slope=facts.get("slope"),
            software=dict(weights.metadata.get("software", {})),
        )
    except (KeyError, ValueError, TypeError, RuntimeError):
        raise HiptError(f"{path}: is no fold of a fit; delete it, and it is made again") from None
