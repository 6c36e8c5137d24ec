"""Clusters of regions: heaps are found again, and there are no more centres than regions."""

from __future__ import annotations

import numpy as np

from hipt.tasks.phenotypes import phenotype_centres, phenotypes


def test_heaps_that_lie_apart_are_clusters():
    rng = np.random.default_rng(0)
    heap = rng.integers(0, 4, 400)
    vectors = 50 * np.eye(6)[heap] + rng.normal(size=(400, 6))
    centres = phenotype_centres(vectors, 4, seed=1)
    result = phenotypes(vectors, centres)
    pairs = set(zip(heap.tolist(), result.tolist(), strict=True))
    assert len(pairs) == len({h for h, _ in pairs}) == len({f for _, f in pairs}) == 4
    np.testing.assert_array_equal(centres, phenotype_centres(vectors, 4, seed=1))


def test_no_more_centres_than_different_regions():
    vectors = np.repeat(np.eye(3), 5, axis=0)
    centres = phenotype_centres(vectors, 10, seed=0)
    assert len(centres) == 3
    assert len(set(phenotypes(vectors, centres).tolist())) == 3
