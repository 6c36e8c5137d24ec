"""What differs between two sets of results, and why, as far as their provenance tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hipt.registry import STEPS

Kind = Literal["missing", "extra", "damaged", "cause", "follows", "bytes", "unexplained"]

INPUT = {
    ("tile", "mask"): "segment",
    ("embed_patches", "manifest"): "tile",
    ("embed_regions", "patches"): "embed_patches",
    ("attend", "patches"): "embed_patches",
    ("pretrain_patches", "corpus"): "tile",
    ("pretrain_regions", "corpus"): "embed_patches",
    ("split", "embeddings"): "embed_regions",
    ("split", "corpus"): "pretrain_patches",
    ("fit", "folds"): "split",
    ("evaluate", "folds"): "split",
    ("fit", "embeddings"): "embed_regions",
    ("knn", "folds"): "split",
    ("knn", "embeddings"): "embed_regions",
    ("probe", "embeddings"): "embed_regions",
    ("agreement", "maps"): "attend",
    ("examples", "predictions"): "fit",
    ("examples", "folds"): "split",
    ("examples", "embeddings"): "embed_regions",
}
"""Inputs that are what an earlier step made; the others of `evaluate` are fits."""

MODEL = {
    "embed_patches": "pretrain_patches",
    "embed_regions": "pretrain_regions",
    "attend": "pretrain_regions",
}
"""Steps whose `weights` may have been trained in the same results, and by which step."""

INPUT_NAMES = {
    "slide": "another slide file",
    "mask": "another mask in the sheet, or read in another way",
    "features": "another file of imported features",
    "corpus": "other slides in its corpus",
    "labels": "other labels, cases or sites",
    "maps": "other label maps",
    "parts": "other parts: by split files, or by the ledger of cases",
}


@dataclass(frozen=True)
class Made:
    """What decided a file's content, as far as it is known."""

    step_version: int | None = None
    version: str = ""
    """Of hipt."""
    fingerprint: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    software: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """One result file."""

    name: str
    """Its path inside the results."""
    step: str
    kind: str
    """What it is of: `slide`, `batch`, `model`, `task`, `format`, or nothing."""
    of: str
    sha256: str
    """Empty where it cannot be read."""
    size: int
    made: Made | None
    """None where the file tells nothing."""


@dataclass(frozen=True)
class Difference:
    """One file that differs."""

    name: str
    step: str
    of: str
    """E.g. `slide a`; empty where the file is of the whole run."""
    kind: Kind
    why: tuple[str, ...]


def differences(old: Sequence[Entry], new: Sequence[Entry]) -> list[Difference]:
    """What differs, file by file, by name.

    Returns:
        `cause`: provenance says why; `follows`: an input differs and nothing else; `bytes`: the
        provenance is the same; `unexplained`: the file tells nothing, and no input of it differs.
    """
    before, after = ({entry.name: entry for entry in side} for side in (old, new))
    names = sorted(before.keys() | after.keys())
    pairs = [(before.get(name), after.get(name)) for name in names]
    differing = [(a, b) for a, b in pairs if not (a and b and a.sha256 == b.sha256 != "")]
    touched = [entry for a, b in differing if (entry := b or a)]
    return [_explained(a, b, touched) for a, b in differing]


def _explained(old: Entry | None, new: Entry | None, touched: Sequence[Entry]) -> Difference:
    if old is None or new is None:
        entry = new or old
        assert entry is not None
        kind: Kind = "missing" if new is None else "extra"
        return Difference(entry.name, entry.step, _of(entry), kind, (f"{kind} file",))
    feeding = _feeding(new, touched)
    kind, why = _reason(old, new, feeding)
    return Difference(new.name, new.step, _of(new), kind, why)


def _reason(old: Entry, new: Entry, feeding: Sequence[str]) -> tuple[Kind, tuple[str, ...]]:
    unread = [side for side, entry in (("the old", old), ("this", new)) if not entry.sha256]
    if unread:
        return "damaged", (f"{' and '.join(unread)} file cannot be read",)
    follows = (f"follows from {', '.join(feeding)}",)
    if old.made is not None and new.made is None:
        return "unexplained", ()  # it had a provenance once
    if old.made is None or new.made is None:
        return ("follows", follows) if feeding else ("unexplained", ())
    causes = tuple(_causes(new.step, old.made, new.made, feeding))
    if causes:
        return "cause", (*causes, *(follows if feeding else ()))
    if feeding:
        return "follows", follows
    stale = tuple(_stale(new.step, old.made, new.made))
    if not stale and old.made.fingerprint != new.made.fingerprint:
        stale = ("other settings, labels or version of the step: its fingerprint differs",)
    return ("cause", stale) if stale else ("bytes", ())


def _causes(step: str, old: Made, new: Made, feeding: Sequence[str]) -> Iterator[str]:
    """What differs in how two files were made, inputs from other steps aside."""
    if old.step_version != new.step_version:
        yield f"another version of the step: {old.step_version} -> {new.step_version}"
    resolved = old.software.keys() | new.software.keys()  # named below, once
    settings = (
        {k: v for k, v in _flat(made.settings).items() if k not in resolved} for made in (old, new)
    )
    yield from _changed("setting ", *settings)
    for key in sorted(old.inputs.keys() | new.inputs.keys()):
        before, after = old.inputs.get(key, "nothing"), new.inputs.get(key, "nothing")
        if before != after and not _from_step(step, key, feeding):
            yield _input_named(step, key, before, after)
    yield from _changed("", old.software, new.software)
    if old.version != new.version:
        yield f"hipt: {old.version} -> {new.version}"


def _from_step(step: str, key: str, feeding: Sequence[str]) -> bool:
    """Whether an input is what another step made, or weights that were trained here."""
    if key == "weights":
        return MODEL.get(step) in feeding
    of_fits = step in ("attend", "evaluate") and key != "weights" and "fit" in feeding
    return (step, key) in INPUT or of_fits


def _stale(step: str, old: Made, new: Made) -> Iterator[str]:
    """Inputs that were others, though what is there of their steps is equal on both sides."""
    for key, maker in ((key, maker) for (of, key), maker in INPUT.items() if of == step):
        if old.inputs.get(key) != new.inputs.get(key):
            yield f"made from another output of {maker} than the one that is there"


def _input_named(step: str, key: str, old: str, new: str) -> str:
    """An input's change in words."""
    if key == "weights":
        return f"other weights: {_short(old)} -> {_short(new)}"
    if key == "mpp":
        return f"another resolution of the slide: {old} -> {new} um/px"
    if step in ("attend", "evaluate") and key not in INPUT_NAMES:
        return f"other fits of {key}"
    return INPUT_NAMES.get(key, f"another input '{key}'")


def _changed(what: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """A text per key that differs."""
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            values = (f"{side[key]}" if key in side else "nothing" for side in (old, new))
            yield f"{what}{key}: {' -> '.join(values)}"


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by their dotted names."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        inner = isinstance(value, Mapping) and value
        flat |= _flat(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}": value}
    return flat


def _feeding(entry: Entry, touched: Sequence[Entry]) -> list[str]:
    """Steps that differ and that a file is made from, directly; each once, in order."""
    own_shards = (entry.step,) if entry.kind == "batch" else ()
    steps = own_shards or (STEPS[entry.step].reads if entry.step in STEPS else ())
    return [
        step
        for step in steps
        if any(other.step == step and _related(entry, other) for other in touched)
    ]


def _related(entry: Entry, other: Entry) -> bool:
    """Whether a file can come from another: of the same slide or task, where both are of one."""
    if entry.name == other.name or entry.kind != other.kind:
        return entry.name != other.name and other.kind != "batch"
    if entry.kind == "task":
        return entry.of.split("/")[0] == other.of.split("/")[0]
    return entry.of == other.of


def _of(entry: Entry) -> str:
    """What a file is of, in words."""
    return f"{entry.kind} {entry.of}".strip()


def _short(digest: str) -> str:
    """The head of a long digest."""
    return digest if len(digest) < 20 else digest[:12]
