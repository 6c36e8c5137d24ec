"""Folds, validation and fractions: what stays together, what is balanced, what never moves."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hipt.tasks.folds import balance
from hipt.tasks.folds.splits import grouped_folds, site_folds, subsample, validation_part

CLASSES = np.array(["IDC", "ILC", "other"])


def cohort(cases: int, seed: int, sites: int = 12) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of cases with one to three slides, in no order: case, class, site (some unknown)."""
    rng = np.random.default_rng(seed)
    names = np.array([f"case-{n:04}" for n in range(cases)])
    number = np.arange(cases)
    strata = CLASSES[np.where(number < 30, number % 3, rng.integers(0, 3, cases))]  # 10 of each
    where = np.array(["", *(f"s{n}" for n in range(1, sites))])[rng.integers(0, sites, cases)]
    row = rng.permutation(np.repeat(np.arange(cases), rng.integers(1, 4, cases)))
    return names[row], strata[row], where[row]


def placed(cases: np.ndarray, fold: np.ndarray) -> dict[str, int]:
    """The fold of each case, of which there must be one."""
    pairs = set(zip(cases.tolist(), fold.tolist(), strict=True))
    assert len(pairs) == len(set(cases.tolist()))
    return dict(pairs)


def fold_counts(cases: np.ndarray, strata: np.ndarray, fold: np.ndarray, folds: int) -> np.ndarray:
    """[S, folds] cases of each class that are tested in each fold."""
    counts = Counter({*zip(cases.tolist(), strata.tolist(), fold.tolist(), strict=True)})
    by = Counter((stratum, number) for _, stratum, number in counts)
    return np.array([[by[kind, n] for n in range(folds)] for kind in sorted(set(strata.tolist()))])


seeds = st.integers(0, 10**6)
few = settings(max_examples=25)


@few
@given(seeds, st.integers(30, 90), st.integers(2, 10))
def test_every_case_is_tested_once_and_classes_are_equal(seed: int, cases: int, folds: int):
    rows, strata, _ = cohort(cases, seed)
    fold = grouped_folds(rows, strata, folds, seed)
    assert len(placed(rows, fold)) == cases
    assert set(fold.tolist()) == set(range(folds))
    counts = fold_counts(rows, strata, fold, folds)
    assert np.ptp(counts, axis=1).max() <= 1
    assert np.ptp(counts.sum(0)) <= 1


@few
@given(seeds, st.integers(2, 10))
def test_no_old_member_moves_when_a_tenth_is_added(seed: int, folds: int):
    rows, strata, _ = cohort(110, seed)
    old = rows < "case-0100"
    before = placed(rows[old], grouped_folds(rows[old], strata[old], folds, seed))
    fold = grouped_folds(rows, strata, folds, seed, before)
    after = placed(rows, fold)
    assert {name: after[name] for name in before} == before
    assert np.ptp(fold_counts(rows, strata, fold, folds), axis=1).max() <= 1
    assert placed(rows, grouped_folds(rows, strata, folds, seed, after)) == after


@few
@given(seeds)
def test_the_order_of_rows_decides_nothing(seed: int):
    rows, strata, sites = cohort(60, seed)
    order = np.random.default_rng(seed + 1).permutation(len(rows))
    known = {"case-0003": 1, "case-0007": 0, "case-9999": 2}
    fold = grouped_folds(rows, strata, 5, seed, known)
    assert (
        grouped_folds(rows[order], strata[order], 5, seed, known).tolist() == fold[order].tolist()
    )
    train = fold != 2
    by_case = validation_part(rows, strata, None, train, 0.2, seed)
    again = validation_part(rows[order], strata[order], None, train[order], 0.2, seed)
    assert (by_case.by, again.rows.tolist()) == ("case", by_case.rows[order].tolist())
    by_site = validation_part(rows, strata, sites, train, 0.2, seed)
    again = validation_part(rows[order], strata[order], sites[order], train[order], 0.2, seed)
    assert again.rows.tolist() == by_site.rows[order].tolist()
    half = subsample(rows, strata, train, 0.5, seed)
    again = subsample(rows[order], strata[order], train[order], 0.5, seed)
    assert again.tolist() == half[order].tolist()


def test_slides_of_a_case_do_not_weigh():
    rows, strata, _ = cohort(60, 0)
    _, first = np.unique(rows, return_index=True)
    fold = placed(rows, grouped_folds(rows, strata, 5, 0))
    assert placed(rows[first], grouped_folds(rows[first], strata[first], 5, 0)) == fold


def test_a_seed_decides():
    rows, strata, _ = cohort(60, 0)
    one, two = (grouped_folds(rows, strata, 5, seed) for seed in (0, (0, 1)))
    assert one.tolist() == grouped_folds(rows, strata, 5, (0,)).tolist()
    assert 0.1 < (one == two).mean() < 0.35


@few
@given(seeds)
def test_sites_stay_whole_and_known_cases_where_they_are(seed: int):
    rows, strata, sites = cohort(70, seed)
    old = rows < "case-0060"
    before = site_folds(rows[old], strata[old], sites[old], 4, seed)
    known = placed(rows[old], before.fold)
    result = site_folds(rows, strata, sites, 4, seed, known)
    after = placed(rows, result.fold)
    assert {name: after[name] for name in known} == known
    for site in set(sites.tolist()) - {""}:
        assert len(set(result.fold[sites == site].tolist())) == 1
    counts = fold_counts(rows, strata, result.fold, 4)
    share = counts.sum(1, keepdims=True) / 4
    assert result.deviation == pytest.approx(np.abs(counts - share).sum())
    assert (counts.sum(0) > 0).all()
    order = np.random.default_rng(seed).permutation(len(rows))
    again = site_folds(rows[order], strata[order], sites[order], 4, seed, known)
    assert again.fold.tolist() == result.fold[order].tolist()


def test_a_case_of_two_sites_joins_them():
    rows = np.array(["a", "b", "b", "c", "d", "e", "f"])
    sites = np.array(["1", "1", "2", "2", "3", "", ""])
    result = site_folds(rows, np.full(7, "x"), sites, 2, 0)
    assert len(set(result.fold[:4].tolist())) == 1
    assert np.bincount(result.fold).tolist() in ([4, 3], [3, 4])
    assert (result.how, result.deviation) == ("optimal", 0)


@pytest.mark.parametrize(("name", "least"), [("kidney", 437.0), ("lung", 91.6)])
def test_folds_of_real_sites(name: str, least: float, shared_dir: Path):
    """TCGA, 10 folds: the optimum, and what is better beyond it; no fold without a common class."""
    file = shared_dir / "tcga" / "labels" / f"tcga_{name}_subset.csv"
    if not file.is_file():
        pytest.skip(f"no labels at {file}")
    with file.open() as lines:
        slides = [(row["slide_id"], row["oncotree_code"]) for row in csv.DictReader(lines)]
    rows = np.array([slide[:12] for slide, _ in slides])
    sites = np.array([slide[5:7] for slide, _ in slides])
    first = dict(reversed([(slide[:12], label) for slide, label in slides]))
    strata = np.array([first[case] for case in rows])
    result = site_folds(rows, strata, sites, 10, 0)
    assert result.how == "optimal"
    assert result.deviation == pytest.approx(least)
    assert fold_counts(rows, strata, result.fold, 10).max(0).min() >= 24
    assert fold_counts(rows, strata, result.fold, 10)[0].min() >= 13  # 0 without the second step


@few
@given(seeds, st.sampled_from([0.05, 0.1, 0.25, 0.5, 0.9]))
def test_validation_has_its_share_of_each_class_and_nothing_that_is_tested(seed: int, share: float):
    rows, strata, _ = cohort(80, seed)
    fold = grouped_folds(rows, strata, 5, seed)
    part = validation_part(rows, strata, None, fold != 0, share, (seed, 0)).rows
    assert not part[fold == 0].any()
    placed(rows, part)  # whole cases
    for kind in CLASSES:
        cases = len(set(rows[(fold != 0) & (strata == kind)].tolist()))
        chosen = len(set(rows[part & (strata == kind)].tolist()))
        assert 1 <= chosen < cases
        assert abs(chosen - share * cases) <= max(0.5, 1 - share * cases, 1 - (1 - share) * cases)


@few
@given(seeds)
def test_added_cases_let_old_ones_in_or_out_but_not_both(seed: int):
    rows, strata, _ = cohort(220, seed)
    old = rows < "case-0200"
    train = np.ones(len(rows), bool)
    before = validation_part(rows[old], strata[old], None, train[old], 0.15, seed).rows
    after = validation_part(rows, strata, None, train, 0.15, seed).rows[old]
    for kind in CLASSES:
        here = strata[old] == kind
        entered = set(rows[old][here & after & ~before].tolist())
        left = set(rows[old][here & before & ~after].tolist())
        added = set(rows[~old & (strata == kind)].tolist())
        assert not (entered and left)
        assert len(entered | left) <= len(added)


def test_validation_by_site_keeps_sites_whole_and_near_its_share():
    rows, strata, sites = cohort(400, 1, sites=40)
    fold = site_folds(rows, strata, sites, 5, 0).fold
    train = fold != 1
    result = validation_part(rows, strata, sites, train, 0.15, (0, 1))
    assert result.by == "site"
    assert not result.rows[~train].any()
    for site in set(sites.tolist()) - {""}:
        assert len(set(result.rows[train & (sites == site)].tolist())) <= 1
    for kind in CLASSES:
        cases = len(set(rows[train & (strata == kind)].tolist()))
        assert 0.1 < len(set(rows[result.rows & (strata == kind)].tolist())) / cases < 0.2


@pytest.mark.parametrize(("second", "share"), [(10, 0.1), (0, 0.1), (2, 0.3)])
def test_validation_is_by_case_where_sites_are_too_large(second: int, share: float):
    sites = ["1"] * (20 - second) + ["2"] * second
    rows, strata = np.array([f"{n:02}" for n in range(20)]), np.array(["x", "y"] * 10)
    result = validation_part(rows, strata, np.array(sites), np.ones(20, bool), share, 0)
    assert (result.by, int(result.rows.sum())) == ("case", round(20 * share))


def test_validation_is_by_case_where_no_site_has_a_class():
    rows = np.array([f"{n:03}" for n in range(110)])
    strata = np.array(["x"] * 100 + ["y"] * 10)
    sites = np.array([f"s{n // 5}" for n in range(100)] + ["rare"] * 10)
    result = validation_part(rows, strata, sites, np.ones(110, bool), 0.2, 0)
    assert result.by == "case"
    assert result.rows[strata == "y"].sum() == 2


def test_validation_by_site_leaves_some_of_each_class_for_training():
    rows = np.array([f"{n:03}" for n in range(110)])
    strata, sites = (
        np.array(["x"] * 100 + ["y"] * 10),
        np.array(["1"] * 50 + ["2"] * 50 + ["1"] * 10),
    )
    for seed in range(4):  # site 1 is half of x and all of y
        assert validation_part(rows, strata, sites, np.ones(110, bool), 0.5, seed).by == "case"


def test_validation_by_site_is_at_most_twice_the_share():
    rows = np.array([f"{n:03}" for n in range(110)])
    strata = np.array(["x"] * 100 + ["y"] * 10)
    sites = np.array(["1"] * 65 + ["2"] * 35 + ["1"] * 3 + ["2"] * 7)
    result = [validation_part(rows, strata, sites, np.ones(110, bool), 0.3, n) for n in range(8)]
    assert {(part.by, int(part.rows.sum())) for part in result} == {("case", 33), ("site", 42)}


def test_no_validation_is_possible_too():
    rows, strata, sites = cohort(40, 0)
    train = np.ones(len(rows), bool)
    assert not validation_part(rows, strata, sites, train, 0, 0).rows.any()
    assert not validation_part(rows, strata, None, train, 0, 0).rows.any()
    alone = np.array(["a"])
    assert not validation_part(alone, alone, None, np.array([True]), 0.9, 0).rows.any()


@few
@given(seeds, st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)).map(sorted))
def test_smaller_fractions_are_parts_of_larger_ones(seed: int, fractions: list[float]):
    rows, strata, _ = cohort(70, seed)
    train = np.isin(rows, np.unique(rows)[10:])
    small, large = (subsample(rows, strata, train, part, seed) for part in fractions)
    assert not (small & ~large).any()
    assert not (large & ~train).any()
    placed(rows, large)
    for kind in CLASSES:
        cases = len(set(rows[train & (strata == kind)].tolist()))
        chosen = len(set(rows[large & (strata == kind)].tolist()))
        assert chosen == max(1, int(fractions[1] * cases + 0.5))
    assert subsample(rows, strata, train, 1, seed).tolist() == train.tolist()


def test_folds_validate_and_shrink_differently():
    rows, strata, _ = cohort(200, 0)
    train = np.ones(len(rows), bool)
    parts = [validation_part(rows, strata, None, train, 0.3, (0, k)).rows for k in range(2)]
    assert 0.1 < (parts[0] & parts[1]).sum() / parts[0].sum() < 0.5
    halves = [subsample(rows, strata, train, 0.5, seed) for seed in range(2)]
    assert 0.3 < (halves[0] & halves[1]).sum() / halves[0].sum() < 0.7


def test_what_cannot_be_dealt_is_refused():
    rows, strata = np.array(list("aabbcd")), np.array(list("xxyyxy"))
    with pytest.raises(ValueError, match=r"fewer cases than the 3 folds: 'x' \(2\), 'y' \(2\)"):
        grouped_folds(rows, strata, 3, 0)
    with pytest.raises(ValueError, match="at least 2 folds, got 1"):
        grouped_folds(rows, strata, 1, 0)
    with pytest.raises(ValueError, match="case 'b' is known to be in fold 2, but the 2 folds"):
        grouped_folds(rows, strata, 2, 0, {"b": 2, "z": 7})
    with pytest.raises(ValueError, match="case 'a' has two strata, 'x' and 'y'"):
        grouped_folds(rows, np.array(list("xyyyxy")), 2, 0)
    with pytest.raises(ValueError, match="1 groups cannot fill 2 empty folds"):
        site_folds(rows, strata, np.full(6, "s"), 2, 0)
    with pytest.raises(ValueError, match=r"site s, with .* in folds 0 and 1; deal all"):
        site_folds(rows, strata, np.full(6, "s"), 2, 0, {"a": 0, "b": 1})


def test_shares_and_torn_cases_are_refused():
    rows, strata = np.array(list("aabbcd")), np.array(list("xxyyxy"))
    train = np.ones(6, bool)
    with pytest.raises(ValueError, match="at least 0 and below 1, got 1"):
        validation_part(rows, strata, None, train, 1, 0)
    with pytest.raises(ValueError, match="above 0 and at most 1, got 0"):
        subsample(rows, strata, train, 0, 0)
    train[1] = False
    with pytest.raises(ValueError, match="case 'a' is partly in training"):
        subsample(rows, strata, train, 0.5, 0)


def test_what_the_solver_did_is_returned(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(balance, "SECONDS", 0.0)
    rows, strata, sites = cohort(60, 0)
    assert site_folds(rows, strata, sites, 4, 0).how == "greedy"
