"""Stage 1's views: ours, by the batch, against PIL and torchvision image by image, in one run.

    python benchmarks/bench_views.py [--patches 32] [--rounds 5]

Both make 2 views of 224 and 8 of 96 pixels from 256-pixel patches in memory, on one core. They take
turns; the best round of processor time counts, so that a busy machine disturbs little.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image, ImageFilter
from torchvision.transforms import v2

from hipt.config.pretraining import PatchViewsConfig
from hipt.nn.dino.views import PatchViews
from hipt.nn.encoders import HIPT_MEAN, HIPT_STD

Transform = Callable[[Image.Image], torch.Tensor]


class PilBlur:
    """PIL's blur, with a random radius."""

    def __init__(self, least: float, most: float) -> None:
        self.least, self.most = least, most

    def __call__(self, image: Image.Image) -> Image.Image:
        """Blurred by a random radius."""
        radius = float(torch.empty(()).uniform_(self.least, self.most))
        return image.filter(ImageFilter.GaussianBlur(radius))


def usual_view(cfg: PatchViewsConfig, view: int) -> Transform:
    """A view as torchvision makes it from a PIL image."""
    small = view == 2
    jitter = v2.ColorJitter(cfg.brightness, cfg.contrast, cfg.saturation, cfg.hue)
    steps = [
        v2.RandomResizedCrop(
            cfg.local_px if small else cfg.global_px,
            scale=cfg.local_scale if small else cfg.global_scale,
            interpolation=v2.InterpolationMode.BICUBIC,
        ),
        v2.RandomHorizontalFlip(cfg.flip),
        v2.RandomApply([jitter], cfg.jitter),
        v2.RandomGrayscale(cfg.grayscale),
        v2.RandomApply([v2.Lambda(PilBlur(*cfg.blur_sigma))], cfg.blur[view]),
        v2.RandomSolarize(128, cfg.solarise if view == 1 else 0.0),
        v2.PILToTensor(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(HIPT_MEAN, HIPT_STD),
    ]
    return v2.Compose(steps)


def tissue_like(count: int) -> torch.Tensor:
    """uint8 (count, 256, 256, 3): smooth colours and noise."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(60, 255, (count, 16, 16, 3)).repeat(16, 1).repeat(16, 2)
    return torch.from_numpy((coarse - rng.integers(0, 60, coarse.shape)).astype(np.uint8))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patches", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    cfg = PatchViewsConfig()
    patches = tissue_like(args.patches)
    ours = PatchViews(cfg, HIPT_MEAN, HIPT_STD)
    generator = torch.Generator().manual_seed(0)
    transforms = [usual_view(cfg, view) for view in (0, 1, *[2] * cfg.local_crops)]

    def image_by_image() -> list[torch.Tensor]:
        images = [Image.fromarray(patch.numpy()) for patch in patches]
        return [torch.stack([make(image) for image in images]) for make in transforms]

    ways = {"PIL, image by image": image_by_image, "ours": lambda: ours(patches, generator)}
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(args.rounds):
        for name, make in ways.items():
            start = time.process_time()
            make()
            best[name] = min(best[name], time.process_time() - start)
    print("| way | patches per processor second | ratio |\n|---|---|---|")
    for name, seconds in best.items():
        ratio = best["PIL, image by image"] / seconds
        print(f"| {name} | {args.patches / seconds:.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
