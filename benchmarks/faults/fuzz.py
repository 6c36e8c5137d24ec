"""How damaged files end, reader by reader: the inputs of tests/fuzz, as many as you like.

    python -m benchmarks.faults.fuzz [--inputs 2000] [READER ...]

Prints a table: inputs, how many were accepted, ended in a sentence, in a status of a slide, or in
anything else (each is listed below the table), the longest time for one, and the most memory.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.fuzz.runner import Outcome, Readers
from tests.fuzz.targets import TARGETS

KINDS = ("accepted", "sentence", "status", "other")


def main() -> None:
    """Read, count, print."""
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--inputs", type=int, default=2000, help="per reader")
    args.add_argument("readers", nargs="*", default=list(TARGETS))
    a = args.parse_args()
    print("| reader | inputs | accepted | sentences | statuses | other | max s | peak MiB |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    others: list[tuple[str, Outcome]] = []
    with tempfile.TemporaryDirectory() as folder, Readers(Path(folder)) as readers:
        for name in a.readers:
            ended = list(readers.outcomes(name, a.inputs))
            counts = [str(sum(one.kind == kind for one in ended)) for kind in KINDS]
            seconds, peak = (max(one[i] for one in ended) for i in (3, 4))
            cells = [name, str(a.inputs), *counts, f"{seconds:.2f}", f"{peak:.0f}"]
            print(f"| {' | '.join(cells)} |", flush=True)
            others += [(name, one) for one in ended if one.kind == "other"]
    for name, one in others:
        print(f"{name} {one.number}: {one.text[:300]!r}")


if __name__ == "__main__":
    main()
