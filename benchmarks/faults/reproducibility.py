"""Whether the demo comes out the same, byte for byte, in two folders, with one core and with two.

    python benchmarks/faults/reproducibility.py --folder /data/twice [--cores 1 2]

Runs everything that config/demo.yaml has (pretraining of both stages, tasks, heatmaps) once per
number of cores, each in a folder of its own, and prints what `hipt verify` says of each against the
first. Exit code 0 where all are equal. A run takes ten minutes on two quiet cores; finished runs
are kept, and stopped ones go on.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
RESULTS = Path("demo/results")


def call(folder: Path, *args: str) -> int:
    """A module of this checkout, in a folder; its exit code."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", *args]
    return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


def made(folder: Path, cores: int) -> float:
    """Run the demo in a folder; seconds.

    Raises:
        SystemExit: if it fails.
    """
    start = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "demo" / "slides.csv").exists() and call(folder, "hipt.demo", "--out", "demo"):
        raise SystemExit("the demo cohort could not be painted")
    snakefile = ["snakemake", "--snakefile", str(ROOT / "workflow/Snakefile"), "--quiet", "all"]
    profile = ["--workflow-profile", str(ROOT / "workflow" / "profiles" / "default")]
    config = ["--configfile", str(ROOT / "config" / "demo.yaml"), "--cores", str(cores)]
    if call(folder, *snakefile, *profile, *config):
        raise SystemExit(f"the workflow failed in {folder}")
    return time.monotonic() - start


def main() -> int:
    """Run, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the runs lie")
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2], help="of each run")
    args = parser.parse_args()
    folders = [args.folder.resolve() / f"run{i}-{c}-cores" for i, c in enumerate(args.cores)]
    for folder, cores in zip(folders, args.cores, strict=True):
        seconds = made(folder, cores)
        print(f"{folder.name}: {seconds:.0f} s", flush=True)
    first, *others = folders
    codes = [
        call(folder, "hipt", "verify", "--results", str(RESULTS), "--against", str(first / RESULTS))
        for folder in others
    ]
    return max(codes, default=0)


if __name__ == "__main__":
    sys.exit(main())
