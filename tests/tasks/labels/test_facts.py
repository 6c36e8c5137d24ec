"""What the log, the report and `hipt check` say of a task's labels."""

from __future__ import annotations

from hipt.tasks.labels.facts import Fact, counted, days_note, of_words, sentences


def test_classes_and_who_is_left_out():
    facts = [
        *counted("class", [("a", "c1"), ("a", "c1"), ("b", "c2")], ["b", "a"]),
        *of_words("missing", {"NA": 8, "empty": 1, "[Not Available]": 4, "no row": 1}, {}),
        *of_words("other_class", {"c": 2}, {}),
    ]
    assert list(sentences(facts, ["grade"])) == [
        "3 of 19 slides have a label: b 1 (1 case), a 2 (1 case)",
        "14 of 19 slides have no label, left out: 8 'NA', 4 '[Not Available]', 1 empty, 1 no row",
        "2 of 19 slides have another class, left out: 2 'c'",
    ]


def test_events_and_what_was_read_as_what():
    facts = [
        *counted("event", [("event seen", "c1")], ["event seen", "event not seen"]),
        Fact("zero_time", "0", "", 1, None),
        *of_words("reading", {"1:DECEASED": 1}, {"1:DECEASED": "event seen"}),
        *days_note("OS.time", 1204.5),
    ]
    assert list(sentences(facts, ["OS.time", "OS"])) == [
        "1 of 2 slides has time and event: event seen 1 (1 case), event not seen 0 (0 cases)",
        "1 of 2 slides has a time of 0, left out (zero_months can keep them)",
        "OS: '1:DECEASED' is event seen (1)",
        days_note("OS.time", 1204.5)[0].value,
    ]
    assert days_note("OS.time", 1204.5)[0].value == (
        "the median of OS.time is 1,204, which looks like days; months are expected: divide by "
        "30.4375"
    )
    kept = [*facts[:2], Fact("zero_time", "0", "0.5", 1, None)]
    assert "1 of 1 slides has a time of 0, taken as 0.5 months" in sentences(kept, ["m", "e"])
    assert days_note("m", 120.0) == []


def test_long_lists_are_cut():
    words = {f"w{n:02}": 30 - n for n in range(20)}
    facts = of_words("missing", words, {})
    assert "19 'w11' and 116 others" in list(sentences(facts, ["x"]))[1]
