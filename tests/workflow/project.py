"""A folder with slides, a sheet and a config, in which tests run Snakemake as a user would."""

from __future__ import annotations

import csv
import hashlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hipt.layout import VARYING

ROOT = Path(__file__).parents[2]
TINY: dict[str, Any] = {
    "slides": {"sheet": "slides.csv", "batch_size": 2},
    "tile": {"region_px": 256, "patch_px": 64},
    "embed": {
        "patches": {"shape": {"depth": 1, "dim": 16, "heads": 2}, "random": 1},
        "regions": {"shape": {"depth": 1, "dim": 16, "heads": 2}, "random": 2},
    },
}

SHAPE = {"depth": 1, "dim": 16, "heads": 2}
DINO = {
    **{"iterations": 3, "batch": 8, "out_dim": 32, "hidden_dim": 24, "bottleneck_dim": 12},
    **{"warmup_iterations": 1, "checkpoint_every": 1},
}
EMBED = {stage: {"shape": SHAPE, "weights": "pretrain"} for stage in ("patches", "regions")}
PRETRAIN: dict[str, Any] = {
    "patches": {"views": {"global_px": 64, "local_px": 32, "local_crops": 1}, "dino": DINO},
    "regions": {"views": {"global_side": 3, "local_side": 2, "local_crops": 1}, "dino": DINO},
}
TERMINAL = ("--workflow-profile", str(ROOT / "workflow/profiles/default"), "--cores", "2")
"""How Snakemake runs a project on this machine, with what a person sees then."""
LOCAL = (*TERMINAL, "--printshellcmds")
"""The same with Snakemake's own words, which name every job's rule."""


@dataclass(frozen=True)
class Ran:
    """What one call of Snakemake did."""

    rc: int
    text: str
    seconds: float

    @property
    def jobs(self) -> Counter[str]:
        """Jobs that were started, per rule, the closing `all` left out."""
        return Counter(
            re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):", self.text, re.M)
        ) - Counter(["all"])


@dataclass(frozen=True)
class Running:
    """A call of Snakemake at work."""

    process: subprocess.Popen[bytes]
    log: Path

    def end(self) -> Ran:
        """Wait for its end."""
        start = time.monotonic()
        rc = self.process.wait(300)
        return Ran(rc, self.log.read_text(), time.monotonic() - start)


class Project:
    """A folder in which Snakemake is run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results = folder / "results"

    def configure(self, **sections: Any) -> None:
        """Write the config: the tiny one with some keys, or keys of its sections, replaced."""
        merged = {name: dict(section) for name, section in TINY.items()}
        for name, section in sections.items():
            keys = isinstance(section, dict)
            merged[name] = merged.get(name, {}) | section if keys else section
        (self.folder / "config.yaml").write_text(yaml.safe_dump(merged))

    def write_sheet(self, rows: list[dict[str, str]]) -> None:
        """Write the sheet; columns are those of all rows together."""
        columns = list(dict.fromkeys(name for row in rows for name in row))
        with (self.folder / "slides.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)

    def read_sheet(self) -> list[dict[str, str]]:
        """The sheet's rows."""
        with (self.folder / "slides.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def change_row(self, slide_id: str, **cells: str) -> None:
        """Set some cells of one slide's row."""
        self.write_sheet(
            [row | cells if row["slide_id"] == slide_id else row for row in self.read_sheet()]
        )

    def command(self, *args: str, where: tuple[str, ...] = LOCAL) -> list[str]:
        """Snakemake's command line; the same threads everywhere."""
        threads = ["embed_patches=1", "embed_regions=1", "pretrain_patches=2", "pretrain_regions=2"]
        return [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")),
            *(*where, "--set-threads", *threads, "--configfile", "config.yaml", *args),
        ]

    def run(self, *args: str, where: tuple[str, ...] = LOCAL, timeout_s: float = 900) -> Ran:
        """Run Snakemake and wait for it."""
        start = time.monotonic()
        done = subprocess.run(
            self.command(*args, where=where),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        return Ran(done.returncode, done.stdout + done.stderr, time.monotonic() - start)

    @contextmanager
    def running(
        self, *args: str, where: tuple[str, ...] = LOCAL, env: Mapping[str, str] | None = None
    ) -> Iterator[Running]:
        """Snakemake at work while the block runs; killed with its jobs if the block fails."""
        log = self.folder / f"running-{secrets.token_hex(3)}.log"
        with (
            log.open("w") as out,
            subprocess.Popen(
                self.command(*args, where=where),
                cwd=self.folder,
                env=env,
                stdout=out,
                stderr=out,
                start_new_session=True,
            ) as process,
        ):
            try:
                yield Running(process, log)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)

    def run_and_kill(self, after_s: float) -> bool:
        """Run Snakemake and kill it with its jobs after some seconds; False if it was done."""
        with (self.folder / "killed.log").open("w") as log:
            process = subprocess.Popen(
                self.command(), cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )
            try:
                process.wait(after_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return True
        return False

    def copy_slide(self, old: str, new: str) -> None:
        """Another slide that looks the same; with other bytes at its end, or it would be one."""
        data = (self.folder / old).read_bytes()
        (self.folder / new).write_bytes(data + new.encode())

    def copy(self, folder: Path) -> Project:
        """The whole folder, times of files included, somewhere else."""
        shutil.copytree(self.folder, folder, copy_function=shutil.copy2, symlinks=True)
        return Project(folder)

    def content(self) -> dict[str, str]:
        """Digest of every result that must not differ between equal runs."""
        return {
            name: hashlib.sha256(path.read_bytes()).hexdigest()
            for name, path in self._files().items()
        }

    def times(self, step: str) -> dict[str, int]:
        """When each slide's files of a step were written."""
        return {
            name: path.stat().st_mtime_ns
            for name, path in self._files().items()
            if name.startswith(f"{step}/") and "/index/" not in name
        }

    def _files(self) -> dict[str, Path]:
        """The results that do not vary, by their path in the results folder."""
        found = (path for path in self.results.rglob("*") if path.is_file())
        named = {str(path.relative_to(self.results)): path for path in found}
        return {n: p for n, p in named.items() if n.split("/")[0] not in VARYING}
