"""How far a run is: its jobs, its slides, its pace."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import pyarrow.parquet as pq

from hipt.cohort.ledger import read_ledger
from hipt.cohort.sheet import read_sheet
from hipt.config.config import Config
from hipt.errors import HiptError
from hipt.layout import Results
from hipt.registry import EVERY_SLIDE
from hipt.status.jobs import Job, expected
from hipt.status.logs import Pace
from hipt.store.tables import DAMAGED

Verdict = tuple[str, str]
"""Status and reason."""

TO_DO: Verdict = ("to do", "")
"""Of a slide on which a step has not worked."""

PATCHES = "patches"


@dataclass(frozen=True)
class StepState:
    """How far one step is."""

    step: str
    jobs: Sequence[Job]
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    """Of the slides that it has worked on; empty for a step that knows no slides."""
    total: int = 0
    """Slides that it is to work on."""
    new: Mapping[str, int] = field(default_factory=dict)
    """Slides that ended here and in no step before, by status."""
    again: int = 0
    """Slides whose results are there, while those of an earlier step are being made anew."""
    per_s: float = 0.0
    """What the jobs at work do together; 0: none is, or none knows yet."""
    unit: str = "slides"
    left_s: float | None = None
    """Until all of it is done at this pace; None: nobody knows."""

    @property
    def done(self) -> int:
        """Slides that it has worked on; jobs, where it knows no slides."""
        return len(self.verdicts) if self.total else self.count("done")

    def count(self, state: str) -> int:
        """Its jobs in a state."""
        return sum(job.state == state for job in self.jobs)


@dataclass(frozen=True)
class RunState:
    """How far a run is."""

    results: Path
    slides: Sequence[str]
    """Of the sheet; without one, of the ledger."""
    batches: int
    unplaced: int
    """Slides of the sheet that no run has seen yet."""
    steps: Sequence[StepState]
    remarks: Sequence[str] = ()
    """What could not be looked at."""
    known: int = 0
    """Slides of the ledger, whether in the sheet or not."""
    slides_only: bool = False
    """Whether nothing is known of tasks, heatmaps, and the report."""

    @cached_property
    def jobs(self) -> list[Job]:
        """All jobs that are known before they run."""
        return [job for step in self.steps for job in step.jobs]

    def in_state(self, state: str) -> list[Job]:
        """The jobs in a state."""
        return [job for job in self.jobs if job.state == state]

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do: all outputs are there, with a verdict on each slide."""
        done = len(self.in_state("done")) == len(self.jobs) > 0
        return done and not self.unplaced and all(step.done >= step.total for step in self.steps)

    def last_word_s(self) -> float | None:
        """Seconds since a job that is not done wrote its last line; None where there is none."""
        ages = [job.log.age_s for job in self.jobs if job.state != "done" and job.log is not None]
        return min(ages, default=None)

    def verdict(self, slide_id: str) -> tuple[str, Verdict]:
        """The first step that a slide has not passed, with its verdict there; the last, if none."""
        step = ""
        for state in self.steps:
            if state.step in EVERY_SLIDE:
                step, verdict = state.step, state.verdicts.get(slide_id, TO_DO)
                if verdict[0] != "ok":
                    return step, verdict
        return step, ("ok", "")


class Indices:
    """Indices that were read: whole or absent, so that none is read twice while it is the same."""

    def __init__(self) -> None:
        self._read: dict[Path, tuple[int, dict[str, Verdict], dict[str, int]]] = {}

    def of(self, path: Path) -> tuple[dict[str, Verdict], dict[str, int]]:
        """The verdicts, and the patches, of a batch's slides.

        Raises:
            HiptError: if the index cannot be read.
        """
        try:
            written = path.stat().st_mtime_ns
            if path not in self._read or self._read[path][0] != written:
                self._read[path] = (written, *_index(path))
        except DAMAGED as error:
            raise HiptError(f"{path}: cannot be read ({error})") from None
        return self._read[path][1:]


def _index(path: Path) -> tuple[dict[str, Verdict], dict[str, int]]:
    """An index's verdicts, and patches where it has them."""
    with pq.ParquetFile(path) as file:
        counted = "patches" in file.schema_arrow.names
        wanted = ["slide_id", "status", "reason", *(["patches"] if counted else [])]
        columns = file.read(wanted).to_pydict()
    rows = zip(columns["status"], columns["reason"], strict=True)
    verdicts = dict(zip(columns["slide_id"], rows, strict=True))
    patches = zip(columns["slide_id"], columns.get("patches", ()), strict=False)
    return verdicts, {slide: count for slide, count in patches if count is not None}


def read_state(
    results: Results, config: Config | None = None, indices: Indices | None = None
) -> RunState:
    """How far a run is, as its files say.

    Args:
        results: where they lie.
        config: of the run; None: the slides are those of the ledger, and of tasks nothing is known.
        indices: those that were read before.

    Raises:
        HiptError: if the ledger is none.
    """
    indices, remarks = indices or Indices(), list[str]()
    batch_of = read_ledger(results.batches).batch_of
    slides = _slides(config, batch_of, remarks)
    batches: dict[str, list[str]] = defaultdict(list)
    for slide_id in slides:
        if slide_id in batch_of:
            batches[batch_of[slide_id]].append(slide_id)
    ordered = {name: batches[name] for name in sorted(batches, key=lambda name: int(name[1:]))}
    jobs: dict[str, list[Job]] = defaultdict(list)
    for job in expected(results, config, ordered):
        jobs[job.step].append(job)
    steps, before, patches = list[StepState](), dict[str, Verdict](), dict[str, int]()
    open_batches = set[str]()
    for step, of_step in jobs.items():
        if not any(job.slides for job in of_step):
            steps.append(_paced(StepState(step, of_step), {}))
            continue
        verdicts = dict[str, Verdict]()
        for job in of_step:
            of_batch, counts = _verdicts(job, indices, remarks)
            verdicts |= {slide: of_batch[slide] for slide in job.slides if slide in of_batch}
            patches |= counts
        total = len(slides) if step in EVERY_SLIDE else sum(len(job.slides) for job in of_step)
        new = Counter(
            status
            for slide, (status, _) in verdicts.items()
            if status != "ok" and before.get(slide, ("ok", ""))[0] == "ok"
        )
        made = [job for job in of_step if job.state == "done"]
        again = sum(len(job.slides) for job in made if job.name in open_batches)
        open_batches |= {job.name for job in of_step} - {job.name for job in made}
        steps.append(_paced(StepState(step, of_step, verdicts, total, new, again), patches))
        before = verdicts if step in EVERY_SLIDE else before
    unplaced = sum(slide not in batch_of for slide in slides)
    if config is None:
        remarks.append("tasks, heatmaps and the report are not looked at: name the config (--cfg)")
    return RunState(
        *(results.root, slides, len(ordered), unplaced, steps, remarks),
        known=len(batch_of),
        slides_only=config is None,
    )


def _slides(
    config: Config | None, batch_of: Mapping[str, str], remarks: list[str]
) -> Sequence[str]:
    """The slides of the sheet; of the ledger where the sheet is not there."""
    if config is None:
        return list(batch_of)
    given = config.slides
    try:
        rows = read_sheet(Path(given.sheet), given.root, missing=given.missing)
    except HiptError as error:
        remarks.append(f"the sheet is not looked at: {error}")
        return list(batch_of)
    return [row.slide_id for row in rows]


def _verdicts(
    job: Job, indices: Indices, remarks: list[str]
) -> tuple[Mapping[str, Verdict], Mapping[str, int]]:
    """Verdicts and patches of a batch's slides: its index's, or its log's while there is none."""
    if job.state == "done":
        try:
            return indices.of(job.output)
        except HiptError as error:
            remarks.append(str(error))
    return (job.log.verdicts, {}) if job.log is not None and job.state != "done" else ({}, {})


def _paced(state: StepState, patches: Mapping[str, int]) -> StepState:
    """With what its jobs at work do together, and the time until all of its jobs are done."""
    at_work = [job for job in state.jobs if job.state == "working"]
    paces = _known(at_work)
    known = paces or _known(_newest(state.jobs, len(at_work)))
    if not known:
        return state
    unit = min((pace.unit for pace in known), key=lambda unit: unit == "slides")
    alike = [pace for pace in known if pace.unit == unit]
    each_per_s = sum(pace.per_s for pace in alike) / len(alike)
    done = sum(pace.done for pace in paces if pace.unit == unit)
    left = _size_of(at_work, unit, patches, alike[0].total) - done
    waiting = [job for job in state.jobs if job.state not in ("working", "done")]
    left += _size_of(waiting, unit, patches, alike[0].total)
    per_s = each_per_s * len(at_work)
    return replace(state, per_s=per_s, unit=unit, left_s=max(0.0, left) / per_s)


def _known(jobs: Iterable[Job]) -> list[Pace]:
    """The paces that the logs of jobs tell."""
    paces = [job.log.pace for job in jobs if job.log is not None]
    return [pace for pace in paces if pace is not None and pace.per_s > 0]


def _newest(jobs: Iterable[Job], count: int) -> list[Job]:
    """The jobs that were done last: as many as are at work without having told their pace."""
    done = [job for job in jobs if job.state == "done"]
    return sorted(done, key=lambda job: -job.written_s)[:count]


def _size_of(jobs: Iterable[Job], unit: str, patches: Mapping[str, int], like: int) -> float:
    """How many units jobs hold; of what nobody has counted, as many as others.

    Args:
        jobs: of one step.
        unit: of which.
        patches: of the slides that are tiled.
        like: units of a job at work.
    """
    if unit == "slides":
        return sum(len(job.slides) for job in jobs)
    if unit != PATCHES:
        return like * sum(1 for _ in jobs)
    mean = sum(patches.values()) / max(len(patches), 1)
    return sum(patches.get(slide, mean) for job in jobs for slide in job.slides)
