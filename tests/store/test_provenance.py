"""What files say of where they come from."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hipt import __version__
from hipt.store.provenance import Provenance, fingerprint

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


def reversed_keys(value: object) -> object:
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in reversed(value)}
    return [reversed_keys(item) for item in value] if isinstance(value, list) else value


def test_fingerprint_has_not_changed():
    """A change of this value makes every shard of every user anew."""
    made = fingerprint(step="tile", version=1, settings={"b": 1.5, "a": None}, slide="é")
    assert made == "74ac83e221ec5f6f5aeb19fab69bdb40"


@given(st.dictionaries(st.text(max_size=3), VALUES))
def test_fingerprint_does_not_depend_on_the_order_of_keys(facts: dict[str, object]):
    assert fingerprint(facts=facts) == fingerprint(facts=reversed_keys(facts))


def test_fingerprint_tells_values_apart():
    values = (None, False, 0, 0.0, "0", "", [], [0], {}, {"0": 0})
    made = {fingerprint(x=value) for value in values} | {fingerprint(), fingerprint(y=0)}
    assert len(made) == len(values) + 2


def test_provenance_there_and_back():
    made = Provenance(
        step="tile",
        step_version=2,
        fingerprint="ab",
        settings={"min_tissue": 0.1, "anchor": "tissue"},
        inputs={"mask": "cd"},
        facts={"regions": 3, "note": "é"},
    )
    assert Provenance.from_json(made.to_json()) == made
    assert made.to_json().isascii()  # fits a PNG's text chunk
    assert json.loads(made.to_json())["version"] == __version__


@pytest.mark.parametrize("text", ["", "{}", "[1]", "3", "null", '{"step": "x", "y": 1}', b"\xff"])
def test_what_is_no_provenance(text: str | bytes):
    with pytest.raises(ValueError, match=r"provenance|Expecting|decode"):
        Provenance.from_json(text)
