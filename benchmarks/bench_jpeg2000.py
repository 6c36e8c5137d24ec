"""JPEG 2000 tiles decoded at half their resolution, as for slides at 40x, against area means.

Half the resolution is a low pass of the codec's wavelet, not the mean of 2 x 2 pixels: the tiles'
time, the pixels' difference, and how far vectors of 2 x 2 tiles move.

python benchmarks/bench_jpeg2000.py SLIDE...
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from hipt.config.config import PatchEncoderConfig
from hipt.embedding.weights_files import load_patch_encoder
from hipt.slides.tiled_tiff import TiledTiff, tiff_claims

RGB = npt.NDArray[np.uint8]
Block = list[bytes]
"""The code streams of 2 x 2 tiles, row by row."""

BLOCKS, TIMED, MINIBATCH = 96, 40, 16


def richest_blocks(path: Path) -> list[Block]:
    """Every third of the blocks with the most bytes."""
    tiff = TiledTiff(path)
    level = tiff.level(*tiff_claims(path).sizes[0])
    corners = [
        row * level.across + column
        for row in range(0, level.down - 1, 2)
        for column in range(0, level.across - 1, 2)
    ]
    blocks = [[i, i + 1, i + level.across, i + level.across + 1] for i in corners]
    blocks.sort(key=lambda tiles: -int(level.counts[tiles].sum()))
    chosen = blocks[: len(blocks) * 2 // 3][:: max(1, len(blocks) * 2 // 3 // BLOCKS)]
    return [[tiff.data(level, tile) for tile in tiles] for tiles in chosen]


def pillow(data: bytes, halvings: int = 0) -> RGB:
    """A tile by Pillow, which can leave out the finest wavelets; imagecodecs cannot."""
    image = Image.open(io.BytesIO(data))
    image.reduce = halvings  # type: ignore[method-assign, assignment]
    return np.asarray(image)


def milliseconds(decode: Callable[[bytes], object], tiles: list[bytes]) -> float:
    """CPU time per tile, the best of three."""
    spent = []
    for _ in range(3):
        start = time.process_time()
        for tile in tiles:
            decode(tile)
        spent.append(time.process_time() - start)
    return min(spent) / len(tiles) * 1e3


def joined(tiles: list[RGB]) -> RGB:
    """2 x 2 tiles as one picture."""
    return np.concatenate([np.concatenate(tiles[:2], 1), np.concatenate(tiles[2:], 1)])


def vectors(patches: list[RGB]) -> npt.NDArray[np.float32]:
    """(N, D) by ImageNet's EfficientNet-Lite0."""
    encoder = load_patch_encoder(PatchEncoderConfig(encoder="efficientnet-lite0"))
    with torch.inference_mode():
        parts = torch.from_numpy(np.stack(patches)).split(MINIBATCH)
        return torch.cat([encoder(part) for part in parts]).numpy()


def cosines(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> str:
    """Median and least cosine of (N, D) vectors, less the mean of the first ones."""
    a, b = a - a.mean(0), b - a.mean(0)
    found = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return f"{np.median(found):.3f}, {found.min():.3f}"


def as_jpeg(patch: RGB) -> RGB:
    """A patch as it comes back from a JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(patch).save(buffer, "JPEG", quality=90)
    return np.asarray(Image.open(buffer))


def main() -> None:
    """Print a table, a row per slide."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("slides", nargs="+", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print("| slide | imagecodecs, 1 and 2 threads, CPU ms | Pillow whole, half, CPU ms | ", end="")
    print("mean difference | centred cosine, median, least | after JPEG of quality 90 |")
    print("|---|---|---|---|---|---|")
    for path in args.slides:
        blocks = richest_blocks(path)
        tiles = [tile for block in blocks[:TIMED] for tile in block]
        one, two = (partial(imagecodecs.jpeg2k_decode, numthreads=n) for n in (1, 2))
        ms = [milliseconds(f, tiles) for f in (one, two, pillow, partial(pillow, halvings=1))]
        whole = [joined([one(tile) for tile in block]) for block in blocks]
        size = (whole[0].shape[1] // 2, whole[0].shape[0] // 2)
        means = [cv2.resize(w, size, interpolation=cv2.INTER_AREA) for w in whole]
        halves = [joined([pillow(tile, 1) for tile in block]) for block in blocks]
        difference = np.abs(np.stack(means).astype(int) - np.stack(halves)).mean()
        true = vectors(means)
        moved, yardstick = (
            cosines(true, vectors(patches)) for patches in (halves, [as_jpeg(p) for p in means])
        )
        print(
            f"| {path.stem} ({len(blocks)} patches) | {ms[0]:.2f}, {ms[1]:.2f} | {ms[2]:.2f}, "
            f"{ms[3]:.2f} | {difference:.1f} | {moved} | {yardstick} |"
        )


if __name__ == "__main__":
    main()
