"""The readers and many damaged files: how does each end?

    python -m tests.fuzz.run [TARGET ...] [--count 2000] [--seed 1]

Each reader has a process of its own, so that a crash of a C library is seen, with a limit on memory
and an alarm for each input. Prints a table, or with --json one object per line.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from types import FrameType

from hipt.errors import HiptError, SlideError
from tests.fuzz.mutations import mutated
from tests.fuzz.targets import TARGETS, Target

SECONDS, MEMORY = 20, 2 << 30
"""What one input may take; bytes above what the process has after its imports."""

LONGEST = 1000
"""Characters of a sentence that somebody still reads."""


class Slow(BaseException):
    """An input took too long; no reader catches it."""


def ring(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise Slow


def verdict(target: Target, path: Path) -> str:
    """`read`, `sentence`, `status`, or what should never be, with its place."""
    try:
        target.read(path)
    except SlideError as error:
        return "status" if fit(error.reason) else f"no sentence: {error.reason!r}"
    except HiptError as error:
        return "sentence" if fit(str(error)) else f"no sentence: {str(error)!r}"
    except Slow:
        return f"slow: more than {SECONDS} s"
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
        where = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in where if "/hipt/" in frame.filename][-1:]
        place = f"{Path(ours[0].filename).name}:{ours[0].lineno}" if ours else "?"
        return f"{type(error).__name__} at {place}: {str(error)[:80]}"
    return "read"


def fit(sentence: str) -> bool:
    """One line that is not too long."""
    return "\n" not in sentence and 0 < len(sentence) <= LONGEST


def status_kib(name: str) -> int:
    """A line of the kernel's account of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def fuzz(name: str, count: int, seed: int) -> dict[str, object]:
    """Read damaged files; returns counts, findings, and the worst of time and memory."""
    target = TARGETS[name]
    ends: Counter[str] = Counter()
    findings: dict[str, int] = {}
    slowest = 0.0
    with tempfile.TemporaryDirectory() as made, tempfile.TemporaryDirectory() as work:
        seeds = target.seeds(Path(made))
        path = Path(work) / target.name
        for good in seeds:
            path.write_bytes(good)
            target.read(path)  # the seeds are good
        limit = status_kib("VmSize:") * 1024 + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        before = status_kib("VmHWM:")
        signal.signal(signal.SIGALRM, ring)
        for number, data in enumerate(mutated(seeds, count, seed)):
            path.write_bytes(data)
            start = time.monotonic()
            signal.alarm(SECONDS)
            end = verdict(target, path)
            signal.alarm(0)
            slowest = max(slowest, time.monotonic() - start)
            kind = end if end in ("read", "sentence", "status") else "other"
            ends[kind] += 1
            if kind == "other":
                findings.setdefault(end, number)
        left = sorted(p.name for p in Path(work).iterdir())
    return {
        "target": name,
        **{kind: ends[kind] for kind in ("read", "sentence", "status", "other")},
        "slowest_s": round(slowest, 2),
        "more_mib": (status_kib("VmHWM:") - before) // 1024,
        "written": [one for one in left if one != target.name],
        "findings": findings,
    }


def child(name: str, count: int, seed: int, out: Path) -> dict[str, object]:
    """Fuzz a reader in a child process; how it ended if it did not end well."""
    pid = os.fork()
    if pid == 0:
        try:
            out.write_text(json.dumps(fuzz(name, count, seed)))
        except BaseException:  # noqa: BLE001 - a child never goes on as its parent
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code == 0:
        found: dict[str, object] = json.loads(out.read_text())
        return found
    return {"target": name, "findings": {f"the process ended with {code}": -1}}


def main() -> None:
    """Fuzz some readers, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", default=list(TARGETS))
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    columns = ("target", "read", "sentence", "status", "other", "slowest_s", "more_mib")
    if not args.json:
        print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    with tempfile.TemporaryDirectory() as folder:
        for name in args.targets:
            found = child(name, args.count, args.seed, Path(folder) / "found.json")
            if args.json:
                print(json.dumps(found), flush=True)
                continue
            print(f"| {' | '.join(str(found.get(c, '')) for c in columns)} |", flush=True)
            for what, number in found["findings"].items():
                print(f"input {number}: {what}")


if __name__ == "__main__":
    main()
