"""Damaged copies of good files: what disks, editors and strangers do to bytes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

WORDS = (
    b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\r\n", b'"', b"'", b",", b";", b"\t", b"{", b"}", b"[",
    b"]", b"&a ", b"*a", b"!!python/object/apply:os.system ", b"<<: *a", b"- ", b": ", b"-1", b"0",
    b"1e999", b"NaN", b"-Infinity", b"null", b"true", b"9" * 40, b"../../x", b"/etc/passwd",
    b"\xc3\xa9", b"e\xcc\x81", b"\xed\xa0\x80", b"2024-99-99", b"0x7fffffffffffffff",
    b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80",
)  # fmt: skip
"""Bytes that parsers take for something."""

Mutation = Callable[[random.Random, bytearray, Sequence[bytes]], None]


def _flip(dice: random.Random, data: bytearray, seeds: Sequence[bytes]) -> None:  # noqa: ARG001
    for _ in range(dice.randint(1, 8)):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def _cut(dice: random.Random, data: bytearray, seeds: Sequence[bytes]) -> None:  # noqa: ARG001
    del data[dice.randrange(len(data)) :]


def _remove(dice: random.Random, data: bytearray, seeds: Sequence[bytes]) -> None:  # noqa: ARG001
    start = dice.randrange(len(data))
    del data[start : start + dice.randint(1, 64)]


def _insert(dice: random.Random, data: bytearray, seeds: Sequence[bytes]) -> None:  # noqa: ARG001
    at = dice.randrange(len(data))
    data[at:at] = dice.choice(WORDS) * dice.choice((1, 1, 1, 3))


def _overwrite(dice: random.Random, data: bytearray, seeds: Sequence[bytes]) -> None:  # noqa: ARG001
    word = dice.choice(WORDS)
    at = dice.randrange(len(data))
    data[at : at + len(word)] = word


def _repeat(dice: random.Random, data: bytearray, seeds: Sequence[bytes]) -> None:  # noqa: ARG001
    start = dice.randrange(len(data))
    part = data[start : start + dice.randint(1, 256)]
    data[start:start] = part * dice.choice((1, 2, 50))


def _nest(dice: random.Random, data: bytearray, seeds: Sequence[bytes]) -> None:  # noqa: ARG001
    at = dice.randrange(len(data))
    data[at:at] = dice.choice((b"[", b"{", b'{"a":', b"- ", b"((")) * dice.choice((50, 3000))


def _splice(dice: random.Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    other = dice.choice(seeds)
    start = dice.randrange(max(1, len(other)))
    data[dice.randrange(len(data)) :] = other[start:]


def _head(dice: random.Random, data: bytearray, seeds: Sequence[bytes]) -> None:  # noqa: ARG001
    """The first bytes are those that say what all others mean."""
    for _ in range(dice.randint(1, 4)):
        data[dice.randrange(min(len(data), 512))] = dice.randrange(256)


def _tail(dice: random.Random, data: bytearray, seeds: Sequence[bytes]) -> None:  # noqa: ARG001
    """And in some formats the last ones."""
    for _ in range(dice.randint(1, 4)):
        data[-1 - dice.randrange(min(len(data), 512))] = dice.randrange(256)


MUTATIONS: tuple[Mutation, ...] = (
    _flip, _flip, _cut, _remove, _insert, _insert, _overwrite, _overwrite, _repeat, _nest, _splice,
    _head, _tail,
)  # fmt: skip


def mutated(seeds: Sequence[bytes], count: int, seed: int) -> Iterator[bytes]:
    """Damaged copies of some good files, always the same ones for a seed."""
    dice = random.Random(seed)
    for _ in range(count):
        data = bytearray(dice.choice(seeds))
        for _ in range(dice.choice((1, 1, 2, 4))):
            if data:
                dice.choice(MUTATIONS)(dice, data, seeds)
        yield bytes(data)
