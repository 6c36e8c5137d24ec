"""A sheet, a config and a results folder, of which plans are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hipt.planning.plan import Plan, read_plan

SHEET = """slide_id,path,case_id,site,grade
a,a.svs,one,north,high
b,b.svs,two,north,low
c,c.svs,three,south,high
d,d.svs,four,south,low
"""


@dataclass
class Run:
    """What a run is planned from."""

    folder: Path
    messages: list[tuple[int, str]] = field(default_factory=list)
    """What the last plan logged: levels and texts."""

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def sheet(self, text: str = SHEET) -> None:
        (self.folder / "slides.csv").write_text(text)

    def values(self, **sections: Any) -> dict[str, Any]:
        """The config; sections are merged into it."""
        values: dict[str, Any] = {
            "slides": {"sheet": str(self.folder / "slides.csv"), "batch_size": 2},
            "results": str(self.results),
            "embed": {"patches": {"random": 1}, "regions": {"random": 2}},
        }
        for name, section in sections.items():
            values[name] = values.get(name, {}) | section
        return values

    def plan(self, **sections: Any) -> Plan:
        """The plan of a run, in its main process."""
        self.messages.clear()
        return read_plan(self.values(**sections), lambda *message: self.messages.append(message))

    def plan_of_job(self, **sections: Any) -> Plan:
        """The plan as a job of the run reads it."""
        return read_plan(self.values(**sections), None)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run(tmp_path)
    made.sheet()
    return made
