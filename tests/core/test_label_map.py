"""Classes of squares on a map that was painted by hand."""

from __future__ import annotations

import numpy as np

from hipt.core.label_map import square_classes


def classes(labels: np.ndarray, *corners: tuple[float, float], side: float = 4) -> list[int]:
    return square_classes(labels, np.array(corners, float), (side, side), 0.6).tolist()


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
    labels = np.arange(1, 10).reshape(3, 3)
    assert classes(labels, (1.1, 2.2), side=0.25) == [8]
