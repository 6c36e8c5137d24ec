"""Networks as their authors' code computes and names them, and files as they publish them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

Save = Callable[[nn.Module, Path], Path]
ONE = torch.ones(3)


class Attention(nn.Module):
    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.qkv, self.proj, self.heads = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim), heads

    def forward(self, x: Tensor) -> Tensor:
        b, t, d = x.shape
        q, k, v = self.qkv(x).reshape(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) * (d // self.heads) ** -0.5).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(b, t, d))


class Mlp(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class SwiGLU(nn.Module):
    """DINOv2's `SwiGLUFFNFused`: two thirds of the width, rounded up to a multiple of 8."""

    def __init__(self, dim: int):
        super().__init__()
        hidden = (int(4 * dim * 2 / 3) + 7) // 8 * 8
        self.w12, self.w3 = nn.Linear(dim, 2 * hidden), nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.w12(x).chunk(2, dim=-1)
        return self.w3(F.silu(gate) * value)


class LayerScale(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Block(nn.Module):
    def __init__(self, dim: int, heads: int, swiglu: bool):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.attn, self.mlp = Attention(dim, heads), SwiGLU(dim) if swiglu else Mlp(dim)
        self.ls1, self.ls2 = LayerScale(dim), LayerScale(dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class PatchEmbed(nn.Module):
    def __init__(self, dim: int, patch: int):
        super().__init__()
        self.proj = nn.Conv2d(3, dim, patch, patch)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).flatten(2).transpose(1, 2)


class Dinov2(nn.Module):
    """`DinoVisionTransformer` of facebookresearch/dinov2 at the side of its positions."""

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        depth: int = 2,
        patch: int = 14,
        registers: int = 0,
        swiglu: bool = False,
    ):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + (224 // patch) ** 2, dim))
        if registers:
            self.register_tokens = nn.Parameter(torch.zeros(1, registers, dim))
        self.registers = registers
        self.mask_token = nn.Parameter(torch.zeros(1, dim))
        self.patch_embed = PatchEmbed(dim, patch)
        self.blocks = nn.ModuleList([Block(dim, heads, swiglu) for _ in range(depth)])
        self.norm = nn.LayerNorm(dim, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, 224, 224) -> (B, 1 + registers + T, D)."""
        x = self.patch_embed(x)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1) + self.pos_embed
        if self.registers:
            registers = self.register_tokens.expand(len(x), -1, -1)
            x = torch.cat([x[:, :1], registers, x[:, 1:]], dim=1)
        for entry in self.blocks:
            for block in entry if isinstance(entry, nn.ModuleList) else [entry]:
                x = block(x)
        return self.norm(x)


def in_chunks(network: Dinov2) -> Dinov2:
    """The same, with each block in a chunk of its own, which keeps its number by empty places."""
    chunks = [nn.ModuleList([nn.Identity()] * i + [x]) for i, x in enumerate(network.blocks)]
    network.blocks = nn.ModuleList(chunks)
    return network


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow pads: more on the right and below."""

    def forward(self, x: Tensor) -> Tensor:
        (k, _), (s, _), side = self.kernel_size, self.stride, x.shape[-1]
        pad = max((-(-side // s) - 1) * s + k - side, 0)
        before, after = pad // 2, pad - pad // 2
        return super().forward(F.pad(x, (before, after, before, after)))


def norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-3)


class MBConv(nn.Module):
    def __init__(self, width_in: int, width: int, kernel: int, stride: int, expand: int):
        super().__init__()
        inner = width_in * expand
        self.expands, self.skips = expand > 1, stride == 1 and width_in == width
        if self.expands:
            self._expand_conv = nn.Conv2d(width_in, inner, 1, bias=False)
            self._bn0 = norm(inner)
        self._depthwise_conv = SameConv(inner, inner, kernel, stride, groups=inner, bias=False)
        self._bn1 = norm(inner)
        self._project_conv = nn.Conv2d(inner, width, 1, bias=False)
        self._bn2 = norm(width)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        out = F.relu6(self._bn1(self._depthwise_conv(out)))
        out = self._bn2(self._project_conv(out))
        return out + x if self.skips else out


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 of EfficientNet-PyTorch, whose names `efficientnet-lite0-*.pth` has."""

    # Of a stage: blocks, kernel, stride, expansion, width.
    STAGES = (
        *((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80)),
        *((3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)),
    )

    def __init__(self):
        super().__init__()
        self._conv_stem, self._bn0 = SameConv(3, 32, 3, 2, bias=False), norm(32)
        self._blocks, width_in = nn.ModuleList(), 32
        for count, kernel, stride, expand, width in self.STAGES:
            for i in range(count):
                block = MBConv(width_in, width, kernel, 1 if i else stride, expand)
                self._blocks.append(block)
                width_in = width
        self._conv_head, self._bn1 = nn.Conv2d(320, 1280, 1, bias=False), norm(1280)
        self._fc = nn.Linear(1280, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, px, px) -> (B, 1280), what its classifier takes."""
        x = F.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        return F.relu6(self._bn1(self._conv_head(x))).mean((2, 3))


def scattered(network: nn.Module) -> nn.Module:
    """Every tensor at random, and none so small that a block would not show in the vectors."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point() and tensor.ndim == 1:
                tensor.uniform_(0.5, 1.5, generator=generator)
            elif tensor.is_floating_point() and tensor.ndim > 1:
                fan_in = tensor[0].numel() if tensor.shape[0] > 1 else 1
                tensor.normal_(0, fan_in**-0.5, generator=generator)
    return network.eval()


def bare(network: nn.Module, folder: Path) -> Path:
    torch.save(network.state_dict(), folder / "pytorch_model.bin")
    return folder / "pytorch_model.bin"


def safe(network: nn.Module, folder: Path) -> Path:
    save_file(network.state_dict(), folder / "model.safetensors")
    return folder / "model.safetensors"


def hugging_face(network: Any, folder: Path) -> Path:
    network.save_pretrained(folder)
    return folder / "model.safetensors"


def under(prefix: str) -> Save:
    def save(network: nn.Module, folder: Path) -> Path:
        torch.save({prefix + k: x for k, x in network.state_dict().items()}, folder / "w.pth")
        return folder / "w.pth"

    return save


def teacher(network: nn.Module, folder: Path) -> Path:
    """As DINOv2 saves its teacher: a backbone beside the heads of the training."""
    state = {f"backbone.{name}": x for name, x in network.state_dict().items()}
    state |= {"dino_head.mlp.0.weight": ONE, "ibot_head.last_layer.weight_v": ONE}
    torch.save({"teacher": state}, folder / "teacher_checkpoint.pth")
    return folder / "teacher_checkpoint.pth"


def openclip(network: nn.Module, folder: Path) -> Path:
    state = {f"visual.trunk.{name}": x for name, x in network.state_dict().items()}
    beside = {"visual.head.proj.weight", "text.transformer.resblocks.0.mlp.c_fc.weight"}
    torch.save({"state_dict": state | dict.fromkeys(beside, ONE)}, folder / "open_clip.pt")
    return folder / "open_clip.pt"


def keep(network: nn.Module, folder: Path) -> Path:
    """KEEP: a model of transformers, which once wrote `weight` for `gamma`, texts beside it."""
    state = {name.replace("gamma", "weight"): x for name, x in network.state_dict().items()}
    state["text.encoder.layer.0.attention.self.query.weight"] = ONE.clone()
    save_file(state | {"logit_scale": torch.tensor(3.2)}, folder / "model.safetensors")
    return folder / "model.safetensors"
