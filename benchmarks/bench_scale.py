"""What grows faster than the cohort: seconds and memory of planning and of every step that sees it.

    python benchmarks/bench_scale.py [--slides 100 1000 10678] [--rounds 2] [--json FILE]

Per size a simulated cohort (simulated.py) of one class task and one survival task, two folds, one
epoch. Every command is a process of its own; counted are its user and system seconds, its wall
seconds and its peak memory. The growth exponent of a pair of sizes is the logarithm of the ratio of
the numbers by that of the slides. Start-up hides growth in it, so the verdict is by increments:
what the second step in size added against what the first added, from which what is fixed drops out.
Increments below NOISE count as NOISE.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HERE = Path(__file__).resolve().parent
MAPPED = 4
"""Slides of the first batch that are mapped, whatever the cohort."""

NOISE = {"cpu_s": 0.3, "peak_mib": 12.0}
ALLOWED = 1.05
"""Largest exponent that counts as growing with the cohort."""


@dataclass(frozen=True)
class Used:
    """What one process and its children took."""

    wall_s: float
    cpu_s: float
    peak_mib: float


def used_by(command: list[str], folder: Path) -> tuple[Used, str]:
    """Run a command to its end; what it took, and what it said.

    This process imports nothing large: what it holds would count as its children's.
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile("w+") as said:
        start = time.monotonic()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read()
    if process.returncode:
        sys.exit(f"{' '.join(command)[:500]}\n{text[-3000:]}")
    return Used(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024), text


class Cohort:
    """A simulated cohort of one size, and the commands that are measured on it."""

    def __init__(self, folder: Path, slides: int) -> None:
        self.folder, self.slides = folder, slides
        self.used: dict[str, Used] = {}
        self.sizes: dict[str, float] = {}
        folder.mkdir(parents=True)
        self._made("--sheet-only")

    def _made(self, *args: str) -> Used:
        command = [sys.executable, str(HERE / "simulated.py"), str(self.folder), str(self.slides)]
        return used_by([*command, *args], self.folder)[0]

    def make(self) -> None:
        """Every slide's files, as the writers write them."""
        self.used["shards (6 files a slide)"] = self._made()

    def plan(self, name: str, *args: str) -> str:
        """Snakemake's plan."""
        command = [sys.executable, "-m", "snakemake"]
        command += ["--snakefile", str(ROOT / "Snakefile")]
        command += ["--workflow-profile", str(ROOT / "workflow/profiles/default"), "--cores", "2"]
        command += ["--configfile", "config.yaml", *args]
        used, text = used_by(command, self.folder)
        if name:
            self.used[name] = used
        return text

    def step(self, name: str, step: str, *args: str, task: str | None = None) -> None:
        """A step, as its rule calls it."""
        cfg = ["--cfg", "config.yaml", *(("--task", task) if task else ())]
        command = [sys.executable, "-m", "hipt", step, *cfg, *args]
        self.used[name], _ = used_by(command, self.folder)

    def steps(self) -> None:
        """All steps that see the whole cohort."""
        table = ["--slides", "results/slides.parquet"]
        self.step("slides", "slides", "--out", "results/slides.parquet")
        for task in ("subtype", "death"):
            at = f"results/tasks/{task}"
            folds = f"{at}/folds.parquet"
            leaks = ["--leaks", f"{at}/leaks.parquet"]
            self.step(f"split ({task})", "split", *table, *leaks, "--out", folds, task=task)
            fits = [f"{at}/{model}/1/predictions.parquet" for model in ("linear", "abmil")]
            for model, out in zip(("linear", "abmil"), fits, strict=True):
                fit = [*table, "--folds", folds, "--out", out]
                self.step(f"fit {model} ({task})", "fit", *fit, task=task)
            scores = ["--differences", f"{at}/differences.parquet", "--out", f"{at}/scores.parquet"]
            self.step(f"evaluate ({task})", "evaluate", "--predictions", *fits, *scores, task=task)
        knn = ["--folds", "results/tasks/subtype/folds.parquet", *table]
        knn += ["--scores", "results/knn/subtype.scores.parquet"]
        self.step("knn", "knn", *knn, "--out", "results/knn/subtype.parquet", task="subtype")
        export = ["--format", "hipt", *table, "--out", "results/export/hipt.parquet"]
        self.step("export (hipt)", "export", *export)
        self.step("export (hipt), all kept", "export", *export)
        index = "results/{}/index/b0000.parquet"
        attend = ["--regions", index.format("embed_regions"), "--out", index.format("attend")]
        attend += ["--slides", *self._first_slides()]
        self.step(f"attend, {MAPPED} slides of a batch", "attend", *attend)
        self.step("report", "report", *table, "--out", "results/report.html")
        used, _ = used_by(
            [sys.executable, "-m", "hipt", "check", "--cfg", "config.yaml"], self.folder
        )
        self.used["check"] = used

    def _first_slides(self) -> list[str]:
        lines = (self.folder / "results/batches.csv").read_text().splitlines()
        return [line.partition(",")[0] for line in lines[1 : 1 + MAPPED]]

    def plans(self) -> None:
        """Planning when everything is there and recorded, and with a row more."""
        self.plan("", "--touch", "--forceall")  # so that Snakemake has records of all
        text = self.plan("plan, all done", "--dry-run")
        if "Nothing to be done" not in text:
            sys.exit(f"something is to be done:\n{text[-3000:]}")
        sheet = self.folder / "slides.csv"
        last = sheet.read_text().splitlines()[-1]
        rest = last.partition(",")[2].replace("TCGA-", "NEW-")
        sheet.write_text(sheet.read_text() + f"new,{rest}\n")
        self.plan("plan, one slide more", "--dry-run")
        one = ["--target-jobs", "segment:batch=b0000", "--force", "--nolock"]
        self.plan("plan of one job on a cluster", "--mode", "remote", *one, "--dry-run")

    def measure_sizes(self) -> None:
        """How large the single things are that grow."""
        results, state = self.folder / "results", self.folder / ".snakemake/metadata"
        records = list(state.iterdir())
        folders = [len(files) + len(names) for _, names, files in os.walk(results)]
        self.sizes |= {
            "report.html, MB": (results / "report.html").stat().st_size / 1e6,
            "slides.parquet, MB": (results / "slides.parquet").stat().st_size / 1e6,
            "batches.csv, MB": (results / "batches.csv").stat().st_size / 1e6,
            "Snakemake's records, MB": sum(r.stat().st_size for r in records) / 1e6,
            "Snakemake's records, files": len(records),
            "most names in one folder": max(folders),
            "files in results": sum(len(files) for _, _, files in os.walk(results)),
        }

    def longest_command(self, text: str) -> None:
        """The longest command of a plan, in bytes: the kernel takes 131,071 in one argument."""
        commands = re.findall(r"python -m hipt [^\n]*(?:\n[^\n]+)*", text)
        self.sizes["longest command, kB"] = max(len(c.encode()) for c in commands) / 1e3


def measured(folder: Path, slides: int, rounds: int) -> Cohort:
    """The numbers of one size: of every command the round in which it took least."""
    cohort = measured_once(folder, slides)
    for _ in range(rounds - 1):
        shutil.rmtree(cohort.folder)
        again = measured_once(folder, slides)
        for name, used in again.used.items():
            cohort.used[name] = min(used, cohort.used[name], key=lambda one: one.cpu_s)
    return cohort


def measured_once(folder: Path, slides: int) -> Cohort:
    """All numbers of one size."""
    cohort = Cohort(folder / str(slides), slides)
    text = cohort.plan("plan, nothing done", "--dry-run", "--printshellcmds")
    cohort.longest_command(text)
    cohort.make()
    cohort.steps()
    cohort.plans()
    cohort.measure_sizes()
    return cohort


def exponent(ratio: float, slides: float) -> float:
    """The power of the number of slides that a ratio is."""
    return math.log(ratio) / math.log(slides)


def verdict(values: list[float], slides: list[int], noise: float) -> float:
    """Exponent of the last two increments; nothing to say of fewer than three sizes."""
    if len(values) < 3:
        return -math.inf
    (a, b, c), (x, y, z) = values[-3:], slides[-3:]
    first, second = max(b - a, noise), max(c - b, noise)
    return exponent(second / first, (z - y) / (y - x))


def rows(cohorts: list[Cohort]) -> Iterator[str]:
    """The table of curves."""
    slides = [one.slides for one in cohorts]
    for name in cohorts[0].used:
        used = [one.used[name] for one in cohorts]
        cells = [f"{u.cpu_s:.1f} ({u.wall_s:.1f})" for u in used] + [
            f"{u.peak_mib:.0f}" for u in used
        ]
        powers = [verdict([getattr(u, kind) for u in used], slides, NOISE[kind]) for kind in NOISE]
        raw = [
            exponent(b.cpu_s / a.cpu_s, y / x)
            for a, b, x, y in zip(used, used[1:], slides, slides[1:], strict=False)
        ]
        cells += [", ".join(f"{power:.2f}" for power in raw)]
        cells += [f"{power:.2f}" for power in powers]
        cells += ["yes" if all(power <= ALLOWED for power in powers) else "**no**"]
        yield f"| {name} | " + " | ".join(cells) + " |"


def main() -> None:
    """Print the curves and the sizes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--slides", type=int, nargs="+", default=[100, 1000, 10678])
    parser.add_argument("--folder", type=Path, help="where to make the cohorts; kept")
    parser.add_argument("--rounds", type=int, default=2, help="of which the best counts")
    parser.add_argument("--json", type=Path, help="write the numbers here too")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        cohorts = [
            measured(args.folder or Path(made), slides, args.rounds) for slides in args.slides
        ]
    sizes = " | ".join(f"{n:,}" for n in args.slides)
    print(f"| CPU s (wall s); peak MiB | {sizes} | {sizes} | raw | s | MiB | with the cohort |")
    print("|---" * (2 * len(cohorts) + 5) + "|")
    print("\n".join(rows(cohorts)))
    print(f"\n| size | {sizes} |\n" + "|---" * (len(cohorts) + 1) + "|")
    for name in cohorts[0].sizes:
        print(f"| {name} | " + " | ".join(f"{one.sizes[name]:,.4g}" for one in cohorts) + " |")
    if args.json:
        told = [
            {"slides": c.slides, "used": {k: vars(u) for k, u in c.used.items()}, "sizes": c.sizes}
            for c in cohorts
        ]
        args.json.write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
