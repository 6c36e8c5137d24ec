"""Training in several processes: torchrun, started on GPUs that were leased together."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import NoReturn

from hipt.embedding.devices import gpu_names, gpus_to_use, lease_folder, leased
from hipt.errors import HiptError
from hipt.machine import Granted
from hipt.pretraining.state import STOP_SIGNALS

SHUTDOWN_S = 300
"""Seconds that processes have, once they were asked to stop, to finish a step and save."""


def is_launched() -> bool:
    """Whether this process is one of several that torchrun has started."""
    return "RANK" in os.environ


def launch(processes: int, granted: Granted, arguments: Sequence[str]) -> NoReturn:
    """Become torchrun, with a GPU for each process; this process's leases stay with it.

    All GPUs are leased before any process starts: processes that lease one by one would wait for
    each other, holding what another training waits for, until their first exchange is given up.

    Raises:
        HiptError: if there are fewer GPUs than processes, or as `compute_device`.
    """
    count = gpus_to_use(granted)
    refuse_too_few_gpus(processes, count)
    with ExitStack() as leases:
        environment = dict(os.environ)
        if count:
            chosen = leases.enter_context(
                leased(gpu_names(count), lease_folder(), processes, inherited=True)
            )
            environment["CUDA_VISIBLE_DEVICES"] = shown(chosen, environment)
        sys.stderr.flush()
        command = torchrun(processes, arguments)
        os.execve(command[0], command, environment)


def torchrun(processes: int, arguments: Sequence[str]) -> list[str]:
    """The command that starts the processes on this machine."""
    signals = ",".join(signal.name for signal in STOP_SIGNALS)
    return [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
        *("--signals-to-handle", signals, "--shutdown-timeout", str(SHUTDOWN_S)),
        *("--nproc-per-node", str(processes), "-m", "hipt", *arguments),
    ]


def shown(chosen: Sequence[int], environment: Mapping[str, str]) -> str:
    """CUDA_VISIBLE_DEVICES for some of the GPUs that this process sees.

    Args:
        chosen: their indices among those that it sees.
        environment: its variables; what is hidden from it stays hidden.
    """
    names = environment.get("CUDA_VISIBLE_DEVICES")
    if names is None:
        return ",".join(str(index) for index in chosen)
    seen = [name.strip() for name in names.split(",")]
    return ",".join(seen[index] for index in chosen)


def refuse_too_few_gpus(processes: int, gpus: int) -> None:
    """Refuse to wait for ever for a GPU that is not there; without any, the CPU serves them all.

    Raises:
        HiptError: if there are GPUs, and fewer than processes.
    """
    if 0 < gpus < processes:
        raise HiptError(
            f"pretrain.processes is {processes}, and this job has {gpus} GPU(s): each process "
            "needs one; lower it, or give the job more"
        )
