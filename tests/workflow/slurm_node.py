"""A real SLURM on one node, for a test: its daemons, with all of their files in one folder.

No root, no cgroups, no accounting: what runs is what the user of the test may run.
"""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol")
GPU_FILES = ("/dev/zero", "/dev/full")
"""Device files that stand for two GPUs: SLURM counts them and sets CUDA_VISIBLE_DEVICES."""

CONF = """\
ClusterName=hipt
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={controller_port}
SlurmdPort={node_port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=sched_min_interval=0,sched_interval=2,batch_sched_delay=0
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=30
MinJobAge=600
GresTypes=gpu
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
NodeName={host} NodeAddr=127.0.0.1 CPUs=16 RealMemory=64000 Gres=gpu:2 State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=7-00:00:00 PriorityTier=10 State=UP
PartitionName=gpu Nodes={host} MaxTime=2-00:00:00 PriorityTier=10 State=UP
PartitionName=urgent Nodes={host} MaxTime=1:00:00 PriorityTier=100 PreemptMode=OFF State=UP
"""


def missing() -> list[str]:
    """The programs of SLURM that this machine lacks."""
    return [name for name in PROGRAMS if _program(name) is None]


@contextmanager
def single_node(folder: Path) -> Iterator[dict[str, str]]:
    """Start SLURM; yields the environment in which its commands find it.

    Args:
        folder: an empty folder with a short path, for sockets, state and logs.

    Raises:
        TimeoutError: if a daemon does not come up; it names the daemon's log.
    """
    _configure(folder)
    environment = os.environ | {
        "SLURM_CONF": str(folder / "slurm.conf"),
        "PATH": f"{_bin(folder)}:{os.environ['PATH']}",
    }
    daemons = (
        (["munged", "-F", *_munge_files(folder)], lambda: (folder / "munge.socket").exists()),
        (["slurmctld", "-D"], lambda: _says(environment, "scontrol", "ping") is not None),
        (["slurmd", "-D"], lambda: _says(environment, "sinfo", "-h", "-o", "%T") == "idle"),
    )
    with ExitStack() as stack:
        for command, up in daemons:
            stack.enter_context(_daemon(command, environment, folder, up))
        yield environment


def _configure(folder: Path) -> None:
    """Write the configuration and munge's key."""
    for name in ("state", "spool"):
        (folder / name).mkdir()
    folder.chmod(0o755)
    key = folder / "munge.key"
    key.touch(0o600)
    key.write_bytes(secrets.token_bytes(1024))
    host = socket.gethostname().split(".")[0]
    places = {"host": host, "user": getpass.getuser(), "folder": folder}
    ports = dict(zip(("controller_port", "node_port"), _free_ports(2), strict=True))
    (folder / "slurm.conf").write_text(CONF.format(**places, **ports))
    gpus = [f"NodeName={host} Name=gpu File={file}\n" for file in GPU_FILES]
    (folder / "gres.conf").write_text("".join(gpus))
    (folder / "cgroup.conf").write_text("CgroupAutomount=no\n")


def _bin(folder: Path) -> Path:
    """A folder with an srun that finds the configuration again.

    The executor takes all variables named SLURM_... away before it calls srun inside a job.
    """
    script = folder / "bin" / "srun"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {_program("srun")} "$@"\n')
    script.chmod(0o755)
    return script.parent


def _munge_files(folder: Path) -> list[str]:
    """munged's arguments: everything of its own in the folder."""
    files = {"key-file": "key", "socket": "socket", "log-file": "log", "pid-file": "pid"}
    files["seed-file"] = "seed"
    return ["--force", *(f"--{option}={folder}/munge.{name}" for option, name in files.items())]


@contextmanager
def _daemon(
    command: list[str], environment: dict[str, str], folder: Path, up: Callable[[], bool]
) -> Iterator[None]:
    """A daemon in the foreground of its own process, up until the block ends."""
    path = _program(command[0])
    assert path is not None
    log = folder / f"{command[0]}.out"
    with log.open("w") as out:
        process = subprocess.Popen([path, *command[1:]], env=environment, stdout=out, stderr=out)
    try:
        for _ in range(600):
            if up():
                break
            if process.poll() is not None:
                break
            time.sleep(0.1)
        else:
            raise TimeoutError(f"{command[0]} does not come up; see {log}")
        if process.poll() is not None:
            raise RuntimeError(f"{command[0]} ended with {process.returncode}: {log.read_text()}")
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _says(environment: dict[str, str], *command: str) -> str | None:
    """What a command prints; None if it fails."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return None if done.returncode else done.stdout.strip()


def _program(name: str) -> str | None:
    """Where a program is; daemons lie outside a user's PATH."""
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
