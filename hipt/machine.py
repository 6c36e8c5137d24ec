"""What this process may use of its machine: cores, memory, GPUs, a user and a home.

Standard library only: the profile of one server asks here before anything else is loaded.
"""

from __future__ import annotations

import getpass
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_ROOT = Path("/")
_HIDDEN = {"", "-1", "none", "void", "nodevfiles"}
"""Values of CUDA_VISIBLE_DEVICES and the like that mean that a job has no GPU."""

_OF_CPU = (
    *("vendor_id", "cpu family", "model", "model name", "stepping", "flags"),
    *("CPU implementer", "CPU part", "CPU variant", "Features"),
)
"""What Linux says of a CPU that is the same for all of its kind; of x86, then of Arm."""

_GRANTED = ("SLURM_JOB_GPUS", "SLURM_STEP_GPUS", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")
"""Where schedulers and container engines say which GPUs a job was given."""


@dataclass(frozen=True)
class Granted:
    """What a job was given to compute on."""

    gpus: int = 1
    """GPUs that its rule asked for; 0: it computes on the CPU, whatever the machine has."""
    setting: Literal["auto", "gpu", "cpu"] = "auto"
    """The config's `device`."""


ONE_GPU, NO_GPU = Granted(), Granted(gpus=0)


def usable_cores(root: Path = _ROOT) -> int:
    """Cores that this process may compute on: its affinity, and the quota of its cgroups.

    Args:
        root: where the system's files lie.
    """
    quotas = [*_quotas_v2(root), *_quotas_v1(root)]
    return max(1, min([len(os.sched_getaffinity(0)), *map(math.ceil, quotas)]))


def usable_memory_bytes(root: Path = _ROOT) -> int:
    """Memory that this process may take: the machine's, and the limits of its cgroups.

    Args:
        root: where the system's files lie.
    """
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in ("memory.max", "memory/memory.limit_in_bytes"):
        limits += [int(text) for text in _cgroup_files(root, file) if text.isdecimal()]
    return min(limits)


def cpu_facts(root: Path = _ROOT) -> dict[str, str]:
    """What tells this kind of CPU from others, as Linux names it: model, instructions.

    Args:
        root: where the system's files lie.
    """
    fields: dict[str, str] = {}
    for line in _text(root / "proc/cpuinfo").splitlines():
        name, _, value = (part.strip() for part in line.partition(":"))
        if name in _OF_CPU:
            fields.setdefault(name, value)
    return fields


def visible_gpus(environment: Mapping[str, str] = os.environ, root: Path = _ROOT) -> int:
    """NVIDIA GPUs that this process may see; 0 where there are none, or they are hidden."""
    named = environment.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        shown = [name.strip() for name in named.split(",")]
        return 0 if shown[0].lower() in _HIDDEN else len(shown)
    return len(list((root / "dev").glob("nvidia[0-9]*")))


def sign_of_gpu(environment: Mapping[str, str] = os.environ, root: Path = _ROOT) -> str | None:
    """What says that this job has a GPU, whether or not it can be used; None: nothing does."""
    if environment.get("CUDA_VISIBLE_DEVICES", "0").strip().lower() in _HIDDEN:
        return None
    for name in _GRANTED:
        value = environment.get(name, "").strip()
        if value.lower() not in _HIDDEN:
            return f"{name}={value}"
    devices = sorted((root / "dev").glob("nvidia[0-9]*"))
    return str(devices[0]) if devices else None


def unset_variables(environment: Mapping[str, str] = os.environ) -> list[str]:
    """What Snakemake needs of its user and does not have, as sentences that say what to set.

    Containers run under user ids without a name, with `/` as their home.
    """
    problems = []
    try:
        getpass.getuser()
    except (KeyError, OSError):  # OSError since Python 3.13
        problems.append(
            f"the user id {os.getuid()} has no name, and Snakemake stops: set USER (export USER=me)"
        )
    cache = Path(environment.get("XDG_CACHE_HOME") or Path(_home(environment)) / ".cache")
    if not _writable(cache):
        problems.append(
            f"Snakemake keeps its cache in {cache}, which cannot be written: set XDG_CACHE_HOME or "
            "HOME to a folder that can (export XDG_CACHE_HOME=/tmp/cache)"
        )
    named = environment.get("TMPDIR")
    if named and not _writable(Path(named)):
        problems.append(f"TMPDIR is {named}, which cannot be written: set it to a folder that can")
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        problems.append("no folder for temporary files can be written: set TMPDIR to one that can")
    return problems


def _home(environment: Mapping[str, str]) -> str:
    """The user's home folder, as programs look for it."""
    return environment.get("HOME") or os.path.expanduser("~")  # noqa: PTH111 - Path.home() raises


def _writable(folder: Path) -> bool:
    """Whether a folder can be written to, or made."""
    there = next((place for place in (folder, *folder.parents) if place.exists()), Path("/"))
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _quotas_v2(root: Path) -> Iterator[float]:
    """Cores that cgroups of version 2 allow."""
    for text in _cgroup_files(root, "cpu.max"):
        quota, _, period = text.partition(" ")
        if quota.isdecimal() and period.isdecimal() and int(period):
            yield int(quota) / int(period)


def _quotas_v1(root: Path) -> Iterator[float]:
    """Cores that cgroups of version 1 allow."""
    quotas = _cgroup_files(root, "cpu/cpu.cfs_quota_us")
    periods = _cgroup_files(root, "cpu/cpu.cfs_period_us")
    for quota, period in zip(quotas, periods, strict=False):
        if quota.isdecimal() and period.isdecimal() and int(period):
            yield int(quota) / int(period)


def _cgroup_files(root: Path, name: str) -> Iterator[str]:
    """The texts of one control file in this process's cgroup and in all above it.

    Args:
        root: where the system's files lie.
        name: the file; in version 1 behind its controller, as in `cpu/cpu.cfs_quota_us`.
    """
    controller, _, file = name.rpartition("/")
    mount = root / "sys/fs/cgroup" / controller
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            inner = mount / path.strip("/")
            for folder in (inner, *inner.parents):
                if not folder.is_relative_to(mount):
                    break
                if text := _text(folder / file):
                    yield text


def _text(path: Path) -> str:
    """A small file's text, without its line end; empty where it cannot be read."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
