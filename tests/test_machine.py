"""Cores, memory and GPUs of a job, in containers, under quotas and with hidden devices."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hipt.machine import (
    cpu_facts,
    sign_of_gpu,
    unset_variables,
    usable_cores,
    usable_memory_bytes,
    visible_gpus,
)
from tests.quota import half_a_core

PHYSICAL = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
CORES = len(os.sched_getaffinity(0))


def system(root: Path, groups: str, files: dict[str, str], gpus: int = 0) -> Path:
    """A root folder with /proc/self/cgroup, control files below /sys/fs/cgroup, and devices."""
    for path, text in {"proc/self/cgroup": groups, **files}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text + "\n")
    (root / "dev").mkdir(exist_ok=True)
    for name in ["nvidiactl", *(f"nvidia{i}" for i in range(gpus))]:
        (root / "dev" / name).touch()
    return root


@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        ("0::/", {}, CORES),
        ("0::/", {"sys/fs/cgroup/cpu.max": "max 100000"}, CORES),
        ("0::/", {"sys/fs/cgroup/cpu.max": "100000 100000"}, 1),
        ("0::/", {"sys/fs/cgroup/cpu.max": "5000 100000"}, 1),
        ("0::/", {"sys/fs/cgroup/cpu.max": "6400000 100000"}, CORES),
        # the limit of a group above holds too
        ("0::/a/b", {"sys/fs/cgroup/a/cpu.max": "90000 100000"}, 1),
        # a container of version 1 sees its own group at the mount, under another path
        (
            "4:cpu,cpuacct:/docker/77\n3:memory:/docker/77",
            {
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            1,
        ),
        (
            "4:cpu,cpuacct:/",
            {
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            CORES,
        ),
    ],
)
def test_cores_are_those_of_affinity_and_quota(
    tmp_path: Path, groups: str, files: dict[str, str], cores: int
):
    assert usable_cores(system(tmp_path, groups, files)) == cores


def test_affinity_counts():
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize(
    ("groups", "files", "limit"),
    [
        ("0::/", {}, PHYSICAL),
        ("0::/", {"sys/fs/cgroup/memory.max": "max"}, PHYSICAL),
        ("0::/", {"sys/fs/cgroup/memory.max": "1000000"}, 1_000_000),
        ("3:memory:/x", {"sys/fs/cgroup/memory/memory.limit_in_bytes": "2000000"}, 2_000_000),
        ("3:memory:/", {"sys/fs/cgroup/memory/memory.limit_in_bytes": "9" * 18}, PHYSICAL),
    ],
)
def test_memory_is_that_of_machine_and_limit(
    tmp_path: Path, groups: str, files: dict[str, str], limit: int
):
    assert usable_memory_bytes(system(tmp_path, groups, files)) == limit


def test_a_real_quota_is_seen():
    code = "from hipt.machine import usable_cores; print(usable_cores())"
    with half_a_core() as limited:
        command = [*limited, sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


@pytest.mark.parametrize(
    ("environment", "devices", "gpus", "sign"),
    [
        ({}, 0, 0, None),
        ({}, 3, 3, "/dev/nvidia0"),
        ({"CUDA_VISIBLE_DEVICES": "0,1"}, 4, 2, "CUDA_VISIBLE_DEVICES=0,1"),
        ({"CUDA_VISIBLE_DEVICES": "GPU-a1, GPU-b2,GPU-c3"}, 4, 3, "CUDA_VISIBLE_DEVICES="),
        ({"CUDA_VISIBLE_DEVICES": ""}, 4, 0, None),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, 4, 0, None),
        ({"CUDA_VISIBLE_DEVICES": "NoDevFiles"}, 4, 0, None),
        ({"SLURM_JOB_GPUS": "2"}, 0, 0, "SLURM_JOB_GPUS=2"),
        ({"NVIDIA_VISIBLE_DEVICES": "all"}, 0, 0, "NVIDIA_VISIBLE_DEVICES=all"),
        ({"NVIDIA_VISIBLE_DEVICES": "void"}, 0, 0, None),
    ],
)
def test_gpus_that_a_job_was_given(
    tmp_path: Path, environment: dict[str, str], devices: int, gpus: int, sign: str | None
):
    root = system(tmp_path, "", {}, devices)
    assert visible_gpus(environment, root) == gpus
    given = sign_of_gpu(environment, root)
    assert given is None if sign is None else given is not None and sign in given


def nameless(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python under a user id without a name, as container engines do."""
    known = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2])}
    command = ["unshare", "--user", "--map-user=54321", sys.executable, "-c", code]
    done = subprocess.run(
        command, env=known | environment, capture_output=True, text=True, check=False
    )
    if "unshare" in done.stderr:
        pytest.skip(f"no user namespaces here: {done.stderr.strip()}")
    return done


PROBLEMS = "from hipt.machine import unset_variables; print(*unset_variables(), sep='\\n')"


def test_a_user_without_name_hears_which_variable_to_set(tmp_path: Path):
    done = nameless(PROBLEMS, HOME=str(tmp_path))
    assert "the user id 54321 has no name, and Snakemake stops: set USER" in done.stdout
    assert "XDG_CACHE_HOME" not in done.stdout
    assert nameless(PROBLEMS, HOME=str(tmp_path), USER="me").stdout.strip() == ""


def test_the_sentence_is_true_of_snakemake(tmp_path: Path):
    """It stops without USER, and works with what the sentence says."""
    (tmp_path / "Snakefile").write_text('rule all:\n    output: "a"\n    shell: "touch {output}"\n')
    code = (
        "import sys, os; os.chdir(sys.argv[1] if len(sys.argv) > 1 else '.');"
        "from snakemake.cli import main; main(['--cores', '1'])"
    ).replace("sys.argv[1] if len(sys.argv) > 1 else '.'", repr(str(tmp_path)))
    assert "uid not found: 54321" in nameless(code, HOME=str(tmp_path)).stderr
    done = nameless(code, HOME=str(tmp_path), USER="me")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a").exists()


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path):
    file = tmp_path / "file"
    file.touch()
    problems = unset_variables({"HOME": str(file / "home")})
    assert len(problems) == 1
    assert f"{file / 'home' / '.cache'}, which cannot be written: set XDG_CACHE_HOME" in problems[0]
    assert unset_variables({"HOME": str(file), "XDG_CACHE_HOME": str(tmp_path / "c")}) == []


def test_a_folder_for_temporary_files_that_is_not_there_is_named(tmp_path: Path):
    file = tmp_path / "file"
    file.touch()
    problems = unset_variables({"HOME": str(tmp_path), "TMPDIR": str(file / "x")})
    assert problems == [
        f"TMPDIR is {file / 'x'}, which cannot be written: set it to a folder that can"
    ]


def test_what_tells_a_kind_of_cpu(tmp_path: Path):
    """Of the first core; what varies from moment to moment is left out."""
    text = (
        "processor\t: 0\nmodel name\t: A CPU: fast\ncpu MHz\t\t: 2500.1\nflags\t\t: fpu avx512f\n\n"
    )
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(text + text.replace("A CPU", "Another"))
    assert cpu_facts(tmp_path) == {"model name": "A CPU: fast", "flags": "fpu avx512f"}
    assert cpu_facts(tmp_path / "nowhere") == {}
