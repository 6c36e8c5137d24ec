"""What trying the engines came to, remembered in the results folder; torch is not needed for it.

A record holds for one kind of CPU, network, setting and version of the software: another of them
is another file. Seconds stand here and in no other result.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from hipt.embedding.engines.agreement import Agreement
from hipt.embedding.precisions import Precision
from hipt.store.whole import whole


@dataclass(frozen=True)
class Trial:
    """One engine in one precision."""

    engine: str
    precision: Precision
    rate: float = 0.0
    """Inputs per CPU second."""
    agreement: Agreement | None = None
    """None where it did not compute."""
    reason: str = ""
    """Why it did not compute."""

    def text(self) -> str:
        """What a person reads."""
        head = f"{self.engine} {self.precision}"
        if self.agreement is None:
            return f"{head}: cannot take this network ({self.reason})"
        return f"{head}: {self.rate:.3g} per CPU second, {self.agreement.text()}"


@dataclass(frozen=True)
class Record:
    """Which engine computes, and why."""

    step: str
    engine: str
    precision: Precision
    inputs: int
    """Patches or regions that the engines were tried on."""
    trials: tuple[Trial, ...]
    made_with: dict[str, str]
    """CPU and versions."""

    @property
    def chosen(self) -> Trial:
        """The trial of the engine that computes."""
        key = self.engine, self.precision
        return next(trial for trial in self.trials if (trial.engine, trial.precision) == key)

    def verdict(self, trial: Trial) -> str:
        """What came of a trial."""
        if trial is self.chosen:
            return "computes"
        if trial.agreement is None or trial.agreement.holds(trial.precision):
            return "not taken"
        return "too far from torch in fp32"

    def to_json(self) -> str:
        """The text of its file."""
        return json.dumps(asdict(self), indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Record:
        """The record of a file.

        Raises:
            ValueError: if it is none.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            trials = tuple(_trial(trial) for trial in values.pop("trials"))
            made = cls(trials=trials, **values)
            _ = made.chosen
        except (TypeError, KeyError, AttributeError, StopIteration, RecursionError) as error:
            raise ValueError(f"no record of engines: {error}") from None
        return made


def _trial(values: dict[str, Any]) -> Trial:
    """A trial of a record."""
    agreement = values.pop("agreement")
    return Trial(**values, agreement=None if agreement is None else Agreement(**agreement))


def read_record(path: Path) -> Record | None:
    """The record in a file; None where it is absent or damaged."""
    try:
        return Record.from_json(path.read_text())
    except (OSError, ValueError):
        return None


def read_records(folder: Path) -> list[Record]:
    """All records of a results folder, by step."""
    found = [record for path in sorted(folder.glob("*.json")) if (record := read_record(path))]
    return sorted(found, key=lambda record: record.step)


def write_record(path: Path, record: Record) -> None:
    """Write a record, whole or not at all."""
    with whole(path) as part:
        part.write_text(record.to_json())


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """While this job tries engines for a record, others wait for what it finds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_suffix(".lock"))
    try:
        lock.acquire()
    except (OSError, NotImplementedError):  # a file system without locks: each tries for itself
        with nullcontext():
            yield
        return
    try:
        yield
    finally:
        lock.release()
