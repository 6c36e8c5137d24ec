"""An error that nobody foresaw: the slide's, or the machine's, and where its traceback is kept."""

from __future__ import annotations

import errno
import logging
import re
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from hipt.errors import TROUBLE, HiptError, SlideError, Status
from hipt.store.whole import NO_SPACE

log = logging.getLogger(__name__)

_STOPPED = "slides.on_slide_error is 'stop'"

_MACHINE = frozenset({errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EROFS})
"""Memory, open files, a disk that may not be written to: any slide could have met them."""

_DEVICE = re.compile(
    r"CUDA (error|out of memory)|CUBLAS_STATUS|cuDNN error|DefaultCPUAllocator|"
    r"can't start new thread|Insufficient memory"
)
"""How torch, OpenCV and Python say so in a RuntimeError."""

_DEVICE_ERRORS = frozenset({"OutOfMemoryError", "AcceleratorError"})
"""Torch's own, by name: not every step loads torch."""

_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{4,}\b")


MANY = 8
"""This many troubled slides, if they are more than half of those worked on, have a common cause."""

Row = dict[str, Any]


@dataclass(frozen=True)
class OneSlide:
    """A slide at work, and what is done when something raises."""

    slide_id: str
    trace: Path
    """The file that its traceback goes to."""
    target: Path
    """What Snakemake makes again so that the slide is tried again."""
    stop: bool
    """Whether trouble with a slide is to stop the job."""

    def ended(self, error: Exception) -> Row:
        """The status and reason of the slide whose work raised an error.

        A sentence is the reason as it is. Of an error that nobody foresaw, its one line is, and
        the traceback goes to a file. The reason of a failed slide ends with how to try it again.

        Raises:
            HiptError: where slides' trouble is to stop the job, or the machine is in trouble.
            OSError: the error itself, where a disk or a quota is full.
            Exception: the error itself, where slides' trouble is to stop the job.
        """
        refuse_machine_trouble(self.slide_id, error)
        if isinstance(error, HiptError):
            return self._refused(error)
        if self.stop:
            error.add_note(f"slide {self.slide_id}: failed ({_STOPPED})")
            raise error
        kept, line = _kept_traceback(error, self.trace), in_one_line(error)
        return {"status": "failed", "reason": f"{line} ({kept}{self._again})"}

    def _refused(self, error: HiptError) -> Row:
        """The end of a slide about which there is a sentence."""
        status: Status = error.status if isinstance(error, SlideError) else "failed"
        if self.stop and status in TROUBLE:
            sentence = f"slide {self.slide_id}: {status}: {error} ({_STOPPED})"
            raise HiptError(sentence) from None
        again = self._again if status == "failed" else ""
        return {"status": status, "reason": f"{error}{again}"}

    @property
    def _again(self) -> str:
        """What makes the slide be tried again."""
        return f"; to try it again: snakemake --forcerun {self.target}"

    def succeeded(self) -> None:
        """Forget the traceback of before."""
        with suppress(OSError):
            self.trace.unlink(missing_ok=True)


def refuse_many(rows: Sequence[Row], place: str) -> None:
    """Stop the job where many slides are in trouble: a disk or a setting is broken.

    Args:
        rows: the slides that were worked on, with status and reason.
        place: what they are of, and the step.

    Raises:
        HiptError: if they are `MANY` or more, and more than half.
    """
    troubled = [row for row in rows if row["status"] in TROUBLE]
    if len(troubled) < MANY or 2 * len(troubled) <= len(rows):
        return
    status, count = Counter(row["status"] for row in troubled).most_common(1)[0]
    first = next(row for row in troubled if row["status"] == status)
    raise HiptError(
        f"{len(troubled)} of {len(rows)} slides of {place}, {count} as '{status}' (first: "
        f"{first['slide_id']}: {first['reason']}); that many at once have a common cause: mend it "
        "and run again, finished slides are kept"
    )


def refuse_machine_trouble(slide_id: str, error: Exception) -> None:
    """Stop the job where an error is the machine's, and not that of the slide it met.

    Args:
        slide_id: the slide at work.
        error: what was raised, itself or as a sentence about another error.

    Raises:
        OSError: the error itself, where a disk or a quota is full.
        HiptError: where memory, a GPU, threads or open files are at their end.
    """
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno in NO_SPACE:
            raise cause
        if _is_machines(cause):
            raise HiptError(
                f"slide {slide_id}: {in_one_line(cause)}: this is the machine's trouble and not "
                "the slide's; see to memory, GPU and disk (a job's memory: mem_mb in the profile) "
                "and run again, finished slides are kept. If this slide alone asks for so much, "
                "exclude it in the sheet"
            ) from error


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and those that it was raised for; of a sentence, what it is about."""
    cause: BaseException | None = error
    seen = set[int]()
    while cause is not None and id(cause) not in seen:  # an error may be raised for itself
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _is_machines(error: BaseException) -> bool:
    """Whether any slide could have met an error."""
    if isinstance(error, OSError):
        return error.errno in _MACHINE
    if isinstance(error, MemoryError) or type(error).__name__ in _DEVICE_ERRORS:
        return True
    return isinstance(error, RuntimeError | cv2.error) and bool(_DEVICE.search(_text(error)))


def in_one_line(error: BaseException) -> str:
    """An error's type and text, the same in every run: addresses are left out."""
    name = type(error).__name__
    text = _ADDRESS.sub("0x...", _text(error))
    return str(HiptError(f"{name}: {text}" if text else name))


def _text(error: BaseException) -> str:
    """An error's text; some errors raise another when they are asked for it."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 (no slide ends its batch)
        return ""


def _kept_traceback(error: Exception, path: Path) -> str:
    """Write an error's traceback to a file; the words that lead a reader to it."""
    lines = "".join(traceback.format_exception(error))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # names of files that are no UTF-8 come as characters that cannot be encoded
        path.write_text(lines, encoding="utf-8", errors="backslashreplace")
    except OSError:
        log.warning("%s cannot be written; the traceback:\n%s", path, lines)
        return "traceback: in the job's log"
    return f"traceback: {path}"
