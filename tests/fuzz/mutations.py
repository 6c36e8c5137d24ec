"""Damage to files: seeded, so that a number names an input for good."""

from __future__ import annotations

import json
import random
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Seed:
    """A file that is in order, and where its structure lies."""

    data: bytes
    hot: tuple[tuple[int, int], ...] = ()
    """Ranges of bytes that are hit more often than others: headers, footers."""


INTEGERS = (0, 1, 2, 7, 8, 127, 128, 255, 256, 32767, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1,
            2**40, 2**62, 2**63 - 1, 2**64 - 1)  # fmt: skip
"""Values at which sizes, counts and offsets overflow."""

NUMBERS = (
    *(b"0 -1 1 65536 2147483648 99999999999999999999 -0 1e308 1e-320 1e999 -1e999".split()),
    *(b"NaN nan Infinity -Infinity inf 0x1F 1_000 01 +5 1e 0.1.2 .5 5. \xd9\xa3".split()),
    b"9" * 5000,
    b"0x" + b"f" * 6000,
    b"1" + b"0" * 400,
)
"""In place of a number."""

TOKENS = (
    *(
        b"\0 \r\n \n \r \t \x1b[31m \xff\xfe \xed\xa0\x80 \xc3 \xef\xbb\xbf \xe2\x80\xae".split(
            b" "
        )
    ),
    *(b'" " \' , ; : / \\ .. ../x /etc/hosts ~ ~a - . CON x. | % { } [ ] < > & * ? #'.split()),
    *(b"null true false yes None \\u0000 \\ud800 {} [] [[]] {{7*7}} ${HOME} $(id) `id`".split()),
    *(b"<script>alert(1)</script> \xf0\x9f\x92\xa9 \xce\xb1 \xe2\x88\x95 \xef\xbc\x8f".split()),
    b"a" * 300,
    b"x/" * 3000,
    b"a" * 140_000,
    b"[" * 20_000,
    b'{"a":' * 20_000,
    b",x" * 5000,
    b"\n" * 3000,
)
"""Put somewhere, or in place of a cell."""

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 2**63, 2**70, 10**400, 1e308, 1e-320, 0.1, -0.0),
    *(float("nan"), float("inf"), "", "\0", "\ud800", "a\nb", "\x1b[2J", "1", "../x", "/", "~x"),
    *([], [[]], {}, {"a": {}}, [1, "a"], ["a", "a"], "x" * 5000, [0] * 5000, {"": ""}),
)
"""In place of a value of a JSON text."""

Change = Callable[[bytearray, random.Random, "Pool"], bytearray]


@dataclass(frozen=True)
class Pool:
    """What damage is made from."""

    seeds: Sequence[Seed]
    hot: tuple[tuple[int, int], ...]
    tokens: Sequence[bytes]


def mutated(
    name: str, number: int, seeds: Sequence[Seed], text: bool, tokens: Sequence[bytes] = ()
) -> bytes:
    """The input of that number: the seeds as they are first, then damaged ones."""
    if number < len(seeds):
        return seeds[number].data
    rng = random.Random(f"{name} {number}")
    seed = rng.choice(seeds)
    # torch searches its own message in a time that grows with the square of a pickle's longest name
    words = [token for token in TOKENS if text or len(token) < 10_000]
    pool = Pool(seeds, seed.hot, (*words, *tokens, *tokens, *tokens))
    data = bytearray(seed.data)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 4, 9))):
        data = rng.choice(_TEXT if text else _BINARY)(data, rng, pool)
    return bytes(data)


def _place(data: bytearray, rng: random.Random, pool: Pool) -> int:
    """Where to hit."""
    if pool.hot and rng.random() < 0.8:
        low, high = rng.choice(pool.hot)
        return min(rng.randrange(low, high), max(0, len(data) - 1))
    return rng.randrange(len(data) + 1)


def _flip(data: bytearray, rng: random.Random, pool: Pool) -> bytearray:
    for _ in range(rng.choice((1, 1, 3, 20))):
        at = _place(data, rng, pool)
        if at < len(data):
            data[at] ^= 1 << rng.randrange(8)
    return data


def _byte(data: bytearray, rng: random.Random, pool: Pool) -> bytearray:
    at = _place(data, rng, pool)
    data[at : at + 1] = bytes([rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))])
    return data


def _integer(data: bytearray, rng: random.Random, pool: Pool) -> bytearray:
    """A whole number of 2, 4 or 8 bytes, at a place where one may lie."""
    size, order = rng.choice((2, 4, 4, 8)), rng.choice("<<<>")
    at = _place(data, rng, pool) & ~(rng.choice((1, 2, 4, size)) - 1)
    value = rng.choice(INTEGERS) & (2 ** (8 * size) - 1)
    data[at : at + size] = struct.pack(order + {2: "H", 4: "I", 8: "Q"}[size], value)
    return data


def _cut(data: bytearray, rng: random.Random, pool: Pool) -> bytearray:
    return data[: _place(data, rng, pool)]


def _drop(data: bytearray, rng: random.Random, pool: Pool) -> bytearray:
    at = _place(data, rng, pool)
    del data[at : at + rng.choice((1, 2, 8, 100, 4096))]
    return data


def _repeat(data: bytearray, rng: random.Random, pool: Pool) -> bytearray:
    at = _place(data, rng, pool)
    part = data[at : at + rng.choice((1, 4, 30, 500))]
    return data[:at] + part * rng.choice((2, 3, 50)) + data[at:]


def _insert(data: bytearray, rng: random.Random, pool: Pool) -> bytearray:
    at = _place(data, rng, pool)
    return data[:at] + rng.randbytes(rng.choice((1, 2, 8, 64))) + data[at:]


def _token(data: bytearray, rng: random.Random, pool: Pool) -> bytearray:
    at = _place(data, rng, pool)
    return data[:at] + rng.choice(pool.tokens) + data[at:]


def _splice(data: bytearray, rng: random.Random, pool: Pool) -> bytearray:
    other = rng.choice(pool.seeds).data
    return data[: _place(data, rng, pool)] + other[rng.randrange(len(other) + 1) :]


def _zeros(data: bytearray, rng: random.Random, pool: Pool) -> bytearray:
    at = _place(data, rng, pool)
    part = data[at : at + rng.choice((4, 64, 512, 4096))]
    data[at : at + len(part)] = bytes(len(part))
    return data


def _number(data: bytearray, rng: random.Random, pool: Pool) -> bytearray:
    found = list(re.finditer(rb"[0-9.]+", data))
    if not found:
        return _token(data, rng, pool)
    one = rng.choice(found)
    return data[: one.start()] + rng.choice(NUMBERS) + data[one.end() :]


def _cell(data: bytearray, rng: random.Random, pool: Pool) -> bytearray:
    """Another content between two delimiters."""
    found = list(re.finditer(rb"[^,;\t\n\r:{}\[\]\"]+", data))
    if not found:
        return _token(data, rng, pool)
    one = rng.choice(found)
    other = rng.choice((rng.choice(pool.tokens), bytes(rng.choice(found)[0])))
    return data[: one.start()] + other + data[one.end() :]


def _lines(data: bytearray, rng: random.Random, pool: Pool) -> bytearray:  # noqa: ARG001
    """A line twice, away, or elsewhere."""
    lines = bytes(data).split(b"\n")
    line = rng.choice(lines)
    if rng.random() < 0.3:
        lines.remove(line)
    else:
        lines.insert(rng.randrange(len(lines) + 1), line)
    return bytearray(b"\n".join(lines))


def _ends(data: bytearray, rng: random.Random, pool: Pool) -> bytearray:  # noqa: ARG001
    """Another encoding or other line ends."""
    whole = bytes(data)
    return bytearray(
        rng.choice(
            (
                whole.replace(b"\n", b"\r\n"),
                whole.replace(b"\n", b"\r"),
                b"\xef\xbb\xbf" + whole,
                b"\xef\xbb\xbf\xef\xbb\xbf" + whole,
                whole.decode("latin-1").encode("utf-16"),
                whole.replace(b",", b";"),
                whole.replace(b",", b"\t"),
            )
        )
    )


def _value(data: bytearray, rng: random.Random, pool: Pool) -> bytearray:
    """Another value, or another key, in a JSON text."""
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        tree = None
    if not isinstance(tree, dict | list):
        return _number(data, rng, pool)
    holders: list[tuple[Any, Any]] = []
    todo = [tree]
    while todo:
        one = todo.pop()
        keys = list(one) if isinstance(one, dict) else range(len(one))
        holders += [(one, key) for key in keys]
        todo += [one[key] for key in keys if isinstance(one[key], dict | list)]
    if not holders:
        return _token(data, rng, pool)
    holder, key = rng.choice(holders)
    if isinstance(holder, dict) and rng.random() < 0.25:
        holder[str(rng.choice(VALUES))[:200]] = holder.pop(key)
    else:
        holder[key] = rng.choice((rng.choice(VALUES), rng.choice(holders)[0]))
    try:
        return bytearray(json.dumps(tree).encode())
    except (ValueError, RecursionError):  # the value holds itself
        return bytearray(b'{"a":' * 200 + b"1" + b"}" * 200)


_BYTES: tuple[Change, ...] = (_flip, _byte, _cut, _drop, _repeat, _insert, _splice)
_BINARY = (*_BYTES, _flip, _integer, _integer, _integer, _zeros, _token)
_TEXT = (*_BYTES, _token, _token, _number, _number, _cell, _cell, _lines, _ends, _value, _value)
