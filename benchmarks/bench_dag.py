"""How long Snakemake plans for a large cohort: fresh, and when everything is there.

    python benchmarks/bench_dag.py [--slides 10678] [--batch-size 16]

Slides do not exist: planning looks at the sheet and at files' times alone. For the second half
every declared output is made as an empty file; Snakemake has no records of them.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONFIG = """
slides: {sheet: slides.csv, batch_size: %d}
embed: {patches: {random: 1}, regions: {random: 1}}
"""


def snakemake(folder: Path, *args: str) -> tuple[float, float, str]:
    """Wall seconds, peak MB of the process, and its output."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    profile = ["--workflow-profile", str(ROOT / "workflow/profiles/default")]
    start = time.monotonic()
    done = subprocess.run(
        [*command, *profile, "--cores", "2", "--configfile", "config.yaml", *args],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stdout[-3000:])
    peak_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return time.monotonic() - start, peak_kb / 1024, done.stdout


def jobs(text: str) -> str:
    """The job counts of a plan."""
    table = re.findall(r"^(\w+)\s+(\d+)$", text, re.M)
    return " ".join(f"{rule} {count}" for rule, count in dict(table).items()) or "none"


def main() -> None:
    """Plan fresh, plan when all is done, plan with one row more; print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slides", type=int, default=10678)
    parser.add_argument("--batch-size", type=int, default=16)
    args = parser.parse_args()
    count, batch_size = args.slides, args.batch_size
    rows = [f"slide-{i:05d},slides/slide-{i:05d}.svs" for i in range(count)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.yaml").write_text(CONFIG % batch_size)
        sheet = folder / "slides.csv"
        sheet.write_text("\n".join(["slide_id,path", *rows]) + "\n")
        print(f"{count} slides, batches of {batch_size}, {os.cpu_count()} cores")
        print("| plan | wall s | peak MB | jobs |\n|---|---|---|---|")
        report("fresh", *snakemake(folder, "--dry-run"))
        make_all(folder, batch_size)
        report("all done", *snakemake(folder, "--dry-run"))
        sheet.write_text(sheet.read_text() + "new,slides/new.svs\n")
        report("one row added", *snakemake(folder, "--dry-run"))


def make_all(folder: Path, batch_size: int) -> None:
    """Every declared output as an empty file, recorded as made."""
    sys.path.insert(0, str(ROOT))
    from hipt.io.batches import Ledger, updated, write_ledger
    from hipt.io.results import Results
    from hipt.io.sheets import read_sheet

    here = Path.cwd()
    os.chdir(folder)
    results = Results(Path("results"))
    rows = {row.slide_id: row.digest() for row in read_sheet(Path("slides.csv"))}
    ledger = updated(Ledger(), rows, batch_size)
    write_ledger(results.batches, ledger)
    os.chdir(here)
    for step in ("segment", "tile", "embed_patches", "embed_regions"):
        for batch in ledger.members():
            path = folder / results.index(step, batch)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    (folder / results.slides).touch()
    (folder / results.report).touch()


def report(plan: str, seconds: float, peak_mb: float, text: str) -> None:
    """One row of the table."""
    print(f"| {plan} | {seconds:.1f} | {peak_mb:.0f} | {jobs(text)} |", flush=True)


if __name__ == "__main__":
    main()
