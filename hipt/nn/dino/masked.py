"""Masked patches: the student predicts vectors that it is not shown from those around them.

Legend: N large views of a micro-batch, B regions, V views of each, C channels, h, w size of a view,
T = h * w patches, D width of the backbone's vector, K the head's width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hipt.nn.dino.loss import LEAST_SPREAD, G, Network
from hipt.nn.vit import Hidden, initialise

WEIGHT = 10.0
"""Nats that an error of 1 counts for: a mean over channels has small gradients beside DINO's."""


class MaskedPatches(nn.Module):
    """What predicting needs beside the backbone, and what is left behind when training ends.

    Its weights follow from the seed; torch's own random state is neither used nor changed.
    """

    def __init__(self, dim: int, channels: int, share: float, seed: int) -> None:
        """Make a token that stands for a hidden patch, and the layer that predicts its vector.

        Args:
            dim: D.
            channels: C.
            share: of a large view's patches, that are hidden; at least one is.
            seed: decides the weights.
        """
        super().__init__()
        self.share = share
        self.token = nn.Parameter(torch.empty(1, 1, dim))
        with torch.device("meta"):  # a layer that draws no random numbers
            predict = nn.Linear(dim, channels)
        self.predict = predict.to_empty(device="cpu")
        initialise(self, seed)
        with torch.no_grad():  # torch's own for a linear layer: of 0.02 too little reaches the rest
            self.predict.weight.mul_(dim**-0.5 / 0.02 / 3**0.5)

    def hide(self, views: Tensor) -> Tensor:
        """Which patches of (N, C, h, w) are hidden: (N, T) bool, as many in every view.

        Drawn from torch's own random state, of the views' device.
        """
        count, patches = len(views), views[0, 0].numel()
        hidden = max(1, round(self.share * patches))
        order = torch.rand(count, patches, device=views.device).argsort(1)
        return order.argsort(1) < hidden


class MaskedStudent(nn.Module):
    """A student that does not see all patches of large views, and has to say what they were.

    Source: masked tokens beside DINO's loss are iBOT's (Zhou et al., ICLR 2022).
    Differs: answers are compared with the patches' own vectors, not with a teacher's answers:
    vectors of stage 1 are features already, where iBOT starts from pixels.
    """

    def __init__(self, network: Network, masked: MaskedPatches) -> None:
        super().__init__()
        self.network, self.masked = network, masked

    def forward(self, views: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """What the head says of V views of B regions, and what hidden patches add to the loss.

        Returns:
            (V*B, K) in the order of the views, and a scalar.
        """
        large = torch.cat(list(views[:G]))  # (N, C, h, w)
        places = self.masked.hide(large)  # (N, T)
        backbone: Any = self.network.backbone
        tokens = backbone.tokens(large, hidden=Hidden(places, self.masked.token))
        loss = hidden_loss(self.masked.predict(tokens[:, 1:]), large, places)
        vectors = [tokens[:, 0], *self.network.vectors(views[G:])]  # (N, D), then (B, D) each
        outputs: Tensor = self.network.head(torch.cat(vectors))
        return outputs, WEIGHT * loss


def hidden_loss(predicted: Tensor, views: Tensor, places: Tensor) -> Tensor:
    """Mean squared error of predicted vectors at hidden places; 1 for answers that are all 0.

    Every channel has mean 0 and the same spread over all patches of the views. A view's own mean
    stays in: to answer with it is the first thing that a new network learns, and by the same values
    it then answers with the mean of neighbours. Without it nothing was learned (decision 30).

    Args:
        predicted: (N, T, C).
        views: (N, C, h, w), with the vectors that were hidden.
        places: (N, T) bool, the hidden ones.

    Returns:
        A scalar, in fp32 whatever autocast says.
    """
    vectors = views.detach().float().flatten(2).mT  # (N, T, C)
    apart = vectors - vectors.mean((0, 1))
    spread = apart.square().mean((0, 1)).sqrt()  # (C,)
    wanted = apart / spread.clamp_min(LEAST_SPREAD)  # nothing is asked of a constant channel
    return F.mse_loss(predicted[places].float(), wanted[places])
