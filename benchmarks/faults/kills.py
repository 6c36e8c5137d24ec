"""SIGKILL at random moments over the whole demo DAG, then a rerun: are all outputs the same?

    python -m benchmarks.faults.kills --folder /tmp/kills [--kills 50] [--seed 1]

The demo cohort and config/demo.yaml, with shorter trainings that save more often (a kill costs what
was not saved). First an undisturbed run, then one that is killed with all of its jobs, again and
again; after each kill what the README says: `snakemake --unlock`, and the same command.
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import yaml

from tests.workflow.project import ROOT, Project

SHORTER = {
    "patches": {"iterations": 100, "warmup_iterations": 10, "checkpoint_every": 5},
    "regions": {"iterations": 100, "warmup_iterations": 10, "checkpoint_every": 10},
}
EARLIEST_S, LATEST_S = 2.0, 30.0


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


def killed_in(log: Path) -> list[str]:
    """The rules that were at work when their run was killed."""
    text = log.read_text()
    rules = re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):", text, re.M)
    started = Counter(rules)
    started -= Counter(re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", text, re.M))
    return sorted(started.elements()) or ["(planning)"]


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
    print(f"undisturbed: {ran.seconds:.0f} s, {sum(ran.jobs.values())} jobs", flush=True)
    moments = random.Random(args.seed)
    struck: Counter[str] = Counter()
    done = 0
    while done < args.kills:
        if not killed.run_and_kill(moments.uniform(EARLIEST_S, LATEST_S)):
            print(f"the run was done after {done} kills; it starts again from nothing", flush=True)
            compare(whole, killed)
            subprocess.run(["rm", "-r", killed.results, killed.folder / ".snakemake"], check=True)
            continue
        done += 1
        struck.update(killed_in(killed.folder / "killed.log"))
        unlocked = killed.run("--unlock")
        if unlocked.rc:
            sys.exit(unlocked.text)
    ran = killed.run(timeout_s=3600)
    if ran.rc:
        sys.exit(ran.text)
    print(f"{done} kills; jobs at work then: {dict(struck.most_common())}")
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
