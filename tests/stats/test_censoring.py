"""How long cases are followed, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hipt.stats.censoring import censoring_survival, counts

TIME = np.array([1, 2, 2, 3, 5, 5, 5, 8.0])
EVENT = np.array([1, 1, 0, 0, 1, 1, 0, 0], bool)


def test_who_is_at_risk():
    result = counts(TIME, EVENT)
    assert result.time.tolist() == [1, 2, 3, 5, 8]
    assert result.at_risk.tolist() == [8, 7, 5, 4, 1]
    assert result.events.tolist() == [1, 1, 0, 2, 0]
    assert result.censored.tolist() == [0, 1, 1, 1, 1]


def test_censoring_comes_after_an_event_at_the_same_time():
    """At 2 months one of 6 left is censored, at 3 one of 5, at 5 one of 2, at 8 the last."""
    at = np.array([0.5, 1, 2, 2.5, 3, 5, 7.9, 8, 99])
    by_hand = [1, 1, 5 / 6, 5 / 6, 2 / 3, 1 / 3, 1 / 3, 0, 0]
    np.testing.assert_allclose(censoring_survival(TIME, EVENT, at), by_hand, atol=1e-15)


def test_nothing_is_known_after_the_last_case():
    time, event = np.array([1, 2.0]), np.array([False, True])
    assert censoring_survival(time, event, np.array([2.0])).tolist() == [0.5]
    with pytest.raises(ValueError, match="after 2 months"):
        censoring_survival(time, event, np.array([2.5]))
