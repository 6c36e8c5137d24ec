"""Which files the results hold, and what each belongs to: a step, and a slide, task or model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hipt.layout import LEDGER, VARYING
from hipt.registry import SHARDED, STEPS

_ORDER = ("batches", *STEPS, "other")
_TOP = {
    LEDGER: "batches",
    "slides.parquet": "slides",
    "probe.parquet": "probe",
    "agreement.parquet": "agreement",
}
_OF_TASK = {
    **dict.fromkeys(("folds.parquet", "labels.parquet", "leaks.parquet", "members.csv"), "split"),
    **dict.fromkeys(("scores.parquet", "differences.parquet", "published.parquet"), "evaluate"),
    **dict.fromkeys(("roc.parquet", "calibration.parquet"), "evaluate"),
    **dict.fromkeys(("survival.parquet", "errors.parquet"), "evaluate"),
    "examples.jpg": "examples",
}
_MODELS = {"vit256": "pretrain_patches", "vit4096": "pretrain_regions"}


class Place(NamedTuple):
    """What a result file belongs to."""

    step: str
    """`batches`, the name of a step, or `other`."""
    kind: str
    """`slide`, `batch`, `model`, `task`, `format`, or nothing."""
    name: str
    """Of the slide, batch, ...; a fit's is `task/model/fraction`."""


def rank(step: str) -> int:
    """Where a place's step stands in the order in which one feeds the next."""
    return _ORDER.index(step)


def result_files(root: Path) -> list[str]:
    """Files by their path inside the results folder, sorted; those that vary are left out."""
    return sorted(_walk(root, ""))


def compared_files(root: Path) -> list[str]:
    """Those that equal runs have with equal bytes, even if their slides were copied.

    The ledger of batches holds the times of slides' files. Nothing escapes: which slide is in which
    batch stands in the indices.
    """
    return [name for name in result_files(root) if name != LEDGER]


def place_of(name: str) -> Place:
    """What a file belongs to, by its path inside the results folder."""
    head, *rest = name.split("/")
    if not rest:
        return Place(_TOP.get(head, "other"), "", "")
    if head in SHARDED:
        if rest[0] == "index":
            return Place(head, "batch", _stem(rest[-1]))
        return Place(head, "slide", rest[0] if len(rest) > 1 else _stem(rest[0]))
    if head == "models":
        model = rest[0].partition(".")[0]
        return Place(_MODELS.get(model, "other"), "model", model)
    if head == "tasks" and len(rest) == 4:
        return Place("fit", "task", "/".join(rest[:3]))
    if head == "tasks":
        return Place(_OF_TASK.get(rest[-1], "other"), "task", rest[0])
    if head == "knn":
        return Place("knn", "task", rest[0].partition(".")[0])
    if head == "export":
        return Place("export", "format", rest[0].partition(".")[0])
    return Place("report" if head == "figures" else "other", "", "")


def shard_of(name: str) -> str | None:
    """The shard that a slide's file belongs to: itself, or the file written after it; else None."""
    place = place_of(name)
    if place.kind != "slide":
        return None
    return f"{place.step}/{place.name}{SHARDED[place.step]}"


def _walk(folder: Path, prefix: str) -> Iterator[str]:
    """Files in a folder and below."""
    for path in folder.iterdir():
        name = f"{prefix}{path.name}"
        if name in VARYING or _unfinished(prefix, path.name):
            continue
        if path.is_dir():
            yield from _walk(path, f"{name}/")
        else:
            yield name


def _unfinished(prefix: str, name: str) -> bool:
    """Files being written, training that is not done, and models that were moved aside."""
    hidden = name.startswith(".")
    return (hidden and ".part" in name) or (prefix == "models/" and (hidden or name == "old"))


def _stem(name: str) -> str:
    """A file's name without its last suffix; slide_ids may hold dots."""
    return name.rpartition(".")[0]
