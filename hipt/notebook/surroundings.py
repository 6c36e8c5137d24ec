"""A step inside somebody's process: its log is shown, and torch is left as it was."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

FORMAT, TIME = "%(asctime)s %(message)s", "%H:%M:%S"
"""Of a line of the log, as the command line has it."""


@contextmanager
def shown_progress() -> Iterator[None]:
    """Show what steps log on stderr, unless logging shows it already, or hipt's level is set."""
    log = logging.getLogger("hipt")
    if log.level or (log.hasHandlers() and log.isEnabledFor(logging.INFO)):
        yield
        return
    handler, propagate = logging.StreamHandler(), log.propagate
    handler.setFormatter(logging.Formatter(FORMAT, TIME))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(logging.NOTSET)
        log.propagate = propagate


@contextmanager
def torch_as_it_was() -> Iterator[None]:
    """Put back torch's threads and its precision on GPUs, which steps set for their process."""
    import torch

    threads = torch.get_num_threads()
    rounded = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = rounded
