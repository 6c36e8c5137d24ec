"""Where the CPU seconds of a pretraining step go."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
import yaml
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from hipt.config.config import ViTShape
from hipt.config.pretraining import DinoConfig, GridViewsConfig, PatchViewsConfig, RegionsDinoConfig
from hipt.embedding.devices import fp32_products
from hipt.nn.dino.trainer import Trainer
from hipt.nn.dino.views import GridViews, PatchViews
from hipt.nn.encoders import HIPT_MEAN, HIPT_STD
from hipt.nn.vit import ViT, initialise, vit256, vit4096

DEMO = Path(__file__).parents[1] / "config/demo.yaml"
CPU = torch.device("cpu")
PARTS = ("views", "teacher", "student", "loss", "backward", "optimiser", "rest")
STEPS = 5
SIDE = 4096

Drawn = tuple[torch.Tensor, Callable[..., list[torch.Tensor]], Callable[[float], ViT], DinoConfig]


def linear_rate(
    device: torch.device,
    precision: Literal["fp32", "bf16"],
    clock: Callable[[], float] = time.monotonic,
) -> float:
    """Floating point operations per second of a large linear layer, as training computes it."""
    dtype = torch.float32 if precision == "fp32" else torch.bfloat16
    a = torch.randn(SIDE, SIDE, device=device, dtype=dtype)
    best = 0.0
    with fp32_products(device), torch.no_grad():
        for _ in range(STEPS):
            start = clock()
            float(torch.nn.functional.linear(a, a)[0, 0])  # waits for the device
            best = max(best, 2 * SIDE**3 / (clock() - start))
    return best


def patches(shape: ViTShape, views: dict[str, Any], dino: dict[str, Any]) -> Drawn:
    """Random blots of 256 px, their views, network and recipe."""
    cfg = DinoConfig(**dino)
    blots = torch.rand(cfg.batch, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 255
    large = torch.nn.functional.interpolate(blots, size=256, mode="bilinear")
    pixels = large.movedim(1, -1).byte().contiguous()
    cut = PatchViews(PatchViewsConfig(**views), HIPT_MEAN, HIPT_STD)
    return pixels, cut, lambda drop_path: started(vit256(shape, drop_path)), cfg


def regions(
    shape: ViTShape, width: int, side: int, views: dict[str, Any], dino: dict[str, Any]
) -> Drawn:
    """Random grids of vectors, their views, network and recipe."""
    cfg = RegionsDinoConfig(**dino)
    draw = torch.Generator().manual_seed(0)
    grids = torch.randn(cfg.batch, width, side, side, generator=draw)
    cut = GridViews(GridViewsConfig(**views))
    return grids, cut, lambda drop_path: started(vit4096(shape, width, drop_path)), cfg


def started(model: ViT) -> ViT:
    """The network with its first weights."""
    initialise(model, 0)
    return model


def cases(batch: int) -> dict[str, Drawn]:
    """Both stages, small and as in the demo."""
    demo = yaml.safe_load(DEMO.read_text())
    shapes = {name: ViTShape(**demo["embed"][name]["shape"]) for name in ("patches", "regions")}
    first, second = demo["pretrain"]["patches"], demo["pretrain"]["regions"]
    small = ViTShape(depth=6, dim=192, heads=3)
    return {
        "stage 1, 6 x 192": patches(small, {}, {"batch": batch}),
        "stage 2, 4 x 192": regions(
            ViTShape(depth=4, dim=192, heads=3), 384, 16, {}, {"batch": batch}
        ),
        "stage 1, demo": patches(shapes["patches"], first["views"], first["dino"]),
        "stage 2, demo": regions(
            shapes["regions"], shapes["patches"].dim, 4, second["views"], second["dino"]
        ),
    }


def measured(drawn: Drawn, precision: Literal["fp32", "bf16"]) -> tuple[int, Counter[str]]:
    """Operations of a step without the views, and CPU seconds of its parts in the fastest."""
    items, cut, build, cfg = drawn
    trainer = Trainer(build, cfg, 0, CPU, precision)
    generator = torch.Generator().manual_seed(0)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        trainer.step(0, [cut(items, generator)])
    spent: Counter[str] = Counter()
    since = 0.0

    def ends(part: str) -> Callable[..., None]:
        def hook(*_: object) -> None:
            nonlocal since
            now = time.process_time()
            spent[part] += now - since
            since = now

        return hook

    trainer.teacher.register_forward_pre_hook(ends("rest"))
    trainer.teacher.register_forward_hook(ends("teacher"))
    trainer.student.register_forward_hook(ends("student"))
    trainer._loss.register_forward_hook(ends("loss"))
    trainer._optimiser.register_step_pre_hook(ends("backward"))
    trainer._optimiser.register_step_post_hook(ends("optimiser"))
    steps = []
    for step in range(1, STEPS + 1):
        spent.clear()
        since = time.process_time()
        views = cut(items, generator)
        ends("views")()
        with fp32_products(CPU):
            trainer.step(step, [views])
        ends("rest")()
        steps.append(spent.copy())
    return int(counter.get_total_flops()), min(steps, key=lambda parts: parts.total())


def report(batch: int) -> None:
    """Print a table; other work on the core does not show, but for its use of caches."""
    torch.set_num_threads(1)
    print("|".join(["| step ", " precision ", " s ", *(f" {p} " for p in PARTS), " share |"]))
    print("|---" * (len(PARTS) + 4) + "|")
    for precision in ("fp32", "bf16"):
        rate = linear_rate(CPU, precision, time.process_time)
        for name, drawn in cases(batch).items():
            flops, parts = measured(drawn, precision)
            total = parts.total()
            cells = [f"{parts[part]:.3f}" for part in PARTS]
            share = f"{flops / total / rate:.0%} of {rate / 1e9:.0f} GFLOP/s"
            print(
                f"| {name} | {precision} | {total:.3f} | {' | '.join(cells)} | {share} |",
                flush=True,
            )
