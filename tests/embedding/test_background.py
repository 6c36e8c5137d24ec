"""Which patches are embedded, and what the others get: facts that hold for any slide."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hipt.embedding.background import SAMPLES, Choice, Completion, Spread, choose

PATCHES = 16
HALVES = st.floats(-100, 100, width=16)
SHARES = st.sampled_from([0.0, 0.001, 0.5, 1.0])


@st.composite
def slides(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Tissue, and what lies inside, of the patches of some regions."""
    size = PATCHES * draw(st.integers(1, 6))
    return tuple(draw(arrays(np.float32, size, elements=SHARES)) for _ in range(2))


def sampled(tissue: Sequence[float], inside: float = 1) -> Choice:
    return choose(np.float32(tissue), np.full(len(tissue), inside), PATCHES, "sample")


def completed(choice: Choice, own: np.ndarray, readable: np.ndarray) -> tuple[np.ndarray, ...]:
    """(N, D) vectors and (N,) readable, where each patch's own are given."""
    completion = Completion(choice)
    if len(choice.first):
        completion.learn(own[choice.first], readable[choice.first])
    parts = []
    for region, wanted in enumerate(choice.wanted):
        at = np.s_[region * PATCHES : (region + 1) * PATCHES]
        seen = np.where(wanted, readable[at], True)
        parts.append(completion.completed(region, own[at][wanted], seen))
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


@settings(deadline=None, derandomize=True)
@given(slides(), st.sampled_from(["embed", "sample"]))
def test_every_patch_has_its_own_vector_or_the_mean_of_the_samples(slide, background):
    tissue, inside = slide
    rng = np.random.default_rng(0)
    own = rng.normal(size=(len(tissue), 3)).astype(np.float16)
    own[inside == 0] = 1  # white, all equal
    choice = choose(tissue, inside, PATCHES, background)
    vectors, readable = completed(choice, own, np.ones(len(own), bool))
    computed = choice.computed.ravel()
    np.testing.assert_array_equal(vectors[computed], own[computed])
    assert readable.all()
    empty = (tissue == 0) & (inside > 0)
    assert computed[~empty].all()  # all tissue, and all that is outside
    samples = choice.first[: choice.samples]
    assert empty[samples].all()
    if background == "embed":
        assert computed.all()
        return
    assert computed[empty].sum() == len(samples) == min(SAMPLES, empty.sum())
    if not computed.all():
        mean = own[samples].mean(0, dtype=np.float32).astype(np.float16)
        assert (vectors[~computed] == mean).all()


@settings(deadline=None, derandomize=True)
@given(st.integers(1, 2000))
def test_samples_lie_evenly_over_all_patches_without_tissue(empty: int):
    size = -(-empty // PATCHES) * PATCHES
    tissue = np.ones(size, np.float32)
    places = np.sort(np.random.default_rng(empty).permutation(size)[:empty])
    tissue[places] = 0
    choice = sampled(tissue)
    ranks = np.searchsorted(places, choice.first)
    np.testing.assert_array_equal(places[ranks], choice.first)
    gaps = np.diff([-1, *ranks, empty])
    assert gaps.max() <= empty / len(ranks) + 2


def test_one_patch_outside_stands_for_all():
    inside = np.repeat(np.float32([1, 0]), [4, 12])
    choice = choose(np.zeros(PATCHES), inside, PATCHES, "embed")
    assert choice.first.tolist() == [4]
    assert choice.wanted.sum() == 4


def test_samples_that_cannot_be_read_are_no_part_of_the_mean():
    choice = sampled([1] + [0] * 47)
    own = np.arange(48, dtype=np.float16)[:, None]
    readable = np.ones(48, bool)
    readable[choice.first[:3]] = False
    vectors, seen = completed(choice, own, readable)
    filled = ~choice.computed.ravel()
    mean = choice.first[3:].mean(dtype=np.float32).astype(np.float16)
    assert (vectors[filled] == mean).all()
    assert seen.tolist() == readable.tolist()  # theirs alone are not
    none = np.ones(48, bool)
    none[choice.first] = False
    vectors, seen = completed(choice, own, none)
    assert (vectors[filled] == choice.first.mean(dtype=np.float32).astype(np.float16)).all()
    assert seen[filled].all()


@settings(deadline=None, derandomize=True)
@given(st.lists(arrays(np.float16, st.tuples(st.integers(0, 5), st.just(3)), elements=HALVES)))
def test_the_spread_is_that_of_all_together(parts: list[np.ndarray]):
    spread = Spread()
    for part in parts:
        spread.add(part)
    together = np.concatenate([np.zeros((0, 3)), *parts])
    expected = np.sqrt(together.var(0).sum()) if len(together) else 0
    assert spread.value == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("tissue", [1.0, 0.001])
def test_any_tissue_counts(tissue: float):
    choice = sampled([tissue] + [0] * 31)
    assert choice.wanted.sum() == 1
