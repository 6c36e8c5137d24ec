"""Which device a job computes on; on a server with several GPUs, a free one by a lease.

Snakemake counts GPUs but does not assign them: jobs that run side by side each lease one here. A
lease is a lock on a file, so the operating system frees it however its holder ends.
"""

from __future__ import annotations

import fcntl
import logging
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import torch

log = logging.getLogger(__name__)

_WAIT_S = 2.0


@contextmanager
def compute_device() -> Iterator[torch.device]:
    """The device to compute on: a leased GPU where there are GPUs, else the CPU.

    Each process of a training leases its own, so that none takes what another job is computing on.
    """
    count = torch.cuda.device_count()
    if count == 0:
        yield torch.device("cpu")
        return
    names = [_device_name(i) for i in range(count)]
    with leased(names, _lease_folder()) as chosen:
        torch.cuda.set_device(chosen)
        yield torch.device("cuda", chosen)


@contextmanager
def leased(names: Sequence[str], folder: Path) -> Iterator[int]:
    """The index of a free device; waits while all are taken, and says so once.

    Args:
        names: what tells the devices apart, the same in every process (e.g. their UUIDs).
        folder: where the lock files lie; shared by the processes of one machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    said = False
    while True:
        for index, name in enumerate(names):
            lock = _try_lock(folder / f"{name}.lock")
            if lock is not None:
                with lock:
                    yield index
                return
        if not said:
            log.info("all %d GPUs are taken by other jobs; waiting for one", len(names))
            said = True
        time.sleep(_WAIT_S)


def _try_lock(path: Path) -> IO[str] | None:
    """The locked file, or None where somebody else holds it."""
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def _device_name(index: int) -> str:
    """A GPU's name that is the same whatever CUDA_VISIBLE_DEVICES says."""
    properties = torch.cuda.get_device_properties(index)
    return f"gpu-{getattr(properties, 'uuid', index)}"


def _lease_folder() -> Path:
    """One folder per user and machine."""
    return Path(tempfile.gettempdir()) / f"hipt-{os.getuid()}"
