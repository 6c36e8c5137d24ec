"""A results folder as a run leaves it halfway: ledger, indices, and logs by the real writers."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from hipt.cohort.batch_run import BatchRun
from hipt.cohort.ledger import Ledger, updated, write_ledger
from hipt.errors import SlideError
from hipt.layout import Results

BATCH_SIZE = 2


@contextmanager
def logged(path: Path) -> Iterator[None]:
    """What steps log while the block runs, as a job's shell leaves it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, "w", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
        handler.close()


class RunFolder:
    """A run of some slides, in batches of two."""

    def __init__(self, root: Path, slides: Sequence[str]) -> None:
        self.results = Results(root)
        root.mkdir(parents=True, exist_ok=True)
        self.ledger = updated(Ledger(), dict.fromkeys(slides, "digest"), BATCH_SIZE)
        write_ledger(self.results.batches, self.ledger)

    def slides(self, batch: str) -> list[str]:
        """Of a batch."""
        return [slide for slide, name in self.ledger.batch_of.items() if name == batch]

    def work(
        self,
        step: str,
        batch: str,
        ends: Mapping[str, SlideError] | None = None,
        facts: Mapping[str, int] | None = None,
        until: int | None = None,
    ) -> None:
        """A batch's job; its index is not there where it comes only so far."""
        index, slides = self.results.index(step, batch), self.slides(batch)
        with logged(self.results.log(step, batch)):
            try:
                with BatchRun(index, len(slides), "record") as run:
                    for slide in slides[:until]:
                        with run.slide(slide) as row:
                            row |= {"fingerprint": slide} | dict(facts or {})
                            if error := (ends or {}).get(slide):
                                raise error
                    if until is not None:
                        raise KeyboardInterrupt
            except KeyboardInterrupt:
                pass
