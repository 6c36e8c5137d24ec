"""What trying the engines came to, remembered in the results folder; torch is not needed for it.

A record holds for one kind of CPU, network, setting and version of the software: another of them
is another file. Seconds stand here and in no other result.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock
from pydantic import TypeAdapter

from hipt.embedding.engines.agreement import Agreement
from hipt.embedding.precisions import Precision
from hipt.store.whole import whole

EngineName = Literal["torch", "openvino"]


@dataclass(frozen=True)
class Trial:
    """One engine in one precision."""

    engine: EngineName
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
    engine: EngineName
    precision: Precision
    inputs: int
    """Patches or regions that the engines were tried on."""
    trials: tuple[Trial, ...]
    made_with: dict[str, str]
    """CPU and versions."""

    @property
    def chosen(self) -> Trial:
        """The trial of the engine that computes."""
        return next(trial for trial in self.trials if self.is_chosen(trial))

    def is_chosen(self, trial: Trial) -> bool:
        """Whether a trial is of the engine that computes."""
        return (trial.engine, trial.precision) == (self.engine, self.precision)

    def verdict(self, trial: Trial) -> str:
        """What came of a trial."""
        if self.is_chosen(trial):
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
        made = _RECORD.validate_json(text)
        if not any(made.is_chosen(trial) for trial in made.trials):
            raise ValueError("what it names was not tried")
        return made


_RECORD = TypeAdapter(Record)


def read_record(path: Path) -> Record | None:
    """The record in a file; None where it is absent or damaged."""
    try:
        return Record.from_json(path.read_text())
    except (OSError, ValueError):
        return None


def read_records(folder: Path) -> list[Record]:
    """All records of a results folder, by step."""
    files = sorted(folder.glob("[!.]*.json"))  # none that is being written
    found = [record for path in files if (record := read_record(path))]
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
        yield
        return
    try:
        yield
    finally:
        lock.release()
