"""Order of risks against fractions, plain loops and scikit-survival's numbers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hipt.stats.survival import bin_of, cumulative_dynamic_auc, harrell_c, time_bins, uno_c
from tests.stats.survival_reference import expected, random_cases, table

SEEDS = st.integers(0, 10**6)


def flags(text: str) -> np.ndarray:
    return np.array([letter == "x" for letter in text])


def test_quartiles_of_the_events_alone():
    time = np.array([100, 1, 2, 3, 4, 5, 200.0])
    edges = time_bins(time, flags(".xxxxx."))
    assert edges.tolist() == [2, 3, 4]
    assert bin_of(time, edges).tolist() == [3, 0, 1, 2, 3, 3, 3]  # an edge belongs above
    assert time_bins(time[1:5], flags("xxxx")).tolist() == [1.75, 2.5, 3.25]
    with pytest.raises(ValueError, match="without an event"):
        time_bins(time, flags("......."))


@settings(max_examples=50)
@given(SEEDS, st.integers(12, 60), st.integers(2, 6))
def test_bins_as_pandas_makes_them(seed: int, n: int, bins: int):
    rng = np.random.default_rng(seed)
    time, event = rng.permutation(np.arange(1, n + 1)) / 4, np.arange(n) % 2 == 0
    edges = time_bins(time, event, bins)
    _, other = pd.qcut(time[event], bins, retbins=True)
    np.testing.assert_allclose(edges, other[1:-1], rtol=1e-12)
    outer = np.concatenate([[0], edges, [99]])
    assert bin_of(time, edges).tolist() == pd.cut(time, outer, right=False, labels=False).tolist()


def test_perfect_reversed_and_tied_orders():
    time, event = np.array([1, 2, 3, 4.0]), flags("xxx.")
    assert harrell_c(time, event, -time) == (1, 6, 0, 0)
    assert harrell_c(time, event, time) == (0, 0, 6, 0)
    assert harrell_c(time, event, np.ones(4)) == (0.5, 0, 0, 6)


def test_pairs_that_cannot_be_compared_do_not_count():
    time, risk = np.array([1, 2, 3.0]), np.array([3, 2, 1.0])
    assert harrell_c(time, flags("x.."), risk)[:3] == (1, 2, 0)
    assert harrell_c(time, flags(".x."), risk)[:3] == (1, 1, 0)
    for lost in ("...", "..x"):
        result = harrell_c(time, flags(lost), risk)
        assert math.isnan(result.value)
        assert result[1:] == (0, 0, 0)
    assert math.isnan(uno_c(time, flags("xxx"), time, flags("..x"), risk))


def test_of_cases_at_one_time_an_event_comes_before_the_censored():
    same, risk = np.array([5, 5.0]), np.array([2, 1.0])
    assert math.isnan(harrell_c(same, flags("xx"), risk).value)
    assert harrell_c(same, flags("x."), risk) == (1, 1, 0, 0)
    assert harrell_c(same, flags(".x"), risk) == (0, 0, 1, 0)


def test_risks_within_the_tolerance_are_tied():
    time, event = np.array([1, 2.0]), flags("xx")
    assert harrell_c(time, event, np.array([1, 1 + 1e-9])).tied_risk == 1
    assert harrell_c(time, event, np.array([1, 1 + 1e-7])).discordant == 1


def loop_c(time: np.ndarray, event: np.ndarray, risk: np.ndarray, weight: np.ndarray) -> float:
    """Concordance pair by pair, weighted by the earlier case."""
    score = total = 0.0
    for i in range(len(time)):
        for j in range(len(time)):
            if event[i] and (time[i] < time[j] or (time[i] == time[j] and not event[j])):
                total += weight[i]
                score += weight[i] * (1 if risk[i] > risk[j] else 0.5 if risk[i] == risk[j] else 0)
    return score / total if total else math.nan


def loop_uncensored(time: np.ndarray, event: np.ndarray, at: float) -> float:
    """Kaplan-Meier of the censoring; events at a time leave before the censored."""
    share = 1.0
    for t in sorted(set(time[~event].tolist())):
        if t <= at:
            left = sum(time > t) + sum((time == t) & ~event)
            share *= 1 - sum((time == t) & ~event) / left
    return share


@settings(max_examples=60)
@given(SEEDS, st.integers(2, 30))
def test_harrell_as_a_loop(seed: int, n: int):
    time, event, risk = random_cases(seed, n)
    result = harrell_c(time, event, risk)
    assert result.value == pytest.approx(loop_c(time, event, risk, np.ones(n)), nan_ok=True)
    flipped = harrell_c(time, event, -risk)
    assert (flipped.concordant, flipped.discordant) == (result.discordant, result.concordant)


@settings(max_examples=60)
@given(SEEDS, st.integers(4, 30), st.sampled_from([None, 3.0, 20.0]))
def test_uno_as_a_loop(seed: int, n: int, tau: float | None):
    time, event, risk = random_cases(seed, n)
    time, event = np.append(time, 70.0), np.append(event, False)  # all events are before
    risk = np.append(risk, 0.0)
    counted = event & (time < (tau or np.inf))
    weight = np.array([loop_uncensored(time, event, t) ** -2 if c else 0
                       for t, c in zip(time, counted, strict=True)])  # fmt: skip
    result = uno_c(time, event, time, event, risk, tau)
    assert result == pytest.approx(loop_c(time, counted, risk, weight), nan_ok=True)


def test_uno_is_harrell_where_nobody_is_censored():
    time, _, risk = random_cases(3, 50)
    everybody = np.ones(50, bool)
    result = uno_c(time, everybody, time, everybody, risk)
    assert result == pytest.approx(harrell_c(time, everybody, risk).value)


def test_uno_needs_training_cases_that_were_followed_long_enough():
    time, event, risk = np.array([1, 2, 9, 10.0]), flags("xxxx"), np.arange(4.0)
    short, late = np.array([1, 2, 3.0]), np.array([1, 2, 3.0])
    with pytest.raises(ValueError, match="after 3 months"):
        uno_c(short, flags("x.x"), time, event, risk)
    with pytest.raises(ValueError, match="censored before an event"):
        uno_c(late, flags("xx."), time, event, risk)
    assert uno_c(short, flags("x.x"), time, event, risk, tau=3) == 0


def loop_auc(
    time: np.ndarray, event: np.ndarray, risk: np.ndarray, at: float, weight: np.ndarray
) -> float:
    score = total = 0.0
    for i in np.flatnonzero(event & (time <= at)):
        for j in np.flatnonzero(time > at):
            total += weight[i]
            score += weight[i] * (1 if risk[i] > risk[j] else 0.5 if risk[i] == risk[j] else 0)
    return score / total if total else math.nan


@settings(max_examples=60)
@given(SEEDS, st.integers(4, 30))
def test_dynamic_auc_as_a_loop(seed: int, n: int):
    time, event, risk = random_cases(seed, n)
    time, event, risk = np.append(time, 70.0), np.append(event, False), np.append(risk, 0.0)
    weight = np.array([1 / loop_uncensored(time, event, t) if e else 0
                       for t, e in zip(time, event, strict=True)])  # fmt: skip
    at = np.quantile(time, [0.6, 0, 0.3])
    result = cumulative_dynamic_auc(time, event, time, event, risk, at)
    by_loop = [loop_auc(time, event, risk, t, weight) for t in at]
    np.testing.assert_allclose(result, by_loop, rtol=1e-12)


def test_dynamic_auc_by_hand():
    time, event = np.array([1, 2, 3, 4, 5, 6.0]), flags("xxxx..")
    risk = np.array([6, 3, 4, 2, 1, 1.0])
    result = cumulative_dynamic_auc(time, event, time, event, risk, np.array([2, 3.0]))
    assert result == pytest.approx([7 / 8, 1])


def test_times_before_the_first_event_have_no_auc():
    time, event = np.array([1, 2, 3.0]), flags(".x.")
    risk = np.array([0, 2, 1.0])
    result = cumulative_dynamic_auc(time, event, time, event, risk, np.array([1, 2.0]))
    assert math.isnan(result[0])
    assert result[1] == 1


@pytest.mark.parametrize("outside", [0.5, 3.0])
def test_times_outside_are_refused(outside: float):
    time, event = np.array([1, 2, 3.0]), flags("xxx")
    with pytest.raises(ValueError, match="from 1 to before 3 months"):
        cumulative_dynamic_auc(time, event, time, event, time, np.array([2, outside]))


def test_a_risk_has_to_be_a_number_for_each_case():
    time, event = np.array([1, 2.0]), flags("xx")
    for risk in (np.array([1, np.nan]), np.array([1.0])):
        with pytest.raises(ValueError, match="every case needs a risk"):
            harrell_c(time, event, risk)


@pytest.mark.real
def test_whas500_as_scikit_survival(shared_dir: Path):
    data = table(shared_dir, "surv_whas500_predictions.csv")
    reference = expected(shared_dir, "whas500_predictions")
    time, event, risk = (data[name].to_numpy() for name in ("time", "event", "risk"))
    result = harrell_c(time, event == 1, risk)
    wanted = reference["harrell_c"]
    assert result.value == pytest.approx(wanted["cindex"], abs=1e-7)
    counts = {name: wanted[name] for name in ("concordant", "discordant", "tied_risk")}
    assert {name: getattr(result, name) for name in counts} == counts
    everything = (time, event == 1, time, event == 1, risk)
    value = reference["uno_c_train_equals_test_tau_none"]
    assert uno_c(*everything) == pytest.approx(value, rel=1e-12)


@pytest.mark.real
def test_dynamic_auc_of_whas500_as_scikit_survival(shared_dir: Path):
    data = table(shared_dir, "surv_whas500_predictions.csv")
    reference = expected(shared_dir, "whas500_predictions")["cumulative_dynamic_auc"]
    time, event, risk = (data[name].to_numpy() for name in ("time", "event", "risk"))
    train, test = (slice(*reference[f"{part}_rows"]) for part in ("train", "test"))
    known = (time[train], event[train] == 1)
    arguments = (time[test], event[test] == 1, risk[test], np.array(reference["times"], float))
    result = cumulative_dynamic_auc(*known, *arguments)
    np.testing.assert_allclose(result, reference["auc"], atol=1e-7)


@pytest.mark.real
def test_thirty_folds_of_tcga_as_scikit_survival(shared_dir: Path):
    risks = shared_dir / "tcga" / "survival_risk_fixture.parquet"
    if not risks.is_file():
        pytest.skip(f"no {risks}")
    folds = dict(list(pd.read_parquet(risks).groupby(["task", "fold"])))
    reference = pd.read_csv(shared_dir / "tcga" / "survival_cindex_fixture.csv")
    assert len(reference) == len(folds) == 30
    for row in reference.itertuples():
        data = folds[row.task, row.fold]
        time, event = data["survival_months"].to_numpy(), data["event"].to_numpy() == 1
        risk = data["risk"].to_numpy(np.float64)
        counts = (row.concordant, row.discordant, row.tied_risk)
        assert harrell_c(time, event, risk) == (pytest.approx(row.cindex_sksurv), *counts)
        result = harrell_c(time, event, risk.round(1))
        assert result.value == pytest.approx(row.cindex_sksurv_risk_rounded_1dp, abs=1e-12)
        assert result.tied_risk == row.tied_risk_rounded


QUARTILES = {
    "brca": [24.005, 45.975, 77.860],
    "coadread": [9.53, 17.21, 43.17],
    "kirc": [11.7275, 25.495, 52.0725],
    "kirp": [10.9825, 20.055, 45.665],
    "luad": [10.0975, 20.550, 35.445],
    "stad": [6.8625, 11.730, 18.415],
}
"""Inner edges of MCAT's bins, months."""


@pytest.mark.real
@pytest.mark.parametrize("cohort", QUARTILES)
def test_bins_of_tcga(shared_dir: Path, cohort: str):
    path = shared_dir / "tcga" / "survival" / f"tcga_{cohort}_all_clean.csv"
    if not path.is_file():
        pytest.skip(f"no {path}")
    cases = pd.read_csv(path).drop_duplicates("case_id")
    edges = time_bins(cases["survival_months"].to_numpy(), cases["censorship"].to_numpy() == 0)
    np.testing.assert_allclose(edges, QUARTILES[cohort], rtol=1e-12)
