"""Vectors against vectors."""

from __future__ import annotations

import numpy as np
import pytest

from hipt.embedding.engines.agreement import Agreement

RNG = np.random.default_rng(0)
REFERENCE = (100 + RNG.normal(size=(40, 16))).astype(np.float32)


def test_the_same_vectors_agree():
    agreement = Agreement.of(REFERENCE, REFERENCE.copy())
    assert (agreement.most_off, agreement.kept) == (0, 1)
    assert agreement.least_cosine == pytest.approx(1)
    assert agreement.holds("fp32")
    assert agreement.holds("bf16")


def test_differences_count_in_standard_deviations():
    found = 7 * REFERENCE.astype(np.float64)
    found[3, 5] += 7 * 0.01
    agreement = Agreement.of(7 * REFERENCE, found)
    assert agreement.most_off == pytest.approx(0.01 / REFERENCE.std(), rel=0.01)
    assert not agreement.holds("fp32")
    assert agreement.holds("bf16")


def test_cosines_are_of_what_tells_vectors_apart():
    """The common part of 100 makes no two vectors alike."""
    other = (100 + np.random.default_rng(1).normal(size=(40, 16))).astype(np.float32)
    assert Agreement.of(REFERENCE, other).least_cosine < 0


def test_as_near_as():
    rounded = [Agreement(0.1, cosine, 0.5) for cosine in (0.9, 0.81, 0.79)]
    assert [one.as_near_as(rounded[0]) for one in rounded] == [True, True, False]


def test_another_order_of_neighbours_is_no_agreement():
    found = REFERENCE[::-1]
    agreement = Agreement.of(REFERENCE, found)
    assert agreement.kept < 0.5
    assert not agreement.holds("bf16")


def test_kept_is_the_share_of_the_nearest_that_stay():
    """On a circle, the five nearest of each point, found one by one."""
    angles = np.sort(RNG.uniform(0, 2 * np.pi, 30))
    moved = angles + RNG.normal(scale=0.05, size=30)
    a, b = (np.stack([np.cos(x), np.sin(x)], 1) for x in (angles, moved))
    mean, kept = a.mean(0), 0
    for i in range(30):
        near = []
        for points in (a - mean, b - mean):
            angle = [
                np.inf
                if j == i
                else -points[i] @ points[j] / np.linalg.norm(points[i]) / np.linalg.norm(points[j])
                for j in range(30)
            ]
            near.append(set(np.argsort(angle)[:5]))
        kept += len(near[0] & near[1])
    assert Agreement.of(a, b).kept == pytest.approx(kept / 150)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none_do_not_agree(value: float):
    found = REFERENCE.copy()
    found[1, 1] = value
    agreement = Agreement.of(REFERENCE, found)
    assert not agreement.holds("fp32")
    assert not agreement.holds("bf16")


def test_inputs_that_are_all_alike_show_no_agreement_of_directions():
    same = np.repeat(REFERENCE[:1], 8, axis=0)
    assert Agreement.of(same, same).holds("fp32")
    assert not Agreement.of(same, same + 1e-3 * REFERENCE[:8]).holds("bf16")


def test_one_input_has_no_neighbours():
    assert Agreement.of(REFERENCE[:1], REFERENCE[:1]).kept == 1
