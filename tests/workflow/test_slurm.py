"""The tiny cohort on a real SLURM; preempted, cancelled, out of time, it ends as a local run."""

from __future__ import annotations

import csv
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.workflow.moments import freeze, wait_for
from tests.workflow.project import EMBED, PRETRAIN, ROOT, Project
from tests.workflow.slurm_node import missing, single_node

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.skipif(bool(missing()), reason=f"SLURM is not installed: no {missing()}"),
]

PROFILE = (
    *("--profile", str(ROOT / "workflow/profiles/slurm")),
    *("--workflow-profile", str(ROOT / "workflow/profiles/default")),
    # The node keeps no accounts, and nobody waits 40 s for jobs of a second.
    *("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2"),
    *("--set-resources", "pretrain_patches:runtime=attempt"),
)


class Cluster:
    """SLURM's commands."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment

    def says(self, *command: str) -> str:
        """What a command prints."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    def jobs(self, rule: str) -> dict[str, dict[str, str]]:
        """All jobs of a rule that SLURM remembers, as it shows them, by their number."""
        found = {}
        for block in self.says("scontrol", "show", "job", "--oneliner").splitlines():
            shown = dict(field.split("=", 1) for field in block.split() if "=" in field)
            if shown.get("Comment", "").startswith(f"rule_{rule}"):
                found[shown["JobId"]] = shown
        return found

    def running(self, rule: str, word: str = "") -> str:
        """The number of the job of a rule that runs now, its comment holding a word."""
        (number,) = [
            number
            for number, shown in self.jobs(rule).items()
            if shown["JobState"] == "RUNNING" and word in shown["Comment"]
        ]
        return number


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    # The node's GPU is a file that no torch can compute on: jobs need `device: cpu`.
    # Sockets have short paths.
    with (
        tempfile.TemporaryDirectory(prefix="hipt-") as folder,
        single_node(Path(folder)) as environment,
    ):
        yield Cluster(environment)


def members(project: Project, batch: str) -> list[str]:
    with (project.results / "batches.csv").open(newline="") as file:
        return [row["slide_id"] for row in csv.DictReader(file) if row["batch"] == batch]


def shards(project: Project, batch: str) -> dict[Path, int]:
    """The embeddings of a batch that are there, and when they were written."""
    paths = [
        project.results / "embed_patches" / f"{name}.arrow" for name in members(project, batch)
    ]
    return {path: path.stat().st_mtime_ns for path in paths if path.exists()}


def preempt(cluster: Cluster, project: Project) -> str:
    """A job of more urgent people takes the whole node while a batch is segmented."""
    _, batch = freeze(project, "segment", lambda _: True)
    number = cluster.running("segment", batch)
    cluster.says("sbatch", "-p", "urgent", "--exclusive", "-o", "/dev/null", "--wrap", "true")
    wait_for(lambda: cluster.jobs("segment")[number]["Restarts"] == "1", "the preemption")

    def under_way() -> bool:
        """SLURM holds whom it put back for two minutes, from when the first start has ended."""
        states = {job: shown["JobState"] for job, shown in cluster.jobs("segment").items()}
        for job, state in states.items():
            if state == "PENDING":
                with suppress(subprocess.CalledProcessError):  # it has started since
                    cluster.says("scontrol", "update", f"JobId={job}", "StartTime=now")
        return set(states.values()) <= {"RUNNING", "COMPLETED"}

    wait_for(under_way, "the second start of all")
    return number


def run_out_of_time(cluster: Cluster, project: Project) -> str:
    """Training has written its first checkpoint when its minute ends."""
    checkpoint = project.results / "models/.vit256/checkpoint.pt"
    freeze(project, "pretrain", lambda _: checkpoint.exists())
    number = cluster.running("pretrain_patches")
    wait_for(lambda: cluster.jobs("pretrain_patches")[number]["JobState"] != "RUNNING", "its end")
    return number


def cancel(cluster: Cluster, project: Project) -> dict[Path, int]:
    """A batch is cancelled when one of its slides is done; returns what was there then."""
    _, batch = freeze(project, "embed_patches", lambda batch: bool(shards(project, batch)))
    done = shards(project, batch)
    assert len(done) < len(members(project, batch))
    cluster.says("scancel", cluster.running("embed_patches", batch))
    return done


@pytest.mark.timeout(1200)
def test_through_slurm(cluster: Cluster, cohort: Project, finished: Project, tmp_path: Path):
    project = cohort.copy(tmp_path / "p")
    project.configure(device="cpu")
    with project.running(where=PROFILE, env=cluster.environment) as run:
        preempted = preempt(cluster, project)
        kept = cancel(cluster, project)
        ran = run.end()
    assert ran.rc == 0, ran.text
    assert project.content() == finished.content()
    # the same job, twice started by SLURM
    assert cluster.jobs("segment")[preempted]["JobState"] == "COMPLETED"
    # the finished slide was not made again
    assert kept
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    check_submissions(cluster)


def test_the_terminal_has_a_line_for_each_job(cluster: Cluster, cohort: Project, tmp_path: Path):
    project = cohort.copy(tmp_path / "p")
    project.configure(slides={"on_slide_error": "stop"})
    slide = project.folder / "slides/a.tif"
    slide.write_bytes(slide.read_bytes()[:5000])
    where = (*PROFILE, "--retries", "0", "--until", "segment")
    with project.running(where=where, env=cluster.environment) as run:
        ran = run.end()
    assert ran.rc == 1
    assert "python -m hipt" not in ran.text
    assert "submitted with SLURM" not in ran.text
    for batch in ("b0000", "b0001"):
        assert f" sent   segment {batch}, 2 slides\n" in ran.text
    assert re.search(r" done   segment b0001 in .*, 2 slides; 1 of 2 jobs\n", ran.text)
    assert " FAILED segment b0000: slide a: unreadable: slides/a.tif: is not a slide" in ran.text
    assert f"log: {project.results}/logs/segment/b0000.log" in ran.text


@pytest.mark.whole("pretraining")
@pytest.mark.timeout(1200)
def test_training_goes_on_after_its_time(
    cluster: Cluster, cohort: Project, trained: Project, tmp_path: Path
):
    project = cohort.copy(tmp_path / "p")
    project.configure(embed=EMBED, pretrain=PRETRAIN, device="cpu")
    with project.running(where=PROFILE, env=cluster.environment) as run:
        limited = run_out_of_time(cluster, project)
        ran = run.end()
    assert ran.rc == 0, ran.text
    assert project.content() == trained.content()
    # the training job ended by its limit, and another one, with more time, went on
    training = cluster.jobs("pretrain_patches")
    assert training.pop(limited)["TimeLimit"] == "00:01:00"
    assert [shown["TimeLimit"] for shown in training.values()] == ["00:02:00"]
    said = (project.results / "logs/pretrain_patches.log").read_text()
    assert "going on after" in said


def check_submissions(cluster: Cluster) -> None:
    """One job per batch and step; GPUs for those that use one; more for those sent again."""
    for rule, count in {
        "segment": 2,
        "tile": 2,
        "embed_regions": 2,
        "slides": 1,
        "report": 1,
    }.items():
        jobs = cluster.jobs(rule)
        assert len(jobs) == count, rule
        assert {shown["Partition"] for shown in jobs.values()} == {"cpu"}, rule
    embedding = cluster.jobs("embed_patches").values()
    assert {shown["Partition"] for shown in embedding} == {"gpu"}
    assert {shown["TresPerJob"].endswith("gpu:1") for shown in embedding} == {True}
    memory = sorted(shown["MinMemoryNode"] for shown in embedding)
    assert memory == ["12000M", "6000M", "6000M"]
