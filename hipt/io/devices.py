"""Which device a job computes on; on a server with several GPUs, a free one by a lease.

Snakemake counts GPUs but does not assign them: jobs that run side by side each lease one here. A
lease is a lock on a file, so the operating system frees it however its holder ends.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal

import torch

from hipt.nn.encoders import Precision

log = logging.getLogger(__name__)

_WAIT_S = 2.0
_CPU = Path("/proc/cpuinfo")


@contextmanager
def compute_device() -> Iterator[torch.device]:
    """The device to compute on: a leased GPU where there are GPUs, else the CPU.

    Each process of a training leases its own, so that none takes what another job is computing on.
    """
    count = torch.cuda.device_count()
    if count == 0:
        yield torch.device("cpu")
        return
    names = [_identity(i) for i in range(count)]
    with leased(names, _lease_folder()) as chosen:
        torch.cuda.set_device(chosen)
        yield torch.device("cuda", chosen)


def device_name(device: torch.device) -> str:
    """What a person calls a device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def choose_precision(setting: Literal["auto", "fp32", "bf16"], device: torch.device) -> Precision:
    """The precision to compute in; `auto`: bf16 where the hardware is faster with it."""
    if setting != "auto":
        return setting
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if bf16_is_faster(_CPU.read_text() if _CPU.exists() else "") else "fp32"


def bf16_is_faster(cpu: str) -> bool:
    """Whether a CPU computes faster in bf16 than in fp32, by what /proc/cpuinfo says of it.

    With AMX it does; so it does by AMD's dot products of AVX-512 (measured: 1.7 times). Intel's are
    slower than fp32 (0.6 times, where AMX is hidden from a virtual machine).
    """
    said = dict(re.findall(r"^(\w+)\s*: (.*)$", cpu, re.M))
    flags = said.get("flags", "").split()
    amd = said.get("vendor_id") == "AuthenticAMD"
    return "amx_bf16" in flags or (amd and "avx512_bf16" in flags)


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


def _identity(index: int) -> str:
    """A GPU's name that is the same whatever CUDA_VISIBLE_DEVICES says."""
    properties = torch.cuda.get_device_properties(index)
    return f"gpu-{getattr(properties, 'uuid', index)}"


def _lease_folder() -> Path:
    """One folder per user and machine."""
    return Path(tempfile.gettempdir()) / f"hipt-{os.getuid()}"
