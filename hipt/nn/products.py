"""Products with weight matrices in fp32 by oneDNN, where torch's own way (MKL) is half as fast.

MKL uses AVX-512 on Intel's CPUs alone.

The operation is the one that torch.compile puts in place of a linear layer on a CPU.

Legend: N rows, I and O width of what goes in and comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


class OneDnnLinear(TorchFunctionMode):
    """Within it, `F.linear` in fp32 on a CPU is computed by oneDNN, with its gradient."""

    @staticmethod
    def is_there() -> bool:
        """Whether this torch has the operation, which is no public one."""
        built: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        return built and hasattr(torch.ops.mkldnn, "_linear_pointwise")

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Call `func`, or what stands in for it."""
        if func is F.linear and not kwargs and _in_fp32(args[0]):
            return _Linear.apply(*args)
        return func(*args, **kwargs or {})


def _in_fp32(x: Tensor) -> bool:
    """Whether a product with this tensor is one of fp32 on a CPU."""
    own = x.device.type == "cpu" and x.dtype == torch.float32
    return own and not torch.is_autocast_enabled("cpu")


class _Linear(torch.autograd.Function):
    """A linear layer: (..., I) and weights (O, I) to (..., O)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(x, weight)
        ctx.biased = bias is not None
        return _product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        (gradient,) = gradients
        x, weight = ctx.saved_tensors
        of_x, of_weight, *_ = ctx.needs_input_grad
        rows = gradient.flatten(0, -2)  # (N, O)
        return (
            _product(gradient, weight.mT) if of_x else None,
            _product(rows.mT, x.flatten(0, -2).mT) if of_weight else None,
            rows.sum(0) if ctx.biased else None,
        )


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """(..., I) times the transpose of (O, I): (..., O)."""
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return out
