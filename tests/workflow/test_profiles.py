"""The profiles that people start from, read by Snakemake itself."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from hipt.machine import usable_cores, visible_gpus
from tests.quota import half_a_core
from tests.workflow.project import ROOT, Project

pytestmark = pytest.mark.workflow

DEFAULT = ("--workflow-profile", str(ROOT / "workflow/profiles/default"), "--printshellcmds")


def profile(name: str) -> tuple[str, ...]:
    return ("--profile", str(ROOT / "workflow/profiles" / name), *DEFAULT)


def test_local_takes_the_whole_machine(cohort: Project, tmp_path: Path):
    ran = cohort.copy(tmp_path / "p").run("--dry-run", where=profile("local"))
    assert ran.rc == 0, ran.text
    assert ran.jobs["embed_patches"] == 2
    # a batch never asks for more memory than there is
    mib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20
    asked = [int(value) for value in re.findall(r"mem_mib=(\d+)", ran.text)]
    assert max(asked) < mib


def test_local_shares_the_cores_among_the_gpus(cohort: Project, tmp_path: Path):
    """A batch that took all cores would leave the other GPUs without work."""
    project = cohort.copy(tmp_path / "p")
    command = project.command("--dry-run", where=profile("local"))
    at = command.index("--set-threads")  # those of the tests stand aside
    done = subprocess.run(
        [*command[:at], *command[command.index("--configfile") :]],
        cwd=project.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    share = max(1, usable_cores() // (visible_gpus() or 1))
    said = re.search(r"rule embed_patches:.*?(?=\n\n)", done.stdout + done.stderr, re.S)
    assert said
    assert (f"threads: {share}\n" in said[0] + "\n") == (share > 1)  # one thread is not said


def test_local_takes_no_more_cores_than_it_was_given(cohort: Project, tmp_path: Path):
    """Of a machine with many cores, a container often has a few."""
    project = cohort.copy(tmp_path / "p")
    command = project.command("--dry-run", where=profile("local"))
    at = command.index("--set-threads")  # those of the tests stand aside
    with half_a_core() as limited:
        done = subprocess.run(
            [*limited, *command[:at], *command[command.index("--configfile") :]],
            cwd=project.folder,
            capture_output=True,
            text=True,
            check=True,
        )
    assert "rule embed_patches" in done.stdout
    assert not re.search(r"threads: [2-9]", done.stdout), done.stdout


def test_slurm_is_filled_in_by_account_and_partitions_alone():
    folder = ROOT / "workflow/profiles/slurm"
    profile = yaml.safe_load((folder / "config.yaml").read_text())
    assert profile["default-resources"] == {"slurm_account": "ACCOUNT"}
    assert (folder / profile["slurm-partition-config"]).exists()
    rules = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    assert "retries" in profile
    assert "retries:" not in rules


def test_every_rule_says_what_it_needs():
    """A scheduler that is told nothing gives too little."""
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        for rule in re.split(r"^\s*(?:rule|checkpoint) ", path.read_text(), flags=re.M)[1:]:
            name = rule.split(":")[0]
            assert "mem_mb=" in rule, name
            assert "runtime=" in rule, name


@pytest.mark.parametrize("name", ["local", "slurm"])
def test_the_default_profile_overrides_no_other(name: str):
    """It is read beside each of them and wins key by key."""
    read = {
        one: yaml.safe_load((ROOT / f"workflow/profiles/{one}/config.yaml").read_text())
        for one in ("default", name)
    }
    assert not read["default"].keys() & read[name].keys()


def test_the_default_profile_is_read_without_being_named(cohort: Project):
    """Also where Snakemake runs in another folder than the checkout."""
    said = cohort.run("--dry-run", where=("--cores", "1"))
    assert said.rc == 0, said.text
    assert f"Using workflow specific profile {ROOT / 'profiles/default'}" in said.text
