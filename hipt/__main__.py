"""`hipt STEP ...`: logging, errors as one sentence, exit codes.

Exit codes: 0 done; 2 something that the user can put right, said in one sentence; 1 a bug, with
its traceback.
"""

from __future__ import annotations

import importlib
import io
import logging
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from hipt import __version__
from hipt.errors import HiptError
from hipt.registry import COMMANDS
from hipt.store.whole import NO_SPACE

ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "VECLIB_MAXIMUM_THREADS": "1"}
"""NumPy's products add up in another order with more threads; read when it is first imported."""

STOPPED = {128 + number: number for number in (signal.SIGTERM, signal.SIGINT)}
"""What asks a step to stop, by the exit code that it leaves with."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one step; returns the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    if args[:1] == ["--version"]:
        print(__version__)
        return 0
    if not args or args[0] not in COMMANDS:
        return _usage(args)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", force=True
    )
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # tells of every glyph in a PDF
    for number in STOPPED.values():
        signal.signal(number, _leave)
    os.environ.update(ONE_THREAD)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a locale may lack letters of a slide_id
    return _run(args)


def _run(args: Sequence[str]) -> int:
    """The exit code of a step; errors that the user can put right in a sentence."""
    try:
        try:
            importlib.import_module(f"hipt.steps.{args[0]}").main(args[1:])
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except SystemExit as left:
        of_a_run = COMMANDS[args[0]].version  # its log says why it has no other end
        if of_a_run and left.code in STOPPED:
            print(f"hipt {args[0]}: stopped by {STOPPED[left.code].name}", file=sys.stderr)
        raise
    except HiptError as error:
        print(f"hipt {args[0]}: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        print(
            f"hipt {args[0]}: no space left to write {error.filename or 'a file'} "
            f"({os.strerror(error.errno)}); free some and run again, finished slides are kept",
            file=sys.stderr,
        )
        return 2
    return 0


def _leave(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
    """Asked to stop: leave through the clean-up, so that no half-written file stays."""
    raise SystemExit(128 + signum)


def _usage(args: Sequence[str]) -> int:
    """What there is; exit code 2 unless help was asked for."""
    requested = not args or args[0] in ("-h", "--help", "help")
    out = sys.stdout if requested else sys.stderr
    if not requested:
        print(f"hipt: no step '{args[0]}'\n", file=out)
    print("usage: hipt STEP ...   (hipt STEP --help for its arguments)\n", file=out)
    for name, step in COMMANDS.items():
        print(f"  {name:15}{step.help}", file=out)
    return 0 if requested else 2


if __name__ == "__main__":
    sys.exit(main())
