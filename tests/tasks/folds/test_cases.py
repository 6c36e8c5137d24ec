"""Cases of rows: one class each, linked by sites, drawn by name."""

from __future__ import annotations

import numpy as np
import pytest

from hipt.tasks.folds.cases import distinct_cases, draw_keys, linked_by_site, stratum_counts


def test_every_case_once_with_its_class():
    result = distinct_cases(np.array(["b", "a", "b"]), np.array(["x", "y", "x"]))
    assert result.names.tolist() == ["a", "b"]
    assert result.strata[result.stratum].tolist() == ["y", "x"]
    assert result.row.tolist() == [1, 0, 1]


def test_two_classes_of_a_case_are_refused():
    with pytest.raises(ValueError, match=r"^case 'b' has two strata, 'x' and 'y'$"):
        distinct_cases(np.array(["b", "a", "b"]), np.array(["x", "y", "y"]))
    with pytest.raises(ValueError, match="2 cases, but 1 strata"):
        distinct_cases(np.array(["b", "a"]), np.array(["x"]))


def test_sites_link_cases_and_cases_link_sites():
    cases = np.array(["a", "b", "b", "c", "d", "e", "e"])
    sites = np.array(["1", "1", "2", "2", "3", "", ""])
    result = distinct_cases(cases, np.full(7, "x"))
    group, names = linked_by_site(result, sites)
    assert group[0] == group[1] == group[2]
    assert len({group[0], group[3], group[4]}) == 3
    assert names[group].tolist() == ["site 1"] * 3 + ["site 3", "case e"]
    assert stratum_counts(result, group, 3)[group[0]].tolist() == [3]


def test_a_site_stated_for_one_slide_of_a_case_is_enough():
    result = distinct_cases(np.array(["a", "a", "b"]), np.full(3, "x"))
    group, names = linked_by_site(result, np.array(["", "1", "1"]))
    assert group.tolist() == [0, 0]
    assert names.tolist() == ["site 1"]


def test_a_case_called_like_a_site_is_not_that_site():
    result = distinct_cases(np.array(["a", "b"]), np.full(2, "x"))
    assert len(set(linked_by_site(result, np.array(["b", ""]))[0].tolist())) == 2


KEYS = [15443235067962097126, 9514414432441914037]
"""The first 8 bytes of sha256 of `0, NUL, fold, NUL, name`."""


def test_keys_are_those_of_any_machine():
    names = np.array(["TCGA-A1-A0SB", "b"])
    assert draw_keys(names, 0, "fold").tolist() == KEYS
    assert draw_keys(names[::-1], 0, "fold").tolist() == KEYS[::-1]
    assert draw_keys(names, (0,), "fold").tolist() == KEYS
    assert draw_keys(names, np.int64(0), "fold").tolist() == KEYS
    uses = [((0,), "fold"), ((1,), "fold"), ((0, 1), "fold"), ((0,), "tie")]
    assert len({int(key) for use in uses for key in draw_keys(names, *use)}) == 8
