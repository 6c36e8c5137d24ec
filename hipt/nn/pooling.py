"""A patch's vector out of a network: its own answer, or chosen tokens of a vision transformer.

Legend: B patches, N tokens with P of them before the patch tokens (CLS, registers), D width.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from hipt.config.presets import Pooling


def pooled(network: nn.Module, pictures: Tensor, pooling: Pooling | None) -> Tensor:
    """The vectors of normalised pictures.

    Args:
        network: (B, 3, px, px) -> (B, D); with a pooling, a vision transformer of timm.
        pictures: (B, 3, px, px).
        pooling: which tokens; None: what the network gives by itself.

    Returns:
        (B, D), or (B, 2 D) of `cls+mean`: CLS first.
    """
    if pooling is None:
        made: Tensor = network(pictures)
        return made
    transformer: Any = network
    tokens: Tensor = transformer.forward_features(pictures)  # (B, N, D)
    cls = tokens[:, 0]
    if pooling == "cls":
        return cls
    mean = tokens[:, transformer.num_prefix_tokens :].float().mean(1)  # registers left out
    return mean if pooling == "mean" else torch.cat([cls.float(), mean], dim=-1)


def check_tokens(network: nn.Module, pooling: Pooling | None) -> None:
    """Refuse a pooling that a network's tokens do not allow.

    Raises:
        ValueError: if it has no tokens, no CLS token, or tokens that are normalised after pooling.
    """
    if pooling is None:
        return
    transformer: Any = network
    if not hasattr(network, "num_prefix_tokens") or not hasattr(network, "forward_features"):
        raise ValueError(f"pooling: {pooling} is of tokens, and it has none; leave pooling out")
    if pooling != "mean" and getattr(network, "cls_token", None) is None:
        raise ValueError(f"pooling: {pooling} needs a CLS token, and it has none; set mean")
    if not isinstance(getattr(transformer, "fc_norm", nn.Identity()), nn.Identity):
        raise ValueError(
            f"pooling: {pooling} needs tokens that are normalised, and it normalises what is "
            "pooled; set global_pool: token in encoder_args, or leave pooling out"
        )


class Pooled(nn.Module):
    """A network and what is taken of its answer, as one."""

    def __init__(self, network: nn.Module, pooling: Pooling | None) -> None:
        super().__init__()
        self.network, self.pooling = network, pooling

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3, px, px) -> (B, D)."""
        return pooled(self.network, pictures, self.pooling)


def width(network: nn.Module, px: int, pooling: Pooling | None) -> int:
    """The width of a network's vectors: of a pass in which shapes alone are computed.

    Args:
        network: as in `pooled`.
        px: side of its pictures.
        pooling: as in `pooled`.

    Raises:
        ValueError: if it takes no such picture, or gives anything but one vector for it.
    """
    check_tokens(network, pooling)
    whole = Pooled(network, pooling).eval()
    tensors = dict(chain(whole.named_parameters(), whole.named_buffers()))
    shapes = {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors.items()}
    picture = torch.zeros(1, 3, px, px)
    try:
        with torch.no_grad():
            try:
                made = functional_call(whole, shapes, (picture.to("meta"),))
            except Exception:  # noqa: BLE001 - not every network computes without numbers
                made = whole(picture)
    except Exception as error:  # noqa: BLE001 - networks refuse a size by errors of many kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0].removesuffix(".")
        raise ValueError(
            f"it takes no pictures of {px} px ({reason}); set input_px, or in encoder_args "
            "img_size: SIDE or dynamic_img_size: true"
        ) from None
    if not isinstance(made, Tensor):
        raise ValueError(f"it gives {type(made).__name__} and no vector")
    if made.ndim != 2 or len(made) != 1:
        shape = " x ".join(map(str, made.shape[1:]))
        raise ValueError(
            f"it gives {shape} numbers for a patch, where one vector is wanted; set pooling: cls, "
            "mean or cls+mean, or in encoder_args global_pool: token or avg"
        )
    return made.shape[1]
