"""Losses of slide-level models: survival in time bins, and Cox's partial likelihood.

Legend: B units, K time bins.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def nll(logits: Tensor, target: Tensor, event: Tensor) -> Tensor:
    """(B,) negative log-likelihood of survival in discrete time, nats.

    With hazards h = sigmoid(logits) and survival S_k = (1 - h_0) ... (1 - h_k): an event in bin k
    has the likelihood S_(k-1) * h_k, a unit censored in bin k has S_k. Computed by logarithms, so
    that no eps is needed, unlike in the paper's code (1e-7).

    Args:
        logits: (B, K).
        target: (B,) bin, 0 to K - 1.
        event: (B,) bool, whether the event was seen.

    Source: Zadeh and Schmid, IEEE TPAMI 2020; alpha 0 as in HIPT.
    """
    lived = F.logsigmoid(-logits).cumsum(1)  # (B, K) log S
    here = target[:, None]
    until = lived.gather(1, here)[:, 0]  # log S_k
    last = logits.gather(1, here)[:, 0]
    before = until - F.logsigmoid(-last)  # log S_(k-1)
    return -torch.where(event, before + F.logsigmoid(last), until)


def hazards(logits: Tensor) -> Tensor:
    """(..., K) chance of the event in each bin, for those who reach it."""
    return logits.sigmoid()


def risk_of(logits: Tensor) -> Tensor:
    """(B,) minus the sum of the survival function over (B, K): high where the event comes early.

    Source: Chen et al., CVPR 2022 (from MCAT, ICCV 2021).
    """
    return -F.logsigmoid(-logits).cumsum(1).exp().sum(1)


def cox(risk: Tensor, time: Tensor, event: Tensor) -> Tensor:
    """Mean negative partial log-likelihood over the events of a batch, nats; 0 without event.

    Args:
        risk: (B,) log hazards.
        time: (B,) months.
        event: (B,) bool, whether the event was seen.

    Source: Cox 1972; Breslow's handling of ties.
    """
    at_risk = time[None, :] >= time[:, None]  # (B, B): who is left when the row's time comes
    whole = torch.where(at_risk, risk[None, :], -torch.inf).logsumexp(1)
    losses = torch.where(event, whole - risk, torch.zeros_like(risk))
    return losses.sum() / event.sum().clamp(min=1)
