"""SIGKILL at random moments over the whole demo DAG, then a rerun: are all outputs the same?

    python -m benchmarks.faults.kills --folder /tmp/kills [--kills 50] [--seed 1]

The demo cohort and config/demo.yaml, with shorter trainings that save more often (a kill costs what
was not saved). First an undisturbed run, then one that is killed with all of its jobs, again and
again; after each kill what the README says: `snakemake --unlock`, and the same command. A moment is
a number of finished jobs and some seconds after it, so that kills strike all along the DAG.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import yaml

from tests.workflow.project import ROOT, Project, Running

SHORTER = {
    "patches": {"iterations": 100, "warmup_iterations": 10, "checkpoint_every": 5},
    "regions": {"iterations": 100, "warmup_iterations": 10, "checkpoint_every": 10},
}
LATEST_S = 8.0
"""Seconds after a job's end within which a kill strikes."""

FINISHED = re.compile(r"^Finished jobid: \d+ \(Rule: (\w+)\)", re.M)
STARTED = re.compile(r"^(?:local)?(?:rule|checkpoint) (\w+):", re.M)


def demo(folder: Path) -> Project:
    """A folder with the demo cohort and its config; nothing has run."""
    project = Project(folder)
    if not (folder / "demo/slides.csv").exists():
        subprocess.run([sys.executable, "-m", "hipt.demo", "--out", folder / "demo"], check=True)
    config = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    config["results"] = "results"
    for stage, shorter in SHORTER.items():
        config["pretrain"][stage]["dino"] |= shorter
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return project


def killed_at(run: Running, jobs: int, after_s: float) -> tuple[int, list[str]]:
    """Kill a run some seconds after so many of its jobs have ended, or let it end.

    Returns:
        Jobs that it finished, and the rules that were at work.
    """
    while run.process.poll() is None and len(FINISHED.findall(run.log.read_text())) < jobs:
        time.sleep(0.1)
    try:
        run.process.wait(after_s)
    except subprocess.TimeoutExpired:
        os.killpg(run.process.pid, signal.SIGKILL)
        run.process.wait()
    text = run.log.read_text()
    finished = FINISHED.findall(text)
    at_work = Counter(STARTED.findall(text)) - Counter(finished)
    return len(finished), sorted(at_work.elements()) or ["(planning)"]


def main() -> None:
    """Count kills, where they struck, and what differs in the end."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="a new folder for both runs")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    whole = demo(args.folder / "whole")
    killed = whole.copy(args.folder / "killed")
    ran = whole.run(timeout_s=3600)
    if ran.rc:
        sys.exit(ran.text)
    jobs = len(FINISHED.findall(ran.text))
    print(f"undisturbed: {ran.seconds:.0f} s, {jobs} jobs", flush=True)
    dice = random.Random(args.seed)
    struck: Counter[str] = Counter()
    done = 0
    for moment in sorted(dice.uniform(0, jobs - 1) for _ in range(args.kills)):
        with killed.running() as run:
            finished, at_work = killed_at(
                run, max(0, int(moment) - done), dice.uniform(0, LATEST_S)
            )
        done += finished
        struck.update(at_work)
        unlocked = killed.run("--unlock")
        if unlocked.rc:
            sys.exit(unlocked.text)
    ran = killed.run(timeout_s=3600)
    if ran.rc:
        sys.exit(ran.text)
    print(f"{args.kills} kills; at work when killed: {dict(struck.most_common())}")
    compare(whole, killed)


def compare(whole: Project, killed: Project) -> None:
    """Say what differs; ends the script if something does."""
    expected, found = whole.content(), killed.content()
    names = sorted(expected.keys() | found.keys())
    other = [name for name in names if expected.get(name) != found.get(name)]
    print(f"{len(names) - len(other)} of {len(names)} files equal", flush=True)
    if other:
        sys.exit("\n".join(other))


if __name__ == "__main__":
    main()
