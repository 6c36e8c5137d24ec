"""Result files with their sha256 and what decided their content; written down as a table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa

from hipt.audit.differences import Entry, Made
from hipt.audit.files import compared_files, place_of, shard_of
from hipt.embedding.weights_metadata import read_metadata
from hipt.errors import HiptError
from hipt.progress import Progress
from hipt.store.csv_rows import read_written, write_csv
from hipt.store.shard import read_provenance

HEADER = (
    *("file", "step", "kind", "of", "bytes", "sha256"),
    *("step_version", "hipt", "fingerprint", "settings", "inputs", "software"),
)

_LONGEST_CELL = 1 << 30
"""Characters: the inputs of a table of all slides are many."""


def read_entries(root: Path, threads: int) -> list[Entry]:
    """All result files of a folder, by name; those that cannot be read have no sha256.

    Raises:
        HiptError: if there is no such folder, or nothing in it.
    """
    if not root.is_dir():
        raise HiptError(f"{root}: no such folder of results")
    names = compared_files(root)
    if not names:
        raise HiptError(f"{root}: holds no results")
    progress = Progress(len(names), "files")
    made = dict[str, Made | None]()
    entries = []
    with ThreadPoolExecutor(threads) as pool:
        for name, (size, sha256) in zip(
            names, pool.map(lambda name: _hashed(root / name), names), strict=True
        ):
            source = shard_of(name) or name
            if source not in made:
                made = {source: _made(root / source)}  # a slide's files follow each other, mostly
            entries.append(Entry(name, *place_of(name), sha256, size, made[source]))
            progress.add(1, name)
    return entries


def write_manifest(path: Path, entries: Sequence[Entry]) -> None:
    """Write a manifest, whole or not at all; equal results give equal bytes."""
    write_csv(path, HEADER, map(_row, entries))


def read_manifest(path: Path) -> list[Entry]:
    """The files that a manifest lists.

    Raises:
        HiptError: if it is absent, or no manifest.
    """
    try:
        return [_entry(row) for row in read_written(path, HEADER, longest_cell=_LONGEST_CELL)]
    except FileNotFoundError:
        raise HiptError(
            f"{path}: not there; name a manifest that `hipt verify --write` made, or a folder of "
            "results"
        ) from None
    except (OSError, ValueError, TypeError):
        problem = "is no manifest of results, or a damaged one; write it again"
        raise HiptError(f"{path}: {problem}") from None


def _row(entry: Entry) -> Sequence[object]:
    head = entry.name, entry.step, entry.kind, entry.of, entry.size, entry.sha256
    if entry.made is None:
        return *head, "", "", "", "", "", ""
    made = entry.made
    version = "" if made.step_version is None else made.step_version
    texts = (_json(made.settings), _json(made.inputs), _json(made.software))
    return *head, version, made.version, made.fingerprint, *texts


def _entry(row: Sequence[str]) -> Entry:
    name, step, kind, of, size, sha256, version, hipt, fingerprint, *texts = row
    made = None
    if texts[0]:
        settings, inputs, software = map(json.loads, texts)
        number = int(version) if version else None
        made = Made(number, hipt, fingerprint, settings, inputs, software)
    return Entry(name, step, kind, of, sha256, int(size), made)


def _json(values: Mapping[str, Any]) -> str:
    """A mapping as one line, always the same."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"))


def _hashed(path: Path) -> tuple[int, str]:
    """Bytes and sha256 of a file; 0 and no sha256 where it cannot be read."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
            return file.tell(), digest.hexdigest()
    except OSError:
        return 0, ""


def _made(path: Path) -> Made | None:
    """What a file tells of its making; None where it tells nothing, or cannot be read."""
    try:
        if path.suffix == ".safetensors" and (model := _of_model(read_metadata(path))):
            return model
        if path.suffix in (".parquet", ".arrow", ".png", ".jpg", ".safetensors"):
            made = read_provenance(path)
            return Made(**{field.name: getattr(made, field.name) for field in fields(Made)})
    except (HiptError, OSError, ValueError, pa.ArrowException):
        pass
    return None


def _of_model(metadata: Mapping[str, str]) -> Made | None:
    """What a trained model tells; nothing of a fold's fit."""
    if "recipe" not in metadata:
        return None
    return Made(
        settings=json.loads(metadata["recipe"]),
        inputs={"corpus": metadata.get("corpus", "")},
        software=json.loads(metadata.get("software", "{}")),
    )
