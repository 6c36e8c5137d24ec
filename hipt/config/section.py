"""A section of settings: immutable, unknown keys refused, every mistake said in one sentence."""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Iterator
from typing import Any, TypeGuard, TypeVar, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails

from hipt.errors import HiptError

S = TypeVar("S", bound="Section")

_WANTED = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "string": "text (in quotes)",
    "model": "a mapping of keys to values",
    "dict": "a mapping of keys to values",
    "list": "a list",
    "tuple": "a list",
}
"""What a value should have been, by the first word of pydantic's name for the mistake."""


class _Shortened(reprlib.Repr):
    """Python's short form of values, for whole numbers of any length."""

    def repr_int(self, x: int, level: int) -> str:
        """A number that Python would not write out by its size."""
        return super().repr_int(x, level) if x.bit_length() < _MOST_BITS else "a huge number"


_MOST_BITS = 4096
_MOST_PLACES = 2
"""Sections that a hint names for a key that stands in another one."""
_QUOTED = re.compile(r"'([^']*)'")
_SHORTENED = _Shortened()
_SHORTENED.maxstring = _SHORTENED.maxother = 80


class Section(BaseModel):
    """A part of the config: immutable, and unknown keys are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: object, info: ValidationInfo) -> object:
        """YAML reads a bare yes as true, and pydantic true as 1; nobody means that."""
        kind = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and kind is not bool:
            raise ValueError(f"must not be {str(value).lower()} (or yes, no, on, off in YAML)")
        return value


def parse(cls: type[S], values: object, source: str) -> S:
    """A section from plain values, e.g. loaded YAML.

    Args:
        cls: the section's class.
        values: nested dicts of plain values.
        source: where they come from, for the sentence.

    Raises:
        HiptError: naming the first key that is wrong, what was found and what to do.
    """
    try:
        return cls.model_validate({} if values is None else values)
    except ValidationError as error:
        raise HiptError(f"{source}: {_sentence(cls, error)}") from None


def _sentence(cls: type[Section], error: ValidationError) -> str:
    """The first problem of a validation, in words."""
    problems = [(*_place(cls, e["loc"]), e) for e in error.errors(include_url=False)]
    first = problems[0][0]
    # pydantic reports every branch of a union; the one that the values were meant for says most
    here = [problem for problem in problems if problem[0][: len(first)] == first]
    keys, section, worst = min(here, key=lambda problem: _rank(problem[2], len(problem[0])))
    where, kind = _brief(".".join(keys)).strip("'"), worst["type"]
    if kind in ("extra_forbidden", "invalid_key"):
        return f"unknown key '{where}'; {_hint_of_key(cls, keys, section)}"
    if kind == "missing" and isinstance(worst["loc"][-1], int):
        return f"{where}: has too few values, got {_brief(worst['input'])}"
    if kind == "missing":
        return f"{where}: is missing; set it"
    place = f"{where}: " if where else ""
    if kind == "value_error":
        return place + str(worst["ctx"]["error"])
    wanted = dict.fromkeys(_wanted(e) for path, _, e in here if path == keys)
    known = [name for text in wanted for name in _QUOTED.findall(text)]
    near = _like(str(worst["input"]), known, 0.7) if isinstance(worst["input"], str) else None
    hint = f"; did you mean '{near}'?" if near else ""
    return f"{place}must be {' or '.join(wanted)}, got {_brief(worst['input'])}{hint}"


def _brief(value: object) -> str:
    """A value as it would be written, on one short line."""
    text = _SHORTENED.repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."


def _place(cls: type[Section], loc: tuple[int | str, ...]) -> tuple[list[str], type[Section]]:
    """A problem's keys, without pydantic's names for branches, and the section it lies in."""
    keys: list[str] = []
    section, here = cls, cast(Any, cls)
    for part in loc:
        if _is_section(here):
            section = here
            keys.append(str(part))
            field = here.model_fields.get(str(part))
            here = field.annotation if field else None
        elif get_origin(here) is dict:
            keys.append(str(part))
            here = get_args(here)[1]
        else:
            options = (o for o in get_args(here) if _is_section(o) and o.__name__ in str(part))
            here = next(options, None)
    return keys, section


def _is_section(kind: object) -> TypeGuard[type[Section]]:
    """Whether a type is a class of settings."""
    return isinstance(kind, type) and issubclass(kind, Section)


def _rank(problem: ErrorDetails, depth: int) -> tuple[bool, int, bool]:
    """Lower says more: an unknown key, what lies deeper, a rule broken rather than a type."""
    kind = problem["type"]
    return kind != "extra_forbidden", -depth, kind != "value_error"


def _wanted(problem: ErrorDetails) -> str:
    """What a value should have been."""
    plain = problem["msg"].removeprefix("Input should be ")
    return _WANTED.get(problem["type"].partition("_")[0], plain)


def _hint_of_key(cls: type[Section], keys: list[str], section: type[Section]) -> str:
    """Where the key belongs, the nearest known key, or all of them."""
    key, known = keys[-1], sorted(section.model_fields)
    places = [place for place in _places(cls) if place[-1] == key and place[0] == keys[0]]
    if places and len(places) <= _MOST_PLACES:
        return f"it belongs to {' or '.join('.'.join(place[:-1]) for place in places)}"
    near = _like(key, known, 0.5)
    return f"did you mean '{near}'?" if near else f"known here: {', '.join(known)}"


def _places(cls: type[Section]) -> Iterator[tuple[str, ...]]:
    """The keys of a section and of those within, each with the way to it."""
    for name, field in cls.model_fields.items():
        yield (name,)
        for kind in (field.annotation, *get_args(field.annotation)):
            if _is_section(kind):
                yield from ((name, *inner) for inner in _places(kind))


def _like(word: str, known: list[str], least: float) -> str | None:
    """The nearest known word, if one is at least as near, of 1."""
    return next(iter(difflib.get_close_matches(word, known, n=1, cutoff=least)), None)
