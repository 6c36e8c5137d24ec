"""Bags are what they say, and refuse what does not fit."""

from __future__ import annotations

import pytest
import torch

from hipt.nn.mil import Bags, pad
from tests.nn.mil.bagmaker import alone, noise


@pytest.mark.parametrize("shape", [(7,), (4, 7)], ids=["vectors", "grids"])
def test_padding_keeps_every_bag(shape):
    own = [noise(m, *shape, seed=m) for m in (3, 1, 5)]
    places = [torch.arange(2 * m).reshape(m, 2) for m in (3, 1, 5)]
    clusters = [torch.arange(m) for m in (3, 1, 5)]
    batch = pad(own, places, clusters)
    assert batch.features.shape == (3, 5, *shape)
    assert batch.mask.sum(1).tolist() == [3, 1, 5]
    assert not batch.features[~batch.mask].any()
    for i in range(3):
        bag = alone(batch, i)
        assert torch.equal(bag.features[0], own[i])
        assert torch.equal(bag.positions[0], places[i])
        assert torch.equal(bag.clusters[0], clusters[i])


def test_bags_move_to_a_device_whole():
    batch = pad([noise(2, 3)], clusters=[torch.zeros(2, dtype=torch.long)]).to("meta")
    assert batch.features.is_meta
    assert batch.mask.is_meta
    assert batch.clusters.is_meta
    assert batch.positions is None


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"features": torch.zeros(2, 3)}, "features have to be"),
        ({"mask": torch.ones(2, 4, dtype=torch.bool)}, "mask has to be bool"),
        ({"mask": torch.ones(2, 3)}, "mask has to be bool"),
        ({"positions": torch.zeros(2, 3)}, "positions have to be"),
        ({"clusters": torch.zeros(2, 4)}, "clusters have to be"),
    ],
)
def test_misfits_are_refused(parts, message):
    fine = {"features": torch.zeros(2, 3, 5), "mask": torch.ones(2, 3, dtype=torch.bool)}
    with pytest.raises(ValueError, match=message):
        Bags(**{**fine, **parts})


def test_bags_of_unequal_parts_are_refused():
    with pytest.raises(ValueError, match="no bag"):
        pad([])
    with pytest.raises(ValueError, match="positions and features differ"):
        pad([noise(2, 3)], [torch.zeros(3, 2)])
    with pytest.raises(ValueError, match="clusters and features differ"):
        pad([noise(2, 3)], None, [torch.zeros(3)])
