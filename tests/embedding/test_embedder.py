"""Regions in, vectors out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from hipt.config.config import PatchEncoderConfig, ViTShape
from hipt.embedding.embedder import TOGETHER, PatchEmbedder
from hipt.embedding.weights_files import load_patch_encoder
from hipt.slides.region_reader import RegionPixels

SHAPE = ViTShape(depth=1, dim=16, heads=2)

SEEN = np.ones(TOGETHER, bool)


def embedder(threads: int = 1) -> PatchEmbedder:
    encoder = load_patch_encoder(PatchEncoderConfig(random=1, shape=SHAPE))
    return PatchEmbedder(encoder, "fp32", torch.device("cpu"), threads)


def test_regions_that_are_in_flight_come_out_in_order():
    """As on a GPU, which is given a region before it is asked for the last one's vectors."""
    one = embedder()
    rng = np.random.default_rng(0)
    regions = [
        RegionPixels(k, rng.integers(0, 256, (TOGETHER, 16, 16, 3), np.uint8), SEEN)
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


NETWORKS = {
    "ours": {"random": 1, "shape": SHAPE},
    "convolutions": {"encoder": "resnet18", "random": 1, "input_px": 64},
}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("threads", [1, 3])
def test_a_vector_does_not_depend_on_how_many_are_wanted(network: str, threads: int):
    """Bit for bit on a CPU: of few or all patches, of one region or many."""
    cfg = PatchEncoderConfig.model_validate(NETWORKS[network])
    one = PatchEmbedder(load_patch_encoder(cfg), "fp32", torch.device("cpu"), threads)
    pixels = np.random.default_rng(0).integers(0, 256, (44, 64, 64, 3), np.uint8)
    ((_, whole),) = one.embedded([RegionPixels(0, pixels, np.ones(44, bool))])
    ends = [0, 7, 7, 20, 41, 42, 44]
    parts = [
        RegionPixels(k, pixels[start:end], np.ones(44, bool), np.ones(44, bool))
        for k, (start, end) in enumerate(itertools.pairwise(ends))
    ]
    together = list(one.embedded(iter(parts)))
    assert [region.region for region, _ in together] == list(range(6))
    for part, (start, end) in zip(parts, itertools.pairwise(ends), strict=True):
        np.testing.assert_array_equal(together[part.region][1], whole[start:end])
        ((_, alone),) = one.embedded([part])
        np.testing.assert_array_equal(alone, whole[start:end])


def test_regions_of_which_no_patch_is_wanted_have_no_vectors():
    none = RegionPixels(0, np.zeros((0, 64, 64, 3), np.uint8), SEEN, ~SEEN)
    ((_, vectors),) = embedder().embedded([none])
    assert vectors.shape == (0, 16)
