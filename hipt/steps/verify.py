"""Write a manifest of results, compare results with one or with others, or look for damage."""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from hipt.audit.content import EQUAL, compared
from hipt.audit.differences import Difference, differences
from hipt.audit.files import rank
from hipt.audit.integrity import damaged_files, trouble
from hipt.audit.manifest import read_entries, read_manifest, write_manifest
from hipt.embedding.precisions import in_words, precisions_on_disk
from hipt.errors import HiptError, some_of
from hipt.machine import usable_cores
from hipt.store.csv_rows import write_csv

SHOWN = 3
"""Slides that a line of the table names; of more it gives the number."""

DETAILED = ("bytes", "unexplained")
"""Kinds of differences whose second reason is a file's own: how far its numbers are apart."""


def write(results: Path, manifest: Path, threads: int) -> str:
    """Write a manifest of a folder of results; what was done.

    Raises:
        HiptError: if there are no results, or a file of them cannot be read.
    """
    entries = read_entries(results, threads)
    lost = [entry.name for entry in entries if not entry.sha256]
    if lost:
        raise HiptError(f"{results / lost[0]}: cannot be read, as {len(lost)} in all; no manifest")
    write_manifest(manifest, entries)
    return f"{len(entries)} files written to {manifest}"


def audit(results: Path, threads: int) -> str:
    """Read all results back; what was done.

    Raises:
        HiptError: naming every damaged file.
    """
    damaged = damaged_files(results, threads)
    if damaged:
        lines = [f"{name}: {text}" for name, text in damaged.items()]
        _say("\n".join(lines))
        raise HiptError(f"{results}: {len(damaged)} files are damaged or missing")
    whole = f"{results}: every file can be read, and is what its index and schema say"
    counts = precisions_on_disk(results)
    return "\n".join([whole, *(f"{what}: {in_words(some)}" for what, some in counts.items())])


def compare(results: Path, against: Path, out: Path | None, threads: int) -> str:
    """Compare results with a manifest, or with another folder; what was found where all is equal.

    Raises:
        HiptError: if they differ; the table of differences was printed.
    """
    folder = against if against.is_dir() else None
    old = read_entries(against, threads) if folder else read_manifest(against)
    new = read_entries(results, threads)
    compared = [_looked_into(difference, results, folder) for difference in differences(old, new)]
    alike = sum(d.kind == "bytes" and d.why[0] == EQUAL for d in compared)
    compared.sort(key=_rank)
    if out is not None:
        _write(out, compared)
    if compared:
        _say(table(compared))
    if apart := len(compared) - alike:
        total = len({entry.name for entry in (*old, *new)})
        raise HiptError(f"{results} differs from {against} in {apart} of {total} files")
    note = f", {alike} of them in content alone" if alike else ""
    return f"{len(new)} files equal{note}"


def table(compared: Sequence[Difference]) -> str:
    """Differences by step and reason, in the order of the steps; a reason is named once."""
    groups: dict[tuple[str, tuple[str, ...]], list[Difference]] = defaultdict(list)
    for d in sorted(compared, key=_rank):
        groups[d.step, d.why[:1] if d.kind in DETAILED else d.why].append(d)
    rows = [("step", "of", "files", "why")]
    for (step, why), group in groups.items():
        details = [(d.name, *d.why[1:]) for d in group if d.kind in DETAILED and d.why[1:]]
        example = f" (e.g. {': '.join(details[0])})" if details else ""
        files = group[0].name if len(group) == 1 else str(len(group))
        rows.append((step, _whose(group), files, "; ".join(why) + example))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    return "\n".join(
        "  ".join([*(c.ljust(w) for c, w in zip(row[:3], widths, strict=True)), row[3]]).rstrip()
        for row in rows
    )


def _rank(difference: Difference) -> tuple[int, bool, str]:
    """Steps in their order, in each what follows from others last."""
    return rank(difference.step), difference.kind == "follows", difference.name


def _looked_into(difference: Difference, results: Path, against: Path | None) -> Difference:
    """A difference that provenance does not explain, with what the files themselves say."""
    if difference.kind in ("missing", "extra", "follows", "cause"):
        return difference
    if text := trouble(results, difference.name):
        return replace(difference, kind="damaged", why=(f"damaged: {text}",))
    if difference.kind == "damaged":
        return difference
    reason = "same provenance, other bytes"
    if difference.kind == "unexplained":
        reason = "other bytes, though nothing that it is made from differs"
    content = _content(difference.name, results, against)
    if content == EQUAL:
        return replace(difference, kind="bytes", why=(EQUAL,))
    causes = {"bytes": "nondeterminism or damage"}
    cause = causes.get(difference.kind, "other settings or labels, another version, or damage")
    return replace(difference, why=(f"{reason}: {cause}", *([content] if content else [])))


def _content(name: str, results: Path, against: Path | None) -> str:
    """How the content of two files differs; nothing where there is one only."""
    if against is None:
        return ""
    try:
        return compared(against / name, results / name)
    except (OSError, ValueError, pa.ArrowException) as error:
        return f"{against / name} cannot be read: {error}"


def _whose(group: Sequence[Difference]) -> str:
    """What some differences are of, in a few words."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for name in dict.fromkeys(d.of for d in group if d.of):
        kind, _, rest = name.partition(" ")
        kinds[kind].append(rest)
    return ", ".join(_counted(kind, some) for kind, some in kinds.items())


def _counted(kind: str, names: Sequence[str]) -> str:
    """`slide a`, or `5 slides (a, b, c, ...)`."""
    if len(names) == 1:
        return f"{kind} {names[0]}"
    plural = f"{kind}es" if kind.endswith("ch") else f"{kind}s"
    return f"{len(names)} {plural} ({some_of(names, SHOWN, counted=False)})"


def _write(path: Path, compared: Sequence[Difference]) -> None:
    """A line per file that differs."""
    lines = ((d.name, d.step, d.of, d.kind, "; ".join(d.why)) for d in compared)
    write_csv(path, ("file", "step", "of", "kind", "why"), lines)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: the results, and what to do with them; without: look for damage."""
    cores = usable_cores()
    parser = argparse.ArgumentParser(prog="hipt verify", description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"), help="the folder")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--write", type=Path, metavar="MANIFEST", help="write a manifest (CSV)")
    what.add_argument("--against", type=Path, help="a manifest, or another folder of results")
    parser.add_argument("--list", type=Path, help="with --against: write a line per file (CSV)")
    parser.add_argument("--threads", type=int, default=cores, help="files read at once")
    args = parser.parse_args(argv)
    if args.threads < 1:
        raise HiptError(f"--threads: must be 1 or more, got {args.threads}")
    if args.write is not None:
        _say(write(args.results, args.write, args.threads))
    elif args.against is not None:
        _say(compare(args.results, args.against, args.list, args.threads))
    else:
        _say(audit(args.results, args.threads))
