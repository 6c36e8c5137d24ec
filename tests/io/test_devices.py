"""Leases of devices, across real processes; the devices are names only."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import pytest
import torch

from hipt.io import devices
from hipt.io.devices import bf16_is_faster, choose_precision, compute_device, leased

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
        timer = Timer(60, self.process.kill)
        timer.start()
        try:
            return self.process.stdout.readline()
        finally:
            timer.cancel()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@contextmanager
def holders(folder: Path, count: int) -> Iterator[list[Holder]]:
    started = [Holder(folder) for _ in range(count)]
    try:
        yield started
    finally:
        for holder in started:
            holder.end()


def test_each_gets_its_own_device_and_a_killed_holder_frees_it(tmp_path: Path):
    with leased(["gpu-a", "gpu-b"], tmp_path) as mine, holders(tmp_path, 2) as others:
        said = {holder.says(): holder for holder in others}
        assert said.keys() == {f"{1 - mine}\n", TAKEN}
        said[f"{1 - mine}\n"].end()
        assert said[TAKEN].says() == f"{1 - mine}\n"


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


RANK = """
import os, sys, time
from pathlib import Path
from hipt.io import devices
devices._WAIT_S = 0.02
with devices.leased(["gpu-a", "gpu-b", "gpu-c"], Path(sys.argv[1])) as index:
    (Path(sys.argv[1]) / f"rank-{os.environ['RANK']}").write_text(str(index))
    while len(list(Path(sys.argv[1]).glob("rank-*"))) < 2:
        time.sleep(0.02)
"""


def test_each_process_of_torchrun_has_its_own_device(tmp_path: Path):
    """Three devices, one of them taken by a job beside: the two processes share the others."""
    script = tmp_path / "rank.py"
    script.write_text(RANK)
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
    ]
    with leased(["gpu-a", "gpu-b", "gpu-c"], tmp_path) as taken:
        subprocess.run([*launch, str(script), str(tmp_path)], check=True, timeout=120)
    chosen = {int(path.read_text()) for path in tmp_path.glob("rank-*")}
    assert chosen == {0, 1, 2} - {taken}


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_it_is_the_cpu():
    with compute_device() as device:
        assert device == torch.device("cpu")


CPU = """processor	: {number}
vendor_id	: {vendor}
model name	: a CPU
flags		: fpu avx512f {flags}
vmx flags	: amx_bf16

"""


@pytest.mark.parametrize(
    ("vendor", "flags", "faster"),
    [
        ("GenuineIntel", "avx512_bf16 amx_tile amx_bf16", True),
        ("GenuineIntel", "avx512_bf16", False),
        ("AuthenticAMD", "avx512_bf16", True),
        ("AuthenticAMD", "avx2", False),
    ],
)
def test_bf16_is_chosen_where_it_was_measured_to_be_faster(vendor: str, flags: str, faster: bool):
    cpu = "".join(CPU.format(number=i, vendor=vendor, flags=flags) for i in range(2))
    assert bf16_is_faster(cpu) is faster


def test_an_unknown_machine_computes_in_fp32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert not bf16_is_faster("")
    monkeypatch.setattr(devices, "_CPU", tmp_path / "absent")
    assert choose_precision("auto", torch.device("cpu")) == "fp32"


def test_precision_is_what_was_asked_for():
    assert choose_precision("fp32", torch.device("cpu")) == "fp32"
    assert choose_precision("bf16", torch.device("cpu")) == "bf16"
