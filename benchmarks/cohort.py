"""A results folder made from some slides, step by step, for the benchmarks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hipt.cohort.ledger import Ledger, updated, write_ledger
from hipt.cohort.sheet import read_sheet
from hipt.config.config import Config, EngineSetting
from hipt.config.step_settings import settings
from hipt.layout import Results

INPUT = {"tile": "segment", "embed_patches": "tile", "embed_regions": "patches"}
BEFORE = {"tile": "segment", "embed_patches": "tile", "embed_regions": "embed_patches"}


class Cohort:
    """One batch of slides in a folder of its own."""

    def __init__(self, folder: Path, slides: list[Path], **sections: dict[str, object]) -> None:
        sheet = folder / "slides.csv"
        lines = [f"{slide.stem},{slide.resolve()}" for slide in slides]
        sheet.write_text("\n".join(["slide_id,path", *lines]) + "\n")
        self.results = Results(folder / "results")
        embed = {"patches": {"random": 1}, "regions": {"random": 2}}
        values: dict[str, object] = {
            "slides": {"sheet": str(sheet), "default_mpp": 0.5},
            "embed": embed,
            **sections,
        }
        self.config = Config.model_validate(values)
        digests = {row.slide_id: row.digest() for row in read_sheet(sheet)}
        write_ledger(self.results.batches, updated(Ledger(), digests, 1000))

        self.engine: EngineSetting = self.config.embed.engine
        """What computes vectors."""

    def command(self, step: str, threads: int) -> list[str]:
        """A step's command line, as its rule calls it."""
        line = [sys.executable, "-m", "hipt", step, "--out", str(self.index(step))]
        line += ["--cfg", settings(step, self.config).model_dump_json()]
        if step in INPUT:
            line += [f"--{INPUT[step]}", str(self.index(BEFORE[step]))]
        embeds = ["--threads", str(threads), "--engine", self.engine]
        return line + embeds if step.startswith("embed") else line

    def index(self, step: str) -> Path:
        """A step's index."""
        return self.results.index(step, "b0000")

    def run(self, *steps: str, threads: int = 1) -> str:
        """Run steps; returns what they said."""
        said = ""
        for step in steps:
            done = subprocess.run(
                self.command(step, threads), capture_output=True, text=True, check=False
            )
            if done.returncode:
                sys.exit(done.stderr)
            said += done.stderr
        return said
