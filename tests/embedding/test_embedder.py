"""Regions in, vectors out."""

from __future__ import annotations

import numpy as np
import torch

from hipt.config.config import PatchEncoderConfig, ViTShape
from hipt.embedding.embedder import PatchEmbedder
from hipt.embedding.weights_files import load_patch_encoder
from hipt.slides.region_reader import RegionPixels

SHAPE = ViTShape(depth=1, dim=16, heads=2)


def embedder(threads: int = 1) -> PatchEmbedder:
    encoder = load_patch_encoder(PatchEncoderConfig(random=1, shape=SHAPE))
    return PatchEmbedder(encoder, "fp32", torch.device("cpu"), threads)


def test_regions_that_are_in_flight_come_out_in_order():
    """As on a GPU, which is given a region before it is asked for the last one's vectors."""
    one = embedder()
    rng = np.random.default_rng(0)
    regions = [
        RegionPixels(k, rng.integers(0, 256, (4, 64, 64, 3), np.uint8), np.ones(4, bool))
        for k in range(5)
    ]
    at_once = list(one.embedded(iter(regions)))
    given: list[int] = []

    def watched():
        for region in regions:
            given.append(region.region)
            yield region

    one.ahead = 1
    for number, (region, vectors) in enumerate(one.embedded(watched())):
        assert (region.region, len(given)) == (number, min(number + 2, 5))
        np.testing.assert_array_equal(vectors, at_once[number][1])
    assert number == 4


def test_vectors_are_the_network_s_own_in_half_precision():
    one = embedder(threads=3)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 64, 64, 3), np.uint8)
    ((_, vectors),) = one.embedded([RegionPixels(0, pixels, np.ones(40, bool))])
    with torch.no_grad():
        expected = one.encoder(torch.from_numpy(pixels)).numpy()
    assert vectors.dtype == np.float16
    np.testing.assert_allclose(vectors, expected, rtol=2e-3, atol=2e-3)
