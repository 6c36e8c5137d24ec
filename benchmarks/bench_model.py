"""What pays for stage 1's model on this device, and what it changes in the vectors.

    python benchmarks/bench_model.py [--seconds 10] [--sizes 8 16 32 64] [--compile]

Precision, compiling, and patches per minibatch: ViT256-16 with random weights on patches in the
device's memory; on a CPU a minibatch per thread, as hipt computes. *of fp32*: the rate over that of
fp32 in minibatches of the same size. Vectors are compared with fp32's: the largest difference in
units of their standard deviation, and the smallest cosine. *cast* is autocast, which hipt uses:
weights in fp32, products in bf16; *weights*: all of the network in bf16.
"""

from __future__ import annotations

import argparse
import copy
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from hipt.config.config import PatchEncoderConfig
from hipt.embedding.devices import device_name
from hipt.embedding.embedder import MINIBATCH
from hipt.embedding.rates import again, flops_per_patch, product_rate, rate_of
from hipt.embedding.weights_files import load_patch_encoder
from hipt.nn.encoders import PatchEncoder

PX, COMPARED = 256, 64
Way = Callable[[Tensor], Tensor]


def ways(encoder: PatchEncoder, compiled: bool) -> dict[str, Way]:
    """The encoder in several ways: uint8 (B, px, px, 3) -> (B, D)."""
    kind = encoder.mean.device.type

    def autocast(model: Way) -> Way:
        def cast(pixels: Tensor) -> Tensor:
            with torch.autocast(kind, torch.bfloat16):
                return model(pixels)

        return cast

    whole = copy.deepcopy(encoder).to(torch.bfloat16)

    def weights(pixels: Tensor) -> Tensor:
        x = (pixels.movedim(-1, 1).float() / 255 - encoder.mean) / encoder.std
        out: Tensor = whole.model(x.to(torch.bfloat16))
        return out.float()

    found: dict[str, Way] = {
        "fp32": encoder,
        "bf16 cast": autocast(encoder),
        "bf16 weights": weights,
    }
    if compiled:
        found["fp32, compiled"] = torch.compile(encoder, dynamic=False)
        found["bf16 cast, compiled"] = autocast(torch.compile(encoder, dynamic=False))
        if kind == "cuda":
            graphs = torch.compile(encoder, dynamic=False, mode="reduce-overhead")
            found["bf16 cast, compiled, CUDA graphs"] = autocast(graphs)
    return found


def measured(way: Way, pixels: Tensor, threads: int, seconds: float) -> tuple[float, float]:
    """Patches per second of minibatches, on a CPU so many at once; and seconds of the first."""

    def one(_: int) -> Tensor:
        with torch.no_grad():
            return way(pixels)

    def work() -> int:
        with ThreadPoolExecutor(threads) as pool:
            done = list(pool.map(one, range(4 * threads)))
        float(done[-1].sum())  # waits for the device
        return len(done) * len(pixels)

    start = time.monotonic()
    float(one(0).sum())
    first_s = time.monotonic() - start
    work()
    return rate_of(again(work), seconds), first_s


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    size, cores = MINIBATCH[device.type], len(os.sched_getaffinity(0))
    parser.add_argument("--sizes", type=int, nargs="+", default=[size // 2, size, 2 * size])
    parser.add_argument("--threads", type=int, default=cores if device.type == "cpu" else 1)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    encoder = load_patch_encoder(PatchEncoderConfig(random=1)).to(device)
    generator = torch.Generator().manual_seed(0)
    shape = max(COMPARED, *args.sizes), PX, PX, 3
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator).to(device)
    flops = flops_per_patch(encoder, PX)
    torch.set_num_threads(args.threads)
    peaks = {kind: product_rate(device, kind) for kind in ("fp32", "bf16")}
    torch.set_num_threads(1)
    print(f"{device_name(device)}, {args.threads} threads, torch {torch.__version__};", end=" ")
    print(f"{flops / 1e9:.2f} GFLOP per patch; 4096^3 products:", end=" ")
    print(", ".join(f"{kind} {peak / 1e12:.2f} TFLOP/s" for kind, peak in peaks.items()))
    print("| way | minibatch | patches/s | of fp32 | of its product's rate | first, s |", end="")
    print(" largest difference, sd | smallest cosine |\n" + "|---" * 8 + "|")
    plain: dict[int, float] = {}
    with torch.no_grad():
        expected = encoder(pixels[:COMPARED]).cpu()
        for name, way in ways(encoder, args.compile).items():
            peak = peaks["fp32" if name.startswith("fp32") else "bf16"]
            for size in args.sizes:
                rate, first_s = measured(way, pixels[:size], args.threads, args.seconds)
                plain.setdefault(size, rate)
                parts = pixels[:COMPARED].split(size)
                found = torch.cat([way(part).float().cpu() for part in parts])
                off = float((found - expected).abs().max() / expected.std())
                cosine = float(torch.cosine_similarity(found, expected).min())
                print(
                    f"| {name} | {size} | {rate:.2f} | {rate / plain[size]:.2f} "
                    f"| {rate * flops / peak:.0%} | {first_s:.1f} | {off:.4f} | {cosine:.5f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
