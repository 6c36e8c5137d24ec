"""Which patches a region's and a slide's answer come from: attention, and contributions.

Legend: N patches of a slide, C width of a patch's vector, W windows (regions, or shifted ones), T
patches in a window, H heads, R regions of a bag, D width of a region's vector, K answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from hipt.nn.mil import BagModel, Bags
from hipt.nn.vit import ViT

MINIBATCH = 32
"""Windows per pass."""

STEPS = 4
"""Places on the way from the slide's mean patch at which the network is asked for its gradient."""


@torch.no_grad()
def window_attention(model: ViT, vectors: Tensor, windows: Tensor) -> Tensor:
    """Stage 2's attention to every patch, the mean over the windows that hold it.

    The windows of shifted grids are true shifts of the image, since a patch's vector does not
    depend on its region. Differs: the original code moves the finished map instead, which leaves
    ghosts of it.

    Args:
        model: ViT4096.
        vectors: (N, C).
        windows: (W, T) patches of each window, row by row.

    Returns:
        (N, H); 0 for a patch that no window holds.
    """
    heads = model.heads
    total = torch.zeros(len(vectors), heads)
    count = torch.zeros(len(vectors), 1)
    for part in torch.split(windows, MINIBATCH):
        weights = model.attention(_grids(vectors, part))  # (w, H, T)
        total.index_add_(0, part.flatten(), weights.transpose(1, 2).reshape(-1, heads).cpu())
        count.index_add_(0, part.flatten(), torch.ones(part.numel(), 1))
    return total / count.clamp(min=1)


def contributions(model: ViT, vectors: Tensor, regions: Tensor, gradient: Tensor) -> Tensor:
    """How far each patch moves an answer up or down, through stage 2.

    Integrated gradients: of the answer, by the patch's vector, the mean over the straight way from
    a region of nothing but the slide's mean patch to the region as it is; times what the patch has
    beyond that mean. Of a region they sum to what the answer gains on this way. The gradient at
    the region alone finds less, since layer norm and attention are saturated there.

    Args:
        model: ViT4096.
        vectors: (N, C).
        regions: (R, T) patches of each region, row by row.
        gradient: (R, D) gradient of the answer by each region's vector.

    Returns:
        (N,); 0 for a patch in no region.

    Source: Sundararajan et al., arXiv:1703.01365, Sec. 3, by the midpoint rule.
    """
    shares = vectors.new_zeros(len(vectors))
    mean = vectors.mean(0)
    beyond = vectors - mean
    for part, towards in zip(
        torch.split(regions, MINIBATCH), torch.split(gradient, MINIBATCH), strict=True
    ):
        by_patch = torch.zeros_like(beyond[part])  # (w, T, C)
        for step in range(STEPS):
            with torch.enable_grad():
                grids = _grids(mean + (step + 0.5) / STEPS * beyond, part).requires_grad_()
                (by_grid,) = torch.autograd.grad((model(grids) * towards).sum(), grids)
            by_patch += by_grid.flatten(2).transpose(1, 2) / STEPS
        shares[part.flatten()] = (by_patch * beyond[part]).sum(-1).flatten()
    return shares


def mean_contributions(vectors: Tensor, shares: Tensor, gradient: Tensor) -> Tensor:
    """How far each patch moves an answer where a region's vector is a mean; as `contributions`.

    Args:
        vectors: (N, C), region after region.
        shares: (R, T) what each patch counts in its region's mean.
        gradient: (R, C) gradient of the answer by each region's vector.

    Returns:
        (N,).
    """
    beyond = (vectors - vectors.mean(0)).view(*shares.shape, -1)  # (R, T, C)
    return (shares * (beyond * gradient[:, None]).sum(-1)).flatten()


def answer_gradients(
    model: BagModel, bags: Bags, answers: Sequence[Callable[[Tensor], Tensor]]
) -> list[Tensor]:
    """The gradient of answers of a fitted slide model by the vectors of its one bag.

    Args:
        model: takes region vectors.
        bags: one bag of R regions.
        answers: each makes one number of the (1, K) logits.

    Returns:
        Per answer (R, D).
    """
    model.eval()
    with torch.enable_grad():
        features = bags.features.detach().requires_grad_()
        logits = model(Bags(features, bags.mask, bags.positions, bags.clusters)).logits
        return [
            torch.autograd.grad(answer(logits), features, retain_graph=True)[0][0]
            for answer in answers
        ]


def _grids(vectors: Tensor, windows: Tensor) -> Tensor:
    """(W, C, side, side) the windows' grids of vectors."""
    side = round(windows.shape[1] ** 0.5)
    grids = vectors[windows].transpose(1, 2)  # (W, C, T)
    return grids.reshape(len(windows), -1, side, side).contiguous()
