"""Leases of devices, across real processes; the devices are names only."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import pytest
import torch

from hipt.embedding import devices
from hipt.embedding.devices import (
    bf16_is_faster,
    choose_precision,
    compute_device,
    fp32_products,
    leased,
)
from hipt.errors import HiptError
from hipt.machine import NO_GPU, Granted, cpu_facts

HOLDER = """
import logging, sys, time
from pathlib import Path
from hipt.machine import NO_GPU, Granted
from hipt.errors import HiptError
from hipt.embedding import devices
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
devices._WAIT_S = 0.02
with devices.leased(["gpu-a", "gpu-b"], Path(sys.argv[1])) as (index,):
    print(index, flush=True)
    time.sleep(60)
"""
TAKEN = "0 of 2 GPUs are free, the others are taken by other jobs; waiting for 1\n"


class Holder:
    """A process that leases one of two devices and holds it."""

    def __init__(self, folder: Path, code: str = HOLDER) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True
        )

    def says(self) -> str:
        timer = Timer(300, self.process.kill)
        timer.start()
        try:
            return self.process.stdout.readline()
        finally:
            timer.cancel()

    def end(self) -> None:
        if self.process.stdout.closed:
            return
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@contextmanager
def holding(code: str, folder: Path) -> Iterator[Holder]:
    """A holder with code of its own."""
    holder = Holder(folder, code)
    try:
        yield holder
    finally:
        holder.end()


@contextmanager
def holders(folder: Path, count: int) -> Iterator[list[Holder]]:
    started = [Holder(folder) for _ in range(count)]
    try:
        yield started
    finally:
        for holder in started:
            holder.end()


def test_each_gets_its_own_device_and_a_killed_holder_frees_it(tmp_path: Path):
    with leased(["gpu-a", "gpu-b"], tmp_path) as (mine,), holders(tmp_path, 2) as others:
        said = {holder.says(): holder for holder in others}
        assert said.keys() == {f"{1 - mine}\n", TAKEN}
        said[f"{1 - mine}\n"].end()
        assert said[TAKEN].says() == f"{1 - mine}\n"


def test_a_lease_ends_with_its_block(tmp_path: Path):
    names = ["gpu-a", "gpu-b"]
    with leased(names, tmp_path / "new" / "folder") as (one,):
        with leased(names, tmp_path / "new" / "folder") as (other,):
            assert {one, other} == {0, 1}
        with leased(names, tmp_path / "new" / "folder") as (again,):
            assert again == other
    with pytest.raises(ValueError, match="stop"), leased(["gpu-a"], tmp_path):
        raise ValueError("stop")
    with leased(["gpu-a"], tmp_path) as (index,):
        assert index == 0


def test_a_lease_is_the_systems_lock_on_a_file(tmp_path: Path):
    """As other versions of hipt on the same machine take it."""
    with (tmp_path / "gpu-a.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with leased(["gpu-a", "gpu-b"], tmp_path) as (index,):
            assert index == 1
            other = (tmp_path / "gpu-b.lock").open("a")
            with other, pytest.raises(BlockingIOError):
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_several_are_leased_together_or_none(tmp_path: Path):
    """While two are wanted and one is free, that one stays free for others."""
    names, folder = ["gpu-a", "gpu-b", "gpu-c"], tmp_path
    code = HOLDER.replace('["gpu-a", "gpu-b"]', repr(names)).replace(
        "Path(sys.argv[1]))", "Path(sys.argv[1]), 2)"
    )
    code = code.replace("as (index,)", "as index")
    with leased(names, folder, 2) as mine, holding(code, folder) as pair:
        assert pair.says() == TAKEN.replace("0 of 2", "1 of 3").replace("for 1", "for 2")
        with leased(names, folder) as (single,):
            assert single == ({0, 1, 2} - set(mine)).pop()
    with leased(names, folder, 1):
        pass


def test_two_jobs_that_want_all_do_not_wait_for_each_other(tmp_path: Path):
    names = [f"gpu-{i}" for i in range(4)]
    code = HOLDER.replace('["gpu-a", "gpu-b"]', repr(names))
    code = code.replace("Path(sys.argv[1]))", "Path(sys.argv[1]), 4)").replace("(index,)", "index")
    code = code.replace("time.sleep(60)", "time.sleep(0.2)").replace("level=logging.INFO, ", "")
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    said = [process.communicate(timeout=300)[0] for process in processes]
    assert said == [b"(0, 1, 2, 3)\n"] * 3


def test_leases_stay_with_a_program_that_takes_the_place(tmp_path: Path):
    """As torchrun takes that of the launcher."""
    code = HOLDER.replace("Path(sys.argv[1]))", "Path(sys.argv[1]), 2, inherited=True)")
    code = code.replace("as (index,)", "as index").replace(
        "    time.sleep(60)", "    import os; os.execv('/bin/sleep', ['sleep', '60'])"
    )
    with holding(code, tmp_path) as program:
        assert program.says() == "(0, 1)\n"
        with holders(tmp_path, 1) as (other,):
            assert other.says() == TAKEN
            program.end()
            assert other.says() == "0\n"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_it_is_the_cpu():
    with compute_device() as device:
        assert device == torch.device("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_cannot_be_used_is_an_error(monkeypatch: pytest.MonkeyPatch):
    """A job that was given one would compute for days on the CPU."""
    monkeypatch.setenv("SLURM_JOB_GPUS", "3")
    sentence = r"torch .* cannot use any, and there is one \(SLURM_JOB_GPUS=3\): .*device: cpu"
    with pytest.raises(HiptError, match=sentence), compute_device():
        pass
    for granted in (Granted(setting="cpu"), NO_GPU):
        with compute_device(granted) as device:
            assert device.type == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_must_be_there_is_missed():
    sentence = r"there is none; .* set device: cpu"
    with pytest.raises(HiptError, match=sentence), compute_device(Granted(setting="gpu")):
        pass
    with compute_device(Granted(0, "gpu")) as device:  # this job was to have none
        assert device.type == "cpu"


def test_fp32_is_not_rounded_on_a_gpu():
    """Convolutions would be by default."""
    torch.backends.cudnn.allow_tf32 = True
    with compute_device(NO_GPU):
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cuda.matmul.allow_tf32


CPU = """processor	: {number}
vendor_id	: {vendor}
model name	: a CPU
flags		: fpu {flags}
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
def test_bf16_is_chosen_where_it_was_measured_to_be_faster(
    vendor: str, flags: str, faster: bool, tmp_path: Path
):
    cpu = "".join(CPU.format(number=i, vendor=vendor, flags=flags) for i in range(2))
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text(cpu)
    assert bf16_is_faster(cpu_facts(tmp_path)) is faster


@pytest.mark.parametrize(
    ("vendor", "flags", "faster"),
    [
        ("AuthenticAMD", "avx2 avx512f", True),
        ("AuthenticAMD", "avx2", False),
        ("GenuineIntel", "avx512f", False),
    ],
)
def test_fp32_goes_by_onednn_where_it_was_measured_to_be_faster(
    vendor: str, flags: str, faster: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(devices, "cpu_facts", lambda: {"vendor_id": vendor, "flags": flags})
    x, weight = torch.ones(2, 3), torch.ones(4, 3, requires_grad=True)
    for device, other in (("cpu", faster), ("cuda", False)):
        with fp32_products(torch.device(device)):
            way = type(torch.nn.functional.linear(x, weight).grad_fn).__name__
        assert ("_Linear" in way) is other


def test_an_unknown_machine_computes_in_fp32(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(devices, "cpu_facts", dict)
    assert choose_precision("auto", torch.device("cpu")) == "fp32"


def test_precision_is_what_was_asked_for():
    assert choose_precision("fp32", torch.device("cpu")) == "fp32"
    assert choose_precision("bf16", torch.device("cpu")) == "bf16"
