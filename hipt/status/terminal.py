"""What a person watches while Snakemake runs: a line for a job's start and end, and the run's pace.

Snakemake prints a job over a dozen lines, and a failed one with its whole command. Its log file
under `.snakemake/log` keeps all of that: this handler stands in place of the one that writes to
the terminal, and hands on to that one what it does not know.
"""

from __future__ import annotations

import logging
import os
import re
import shlex
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from hipt.config.config import Config
from hipt.errors import HiptError, some_of
from hipt.layout import Results
from hipt.progress import time_text
from hipt.registry import STEPS
from hipt.status.logs import JobLog, read_log
from hipt.status.reasons import reason
from hipt.status.state import Indices, read_state
from hipt.status.text import job_name, pace_text, rate_and_unit, step_text

EVERY_S = 30.0
"""Between two lines on the pace of the run."""

NAMED = 10
"""Failed jobs that are named at the end."""

_UNSAID = re.compile(
    r"Building DAG of jobs|Using shell: |(Conda environments|Singularity containers): ignored|"
    r"Select jobs to execute|DAG of jobs will be updated|Elapsed time: |Reasons:\n|"
    r"Some jobs were triggered by provenance|Rules with provenance triggered jobs|"
    r"Job \d+ has been submitted with SLURM jobid|SLURM run ID: "
)
"""Messages of Snakemake that tell whoever watches nothing that another line does not."""

_FAILED_COMMAND = re.compile(r"(RuleException:\n)?CalledProcessError in file .*\nCommand ", re.S)
"""What Snakemake says beside each failed job: its whole command."""

_ENDED = "Exiting because a job execution failed"
_COMPLETE = "Complete log(s): "
_PLANNED = "This was a dry-run"


class OutputSettings(Protocol):
    """Of Snakemake's settings those that say what a user wants to see."""

    quiet: Any
    verbose: bool
    printshellcmds: bool
    debug_dag: bool
    show_failed_logs: bool
    dryrun: bool


@dataclass(frozen=True)
class Watched:
    """The run, as it was planned."""

    results: Results
    config: Config
    batches: Mapping[str, Sequence[str]]
    """The slides of each."""
    new: int
    """Slides that no run has seen yet."""

    @property
    def command(self) -> str:
        """What says how far the run is."""
        return f"hipt status --results {shlex.quote(str(self.results.root))}"

    @property
    def slides_text(self) -> str:
        """`4 slides in 2 batches, 1 of them new`."""
        slides = sum(map(len, self.batches.values()))
        new = f", {self.new:,} of the slides new" if self.new else ", none of the slides new"
        return f"{_counted(slides, 'slide')} in {_counted(len(self.batches), 'batch')}{new}"


class _Record(Protocol):
    """What Snakemake says of a job, in the record of its start or of its error."""

    jobid: int
    rule_name: str
    rule_msg: str | None
    local: bool
    wildcards: Mapping[str, object]
    output: Sequence[str]
    log: Sequence[str]
    reason: str


@dataclass(frozen=True)
class _Job:
    """A job that was started."""

    name: str
    log: Path | None
    slides: int
    start_s: float


def take_over(
    logger: logging.Logger, settings: OutputSettings, watched: Watched
) -> Terminal | None:
    """Write to the terminal in place of Snakemake; None where a user wants to see Snakemake's own.

    That is who gives one of its flags on what is printed, or another logger.

    Args:
        logger: Snakemake's.
        settings: its settings of output.
        watched: the run.
    """
    flags = ("quiet", "verbose", "printshellcmds", "debug_dag", "show_failed_logs")
    if any(getattr(settings, flag, None) for flag in flags):
        return None
    for handler in list(logger.handlers):
        if handler.name == "DefaultStreamHandler" and isinstance(handler, logging.StreamHandler):
            terminal = Terminal(handler, watched, dry=settings.dryrun)
            logger.removeHandler(handler)
            logger.addHandler(terminal)
            return terminal
    return None


class Terminal(logging.Handler):
    """Snakemake's records in short."""

    def __init__(
        self,
        theirs: logging.StreamHandler[Any],
        watched: Watched,
        *,
        dry: bool = False,
        every_s: float = EVERY_S,
    ) -> None:
        super().__init__()
        self._theirs, self._watched, self._dry, self._every_s = theirs, watched, dry, every_s
        self._jobs: dict[int, _Job] = {}
        self._planned: dict[str, Counter[str]] = {}
        self._failed: dict[int, str] = {}
        self._total = self._done = self._snakemakes = 0
        self._began_s = time.monotonic()
        self._ended, self._beats = (
            threading.Event(),
            threading.Thread(target=self._beat, daemon=True),
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Say it in a line, or as Snakemake does."""
        try:
            lines = self._lines(record)
        except (AttributeError, KeyError, LookupError, TypeError, ValueError):
            lines = None  # a record of another version of Snakemake
        try:
            if lines is None:
                self._theirs.handle(record)
            for line in lines or ():
                self._write(line)
        except BrokenPipeError:  # `| head` has read enough; the run goes on
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._theirs.stream.fileno())
        except Exception:  # noqa: BLE001 (as every handler of Python's)
            self.handleError(record)

    def close(self) -> None:
        """End with the run."""
        self._ended.set()
        if self._beats.is_alive():
            self._beats.join(5)
        self._theirs.close()
        super().close()

    def _write(self, line: str) -> None:
        """A line in the letters that the terminal has."""
        stream = self._theirs.stream
        encoding = getattr(stream, "encoding", None) or "utf-8"
        stream.write(f"{line}\n".encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()

    def _lines(self, record: logging.LogRecord) -> list[str] | None:
        """What is said of a record; None where Snakemake is to say it."""
        event, facts = str(getattr(record, "event", None)), cast(Any, record)
        if event in ("workflow_started", "resources_info", "job_started"):
            return []
        if event == "run_info":
            return self._run_info(facts.stats)
        if event == "job_info":
            return self._plan(facts) if self._dry else self._start(facts)
        if event == "job_finished":
            return self._finish(facts.job_id)
        if event == "progress":
            return self._count(facts.total)
        if event == "job_error":
            return self._fail(facts)
        return self._message(record)

    def _count(self, total: int) -> list[str]:
        """What a checkpoint adds to the plan; Snakemake counts jobs that are not to run, too."""
        self._total += total - (self._snakemakes or total)
        self._snakemakes = total
        return []

    def _message(self, record: logging.LogRecord) -> list[str] | None:
        """Of plain text."""
        text = record.getMessage()
        if _UNSAID.match(text) or _FAILED_COMMAND.match(text):
            return []
        if text.startswith(_ENDED):
            return [f"{_counted(len(self._failed), 'job')} failed:", *self._failures()]
        if text.startswith(_PLANNED):
            return list(self._plan_lines())
        if text.startswith(_COMPLETE) and not self._failed and self._done:
            took = time_text((time.monotonic() - self._began_s) / 3600)
            report = self._watched.results.report
            page = f": {report}" if report.exists() else ""
            return [_now(f"all done, {_counted(self._done, 'job')} in {took}{page}"), text]
        return None

    def _run_info(self, stats: Mapping[str, int]) -> list[str]:
        """The jobs of a run, before the first one."""
        if self._dry or self._total:
            return []
        self._total = sum(stats[rule] for rule in _rules(stats))
        jobs = ", ".join(f"{stats[rule]:,} {rule}" for rule in _rules(stats))
        root = self._watched.results.root
        return [
            f"{_counted(self._total, 'job')} for {self._watched.slides_text}: {jobs}",
            f"what jobs say: {root / 'logs'}; how far they are: {self._watched.command}",
        ]

    def _start(self, record: _Record) -> list[str]:
        """A job begins, or was given to the cluster."""
        if not record.output:
            return []
        batch = str(record.wildcards.get("batch", ""))
        slides = len(self._watched.batches.get(batch, ()))
        name = job_name(record.rule_name, ".".join(map(str, record.wildcards.values())))
        log = Path(record.log[0]) if record.log else None
        self._jobs[record.jobid] = _Job(name, log, slides, time.monotonic())
        self._failed.pop(record.jobid, None)  # it is tried again
        if self._beats.ident is None:
            self._beats.start()
        of_slides = f", {_counted(slides, 'slide')}" if slides else ""
        return [_now(f"{'start' if record.local else 'sent '}  {name}{of_slides}")]

    def _finish(self, number: int) -> list[str]:
        """A job ends well."""
        job = self._jobs.pop(number, None)
        if job is None:
            return []
        self._done += 1
        took = time_text((time.monotonic() - job.start_s) / 3600)
        outcome = _outcome(job, read_log(job.log) if job.log else None)
        return [
            _now(f"done   {job.name} in {took}{outcome}; {self._done:,} of {self._total:,} jobs")
        ]

    def _fail(self, record: _Record) -> list[str]:
        """A job ends with an error: its own sentence, and where to read on."""
        log_path = Path(record.log[0]) if record.log else None
        log = read_log(log_path) if log_path is not None else None
        job = self._jobs.pop(record.jobid, None)
        name = job.name if job is not None else record.rule_name
        silent = "it ended without a sentence" + (f" after: {log.last}" if log and log.last else "")
        own, stopped = (log.error, log.stopped) if log else ("", False)
        told = record.rule_msg  # by the cluster, which knows why it stopped a job
        sentence = " ".join(((told or own if stopped else own or told) or silent).split())
        logs = ", ".join(str(Path(path).absolute()) for path in record.log)
        self._failed[record.jobid] = f"{name}: {sentence}"
        return [_now(f"FAILED {name}: {sentence}"), f"         log: {logs}"]

    def _failures(self) -> Iterator[str]:
        """What failed and was not made since, at the end, where nobody has to look for it."""
        failures = list(self._failed.values())
        yield from (f"  {failure}" for failure in failures[:NAMED])
        if len(failures) > NAMED:
            yield f"  and {len(failures) - NAMED:,} more: {self._watched.results.root / 'logs'}"

    def _plan(self, record: _Record) -> list[str]:
        """A job of a dry run, kept until all are known."""
        if record.output:
            self._planned.setdefault(record.rule_name, Counter())[reason(record.reason)] += 1
        return []

    def _plan_lines(self) -> Iterator[str]:
        """The plan of a dry run: how many jobs of each rule, and why."""
        total = sum(map(Counter.total, self._planned.values()))
        yield f"plan: {_counted(total, 'job')} for {self._watched.slides_text}"
        order = list(STEPS)
        for rule in sorted(self._planned, key=lambda r: order.index(r) if r in order else -1):
            reasons = self._planned[rule]
            why = [f"{n:,} {text}" if len(reasons) > 1 else text for text, n in reasons.items()]
            yield f"  {rule:17}{_counted(reasons.total(), 'job'):>10}   {some_of(why, 5)}"
        yield "nothing was done (--dry-run); jobs one by one: --printshellcmds"

    def _beat(self) -> None:
        """Say now and then how fast the run is, from the files that it writes."""
        indices = Indices()
        while not self._ended.wait(self._every_s):
            with suppress(HiptError, OSError):
                run = read_state(self._watched.results, self._watched.config, indices)
                steps = [step for step in run.steps if step.left_s is not None]
                texts = [f"{s.step} {step_text(s) if s.total else pace_text(s)[2:]}" for s in steps]
                if texts and not self._ended.is_set():
                    self._write(_now(f"       {'; '.join(texts)}"))


def _outcome(job: _Job, log: JobLog | None) -> str:
    """What became of a job's slides, and how fast it was."""
    if log is None:
        return ""
    text = f", {_counted(job.slides, 'slide')}" if job.slides else ""
    trouble = Counter(status for status, _ in log.verdicts.values() if status != "ok")
    text += "".join(f", {count:,} {status}" for status, count in trouble.items())
    if log.work is None or not log.work.per_s:
        return text
    return f"{text}, {rate_and_unit(log.work.per_s, log.work.unit)}"


def _rules(stats: Mapping[str, int]) -> list[str]:
    """The rules of a plan that make something."""
    return [rule for rule in stats if rule not in ("all", "total")]


def _counted(count: int, noun: str) -> str:
    """`1 job`, `2 batches`."""
    plural = f"{noun}es" if noun.endswith("ch") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"


def _now(text: str) -> str:
    return f"{time.strftime('%H:%M:%S')} {text}"
