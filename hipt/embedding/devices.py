"""Which device a job computes on; on a server with several GPUs, a free one by a lease.

Snakemake counts GPUs but does not assign them: jobs that run side by side each lease one here. A
lease is a lock on a file, so the operating system frees it however its holder ends.
"""

from __future__ import annotations

import logging
import os
import random
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Literal

import torch
from filelock import FileLock, Timeout

from hipt.errors import HiptError
from hipt.machine import ONE_GPU, Granted, cpu_facts, sign_of_gpu
from hipt.nn.encoders import Precision
from hipt.nn.products import OneDnnLinear

log = logging.getLogger(__name__)

_WAIT_S = 2.0


@contextmanager
def compute_device(granted: Granted = ONE_GPU) -> Iterator[torch.device]:
    """The device to compute on: a leased GPU where the job was given one, else the CPU.

    A process of torchrun takes the GPU of its local rank: its launcher holds the leases of all.

    Raises:
        HiptError: if the job has a GPU that torch cannot use, or must have one and has none.
    """
    _exact_fp32()
    count = gpus_to_use(granted)
    if count == 0:
        yield torch.device("cpu")
    elif "LOCAL_RANK" in os.environ:
        yield _ready(int(os.environ["LOCAL_RANK"]))
    else:
        with leased(gpu_names(count), lease_folder()) as (chosen,):
            yield _ready(chosen)


def gpus_to_use(granted: Granted) -> int:
    """How many GPUs this process sees and may take; 0: it computes on the CPU.

    Raises:
        HiptError: as `compute_device`.
    """
    if granted.setting == "cpu" or granted.gpus == 0:
        return 0
    count = torch.cuda.device_count()
    if count:
        return count
    sign = sign_of_gpu()
    if sign is None and granted.setting == "auto":
        return 0
    reason = "there is none" if sign is None else f"there is one ({sign}): {_cuda_trouble()}"
    raise HiptError(
        f"this job was to compute on a GPU, but torch {torch.__version__} cannot use any, and "
        f"{reason}; on a CPU it may take days: set device: cpu if that is wanted"
    )


def _cuda_trouble() -> str:
    """Why torch has no GPU."""
    if torch.version.cuda is None:
        return "this torch was built without CUDA"
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except (RuntimeError, AssertionError) as error:
        return (str(error).splitlines() or [type(error).__name__])[0]
    return "the driver shows no device to this job"


def _exact_fp32() -> None:
    """Make fp32 mean fp32 on GPUs: torch's convolutions would round to TF32 (10 bits)."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def _ready(index: int) -> torch.device:
    """One GPU, once it has computed something.

    Raises:
        HiptError: if there is no such GPU, or it cannot compute.
    """
    device = torch.device("cuda", index)
    try:
        torch.cuda.set_device(device)
        torch.ones(1, device=device).add_(1).item()
    except (RuntimeError, AssertionError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise HiptError(
            f"GPU {index} cannot be used ({reason}); leave it out with CUDA_VISIBLE_DEVICES, or "
            "set device: cpu"
        ) from None
    return device


def device_name(device: torch.device) -> str:
    """What a person calls a device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def choose_precision(setting: Literal["auto", "fp32", "bf16"], device: torch.device) -> Precision:
    """The precision to compute in; `auto`: bf16 where the hardware is faster with it."""
    if setting != "auto":
        return setting
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if bf16_is_faster(cpu_facts()) else "fp32"


def bf16_is_faster(cpu: Mapping[str, str]) -> bool:
    """Whether a CPU computes faster in bf16 than in fp32, by the facts that Linux states of it.

    With AMX it does; so it does by AMD's dot products of AVX-512 (measured: 1.7 times). Intel's are
    slower than fp32 (0.6 times, where AMX is hidden from a virtual machine).
    """
    flags = _flags(cpu)
    return "amx_bf16" in flags or (_is_amd(cpu) and "avx512_bf16" in flags)


def fp32_products(device: torch.device) -> AbstractContextManager[object]:
    """Within it linear layers in fp32 go the way that is fastest on a device.

    Only where that was measured: on AMD's CPUs with AVX-512 oneDNN is 2.2 times as fast as torch's
    own way.
    """
    cpu = cpu_facts() if device.type == "cpu" else {}
    faster = _is_amd(cpu) and "avx512f" in _flags(cpu) and OneDnnLinear.is_there()
    return OneDnnLinear() if faster else nullcontext()


def _is_amd(cpu: Mapping[str, str]) -> bool:
    return cpu.get("vendor_id") == "AuthenticAMD"


def _flags(cpu: Mapping[str, str]) -> list[str]:
    """Instructions that a CPU has."""
    return cpu.get("flags", "").split()


@contextmanager
def leased(
    names: Sequence[str], folder: Path, count: int = 1, *, inherited: bool = False
) -> Iterator[tuple[int, ...]]:
    """The indices of free devices, all or none; waits while there are too few, and says so once.

    Jobs that wait for several hold none meanwhile, so that no two of them wait for each other.

    Args:
        names: what tells the devices apart, the same in every process (e.g. their UUIDs).
        folder: where the lock files lie; shared by the processes of one machine and user.
        count: how many to lease; at most as many as there are.
        inherited: whether the leases stay with a program that takes this process's place.
    """
    folder.mkdir(parents=True, exist_ok=True)
    waiting = False
    while True:
        with ExitStack() as held:
            chosen: list[int] = []
            for index, name in enumerate(names):
                lock = FileLock(
                    folder / f"{name}.lock",
                    blocking=False,
                    on_acquired=lambda file: os.set_inheritable(file, inherited),
                )
                try:
                    held.enter_context(lock)
                except Timeout:
                    continue
                chosen.append(index)
                if len(chosen) == count:
                    yield tuple(chosen)
                    return
        if not waiting:
            log.info(
                "%d of %d GPUs are free, the others are taken by other jobs; waiting for %d",
                len(chosen),
                len(names),
                count,
            )
            waiting = True
        time.sleep(_WAIT_S * random.uniform(0.5, 1.5))  # jobs must not keep step


def gpu_names(count: int) -> list[str]:
    """The first GPUs' names, the same whatever CUDA_VISIBLE_DEVICES says."""
    properties = [torch.cuda.get_device_properties(index) for index in range(count)]
    return [f"gpu-{getattr(device, 'uuid', i)}" for i, device in enumerate(properties)]


def lease_folder() -> Path:
    """One folder per user and machine."""
    return Path(tempfile.gettempdir()) / f"hipt-{os.getuid()}"
