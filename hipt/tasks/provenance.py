"""What the files of tasks carry about their making: settings without paths, digests of inputs.

Nothing in it varies between equal runs, nor with what a file does not depend on: the folds of a
task are compared byte by byte to decide whether its models are fitted again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from hipt.config.section import Section
from hipt.errors import HiptError
from hipt.store.provenance import Provenance, fingerprint
from hipt.store.shard import read_provenance
from hipt.tasks.units import UNUSED, Units

PLACES = frozenset({"name", "sheet", "root", "weights", "labels", "features", "split_files"})
"""Settings that say where something lies; a digest among the inputs says what it is."""


def settings_of(cfg: Section, left_out: Collection[str] = ()) -> dict[str, Any]:
    """Settings as JSON values, without places.

    Args:
        cfg: a step's settings.
        left_out: names of settings, on every level, that the file does not depend on.
    """
    return _without(cfg.model_dump(mode="json"), PLACES | set(left_out))


def _without(values: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """A table of settings without some, on every level."""
    return {
        key: _without(value, names) if isinstance(value, dict) else value
        for key, value in values.items()
        if key not in names
    }


def made_by(
    step: tuple[str, int],
    settings: Mapping[str, Any],
    inputs: Mapping[str, str],
    software: Mapping[str, str] | None = None,
) -> Provenance:
    """The provenance of a file that settings and inputs decide.

    Args:
        step: its name and version.
        settings: see `settings_of`.
        inputs: digests.
        software: what shows in the numbers; by default that of NumPy on the CPU.
    """
    name, number = step
    mark = fingerprint(step=name, version=number, settings=settings, inputs=dict(inputs))
    used = array_software() if software is None else software
    return Provenance(name, number, mark, settings, inputs, {}, used)


def array_software() -> dict[str, str]:
    """What shows in numbers that NumPy and SciPy compute."""
    versions = {"numpy": np.__version__, "scipy": version("scipy")}
    return versions | {"device": "cpu", "precision": "fp64"}


def merged_software(parts: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Software of several files as one; what differs is listed: `cpu, cuda`."""
    values: dict[str, set[str]] = {}
    for part in parts:
        for name, value in part.items():
            values.setdefault(name, set()).add(value)
    return {name: ", ".join(sorted(of_it)) for name, of_it in sorted(values.items())}


def unit_inputs(units: Units, imported: bool, fold: int | None = None) -> dict[str, str]:
    """Digests of a task's folds and labels, and of its vectors.

    Args:
        units: of the task.
        imported: its vectors are those of a file of features.
        fold: the units that this fold uses, in their parts; None: all, in all folds.
    """
    parts = units.parts if fold is None else units.parts[:, [fold]]
    used = np.flatnonzero((parts != UNUSED).any(1))
    columns = (parts, units.y, units.time, units.event)
    rows = [
        [units.names[i], units.cases[i], *(column[i].tolist() for column in columns)] for i in used
    ]
    vectors = [[units.slides[i], units.sources[i]] for i in used]
    return {"folds": fingerprint(rows=rows), _vectors(imported): fingerprint(vectors=vectors)}


def slide_inputs(
    rows: Iterable[tuple[Any, ...]], sources: Mapping[str, str], imported: bool
) -> dict[str, str]:
    """Digests of the labels of slides, and of their vectors.

    Args:
        rows: of each slide whatever its labels say.
        sources: what names the content of each slide's vectors.
        imported: they are those of a file of features.
    """
    vectors = sorted(sources.items())
    return {"labels": fingerprint(rows=list(rows)), _vectors(imported): fingerprint(of=vectors)}


def _vectors(imported: bool) -> str:
    """The name of vectors among the inputs."""
    return "features" if imported else "embeddings"


def files_mark(paths: Iterable[Path]) -> str:
    """A digest of several files by name and content.

    Raises:
        HiptError: if one cannot be read.
    """
    return fingerprint(files=[[path.name, file_mark(path)] for path in sorted(paths)])


def file_mark(path: Path) -> str:
    """The fingerprint that a file carries; of one that carries none the sha256's head.

    Raises:
        HiptError: if it cannot be read.
    """
    try:
        return read_provenance(path).fingerprint
    except HiptError:
        pass
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except OSError as error:
        raise HiptError(f"{path}: cannot be read ({error.strerror})") from None
