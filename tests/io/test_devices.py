"""Leases of devices, across real processes; the devices are names only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Timer

import pytest
import torch

from hipt.io.devices import compute_device, leased

HOLDER = """
import logging, sys, time
from pathlib import Path
from hipt.io import devices
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
devices._WAIT_S = 0.02
with devices.leased(["gpu-a", "gpu-b"], Path(sys.argv[1])) as index:
    print(index, flush=True)
    time.sleep(60)
"""
TAKEN = "all 2 GPUs are taken by other jobs; waiting for one\n"


class Holder:
    """A process that leases one of two devices and holds it."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True
        )

    def says(self) -> str:
        assert self.process.stdout is not None
        timer = Timer(60, self.process.kill)
        timer.start()
        try:
            return self.process.stdout.readline()
        finally:
            timer.cancel()

    def end(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def holders(tmp_path: Path) -> Iterator[list[Holder]]:
    started = [Holder(tmp_path) for _ in range(3)]
    yield started
    for holder in started:
        if holder.process.poll() is None:
            holder.end()


def test_two_hold_different_devices_a_third_waits_and_gets_that_of_the_killed(
    holders: list[Holder],
):
    first = {holder: holder.says() for holder in holders}
    assert sorted(first.values()) == ["0\n", "1\n", TAKEN]
    waiting = next(holder for holder in holders if first[holder] == TAKEN)
    killed = next(holder for holder in holders if holder is not waiting)
    killed.end()
    assert waiting.says() == first[killed]


def test_a_lease_ends_with_its_block(tmp_path: Path):
    names = ["gpu-a", "gpu-b"]
    with leased(names, tmp_path / "new" / "folder") as one:
        with leased(names, tmp_path / "new" / "folder") as other:
            assert {one, other} == {0, 1}
        with leased(names, tmp_path / "new" / "folder") as again:
            assert again == other
    with pytest.raises(ValueError, match="stop"), leased(["gpu-a"], tmp_path):
        raise ValueError("stop")
    with leased(["gpu-a"], tmp_path) as index:
        assert index == 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_it_is_the_cpu():
    with compute_device() as device:
        assert device == torch.device("cpu")
