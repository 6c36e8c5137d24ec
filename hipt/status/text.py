"""How far a run is, in lines for a person and as values for a script."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from hipt.errors import some_of
from hipt.progress import rate_text, time_text
from hipt.registry import EVERY_SLIDE
from hipt.status.jobs import Job, JobState
from hipt.status.state import RunState, StepState

NAMED = 3
"""Failed jobs that are named; of more it gives the number."""

_COLUMN = 15


def lines(run: RunState) -> Iterator[str]:
    """The run, its steps, what failed: a line each."""
    yield _line("run", _head(run))
    for step in run.steps:
        if step.step in EVERY_SLIDE or step.total:
            yield _line(step.step, step_text(step))
    if others := [step for step in run.steps if step.step not in EVERY_SLIDE and not step.total]:
        yield _line("then", "; ".join(f"{step.step} {_jobs_text(step)}" for step in others))
    failed = run.in_state("failed")
    for job in failed[:NAMED]:
        yield _line("failed", failure(job))
    if len(failed) > NAMED:
        yield _line("", f"and {len(failed) - NAMED:,} more jobs: {run.results / 'logs'}")
    for remark in run.remarks:
        yield _line("note", remark)


def step_text(step: StepState) -> str:
    """How far a step is whose slides are known: slides, trouble, pace, time left."""
    text = f"{step.done:,} of {step.total:,} slides"
    if step.new:
        trouble = ", ".join(f"{count:,} {status}" for status, count in step.new.items())
        text += f", not ok: {trouble}"
    if step.again:
        text += f", {step.again:,} of them to be looked at again"
    return text + pace_text(step)


def pace_text(step: StepState) -> str:
    """What a step's jobs do together, and the time left; nothing where none is at work."""
    if step.left_s is None:
        return ""
    pace = rate_and_unit(step.per_s, step.unit)
    return f", {pace}, about {time_text(step.left_s / 3600)} left"


def rate_and_unit(per_s: float, unit: str) -> str:
    """`812 patches/s`; seconds for each, where one takes longer than a second."""
    if per_s >= 1:
        return f"{rate_text(per_s)} {unit}/s"
    return f"{rate_text(1 / per_s)} s for each of the {unit}"


def job_name(step: str, name: str) -> str:
    """`segment b0000`; `report`."""
    return f"{step} {name}".strip()


def failure(job: Job) -> str:
    """Which job failed, its own sentence, and where to read on."""
    error = job.log.error if job.log is not None else ""
    return f"{job_name(job.step, job.name)}: {error} (log: {job.log_path})"


def unfinished_slides(run: RunState) -> Iterator[str]:
    """A line for each slide that is not whole: where it is, how it ended, why."""
    for slide_id in run.slides:
        step, (status, reason) = run.verdict(slide_id)
        if status != "ok":
            yield f"{slide_id}\t{step}\t{status}\t{reason}"


def values(run: RunState) -> dict[str, Any]:
    """Everything as JSON values; seconds and units per second are numbers."""
    return {
        "results": str(run.results),
        "finished": run.finished,
        "slides": len(run.slides),
        "batches": run.batches,
        "new_slides": run.unplaced,
        "last_word_s": run.last_word_s(),
        "steps": {step.step: _step_values(step) for step in run.steps},
        "failed": [_failed_values(job) for job in run.in_state("failed")],
        "remarks": list(run.remarks),
    }


def _line(head: str, text: str) -> str:
    return f"{head:{_COLUMN}}{text}"


def _head(run: RunState) -> str:
    """What there is, and what goes on."""
    text = f"{run.results}: {len(run.slides):,} slides in {run.batches:,} batches"
    if not run.batches:
        others = f"holds {run.known:,} slides, none of them in the sheet"
        ran = others if run.known else "nothing has run yet"
        return f"{run.results}: {ran}; slides in the sheet: {len(run.slides):,}"
    if run.unplaced:
        text += f", {run.unplaced:,} of them new: no run has seen them yet"
    if run.finished:
        return f"{text}; all {'slides are' if run.slides_only else 'is'} done"
    working, silent, stopped = map(run.in_state, ("working", "silent", "stopped"))
    if working:
        text += f"; at work: {_names(working)}, last line {_age(run.last_word_s())} ago"
    else:
        text += "; nothing is at work"
    if stopped:
        text += f"; stopped: {_names(stopped)}"
    if silent:
        text += f"; begun and silent since {_age(run.last_word_s() if not working else None)}: "
        text += _names(silent)
    return text


def _names(jobs: list[Job]) -> str:
    """`segment b0000, tile b0001 and 3 more`."""
    return some_of([job_name(job.step, job.name) for job in jobs], NAMED)


def _age(seconds: float | None) -> str:
    """How long ago, for a person."""
    return "more than ten minutes" if seconds is None else time_text(seconds / 3600)


def _jobs_text(step: StepState) -> str:
    """How far a step is that knows no slides."""
    if len(step.jobs) == 1:
        state = step.jobs[0].state
        return {"waiting": "to do", "working": "at work"}.get(state, state) + pace_text(step)
    return f"{step.count('done')} of {len(step.jobs)}{pace_text(step)}"


def _step_values(step: StepState) -> Mapping[str, Any]:
    """A step as JSON values."""
    states = get_args(JobState)
    return {
        "slides_done": step.done if step.total else None,
        "slides": step.total or None,
        "not_ok": dict(step.new),
        "again": step.again,
        "jobs": {state: step.count(state) for state in states if step.count(state)},
        "per_s": step.per_s,
        "unit": step.unit,
        "left_s": step.left_s,
    }


def _failed_values(job: Job) -> dict[str, str]:
    """A failed job as JSON values."""
    error = job.log.error if job.log is not None else ""
    return {"step": job.step, "job": job.name, "error": error, "log": str(job.log_path)}
