"""Classes of squares on a map that was painted by hand."""

from __future__ import annotations

import numpy as np

from hipt.geometry.label_map import class_counts, main_classes, segregation


def classes(labels: np.ndarray, *corners: tuple[float, float], side: float = 4) -> list[int]:
    counts = class_counts(labels, np.array(corners, float), (side, side))
    return main_classes(counts, 0.6).tolist()


def test_a_square_has_the_class_that_fills_enough_of_it():
    labels = np.zeros((8, 10), np.uint8)
    labels[:, 2:] = 3
    labels[:, 7:] = 200
    assert classes(labels, (3, 2), (0, 0), (1, 0), (5, 4), (6, 4)) == [3, 0, 3, 0, 200]


def test_nothing_is_known_outside_and_what_sticks_out_counts_by_what_is_inside():
    labels = np.full((8, 8), 2, np.uint8)
    assert classes(labels, (8, 0), (0, 100), (-4, 0), (-9, -9), (7, 7), (-3, -3)) == [
        *(0, 0, 0, 0),
        *(2, 2),
    ]


def test_a_square_smaller_than_a_pixel_has_that_pixels_class():
    labels = np.arange(1, 10, dtype=np.uint8).reshape(3, 3)
    assert classes(labels, (1.1, 2.2), side=0.25) == [8]


def test_classes_are_apart_mixed_or_between():
    apart = [[4, 0, 0], [0, 4, 0], [4, 0, 0], [0, 4, 0]]
    mixed = [[2, 2, 0]] * 4
    one_class = [[0, 0, 4]] * 4
    empty = [[0, 0, 0]] * 4
    uneven = [[8, 0, 0], [0, 2, 0], [1, 1, 0], [0, 0, 0]]  # places weigh by what is on them
    told = segregation(np.array([apart, mixed, one_class, empty, uneven]))
    shares = np.array([9, 3]) / 12
    expected = -(shares * np.log(shares)).sum() - 2 / 12 * np.log(2)
    np.testing.assert_allclose(told, [np.log(2), 0, 0, 0, expected], atol=1e-12)


def test_segregation_is_the_mutual_information_of_place_and_class():
    counts = np.random.default_rng(0).integers(0, 50, (3, 16, 5))
    for region, told in zip(counts, segregation(counts), strict=True):
        joint = region / region.sum()
        apart = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
        seen = joint > 0
        assert np.isclose(told, (joint[seen] * np.log(joint[seen] / apart[seen])).sum())
