"""Slides under several names: which ones, what is said of them, whom they hold together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hipt.cohort.same_content import alike, content_mark, groups_of, kept_together, notes


def test_equal_files_are_one_slide():
    marks = {"a": "1", "b": "2", "c": "1", "d": "", "e": "", "f": "2", "g": "3", "h": "1"}
    assert alike(marks) == [("a", "c", "h"), ("b", "f")]


def test_pieces_of_one_glass_under_their_own_masks_are_apart():
    marks = {name: content_mark("1", mask) for name, mask in (("a", "m"), ("b", "n"), ("c", "m"))}
    assert alike(marks) == [("a", "c")]
    assert alike(marks | {"whole": "1"}) == [("a", "b", "c", "whole")]


def test_notes_name_the_other_slides_and_their_cases():
    marks = {"s0": "1", "copy": "1", "own": "2", "twin": "2", "x": "3"}
    cases = {"s0": "p0", "copy": "q0", "own": "p1", "twin": "p1", "x": "p2"}
    assert notes(marks, cases) == {
        "s0": "same content as copy (case q0)",
        "copy": "same content as s0 (case p0)",
        "own": "same content as twin",
        "twin": "same content as own",
    }
    many = dict.fromkeys("abcdefg", "1")
    assert notes(many, {name: name for name in many})["b"] == "same content as a, c, d and 3 more"


def test_notes_on_pieces_of_one_glass():
    marks = {"a": "1/m", "b": "1/n"}
    assert notes(marks, {"a": "p", "b": "q"})["a"] == "same file as b (case q), under another mask"


def test_cases_are_linked_through_others():
    cases = {"s1": "c", "s2": "b", "s3": "b", "s4": "a", "s5": "d"}
    assert kept_together(cases, [("s1", "s2"), ("s3", "s4")]) == {
        **{"a": "a", "b": "a", "c": "a", "d": "d"}
    }
    rows = [
        {"slide_id": s, "case_id": c, "content": m}
        for (s, c), m in zip(cases.items(), ("1", "1", "2", "2", None), strict=True)
    ]
    assert groups_of(rows) == ["a", "a", "a", "a", "d"]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["", "1", "2", "3"]))))
def test_slides_that_share_a_content_share_a_group(rows: list[tuple[str, str]]):
    table = [
        {"slide_id": str(n), "case_id": case, "content": mark}
        for n, (case, mark) in enumerate(rows)
    ]
    groups = groups_of(table)
    for one, group in zip(rows, groups, strict=True):
        for other, its in zip(rows, groups, strict=True):
            if one[0] == other[0] or (one[1] and one[1] == other[1]):
                assert group == its
