"""A real cgroup with a quota of CPU time, where this machine lets one be made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

V1, V2 = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")


@contextmanager
def half_a_core() -> Iterator[list[str]]:
    """The words to put before a command that may use half a core."""
    old = V1.is_dir()
    group = (V1 if old else V2) / f"hipt-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made here: {error}")
    try:
        (group / ("cpu.cfs_quota_us" if old else "cpu.max")).write_text(
            "50000" if old else "50000 100000"
        )
        yield ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]
    except FileNotFoundError as error:
        pytest.skip(f"no quota can be set here: {error}")
    finally:
        group.rmdir()
