"""What a file was made by and from; it carries this as its provenance.

A shard's metadata holds one JSON text under the key `hipt`: its provenance. The fingerprint in it
is a digest of everything that decides the shard's content, so that a job which finds a shard with
the right fingerprint keeps it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version as package_version
from typing import Any

from hipt import __version__

KEY = "hipt"
"""The metadata key under which a file carries its provenance."""


def fingerprint(**facts: object) -> str:
    """32 hex digits over everything that decides a shard's content.

    Args:
        facts: JSON-like values; the order of keys does not matter.
    """
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Provenance:
    """What a file was made by and from. No dates and no paths: equal runs give equal bytes."""

    step: str
    step_version: int
    fingerprint: str
    settings: Mapping[str, Any]
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Fingerprints, digests of what it was made from."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """The slide's row of the batch's index, so that a kept shard can give it again."""
    software: Mapping[str, str] = field(default_factory=dict)
    """Versions, device and precision, where they may show in the numbers."""
    version: str = __version__

    def to_json(self) -> str:
        """The text that files carry."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> Provenance:
        """The provenance that a file carries.

        Raises:
            ValueError: if the text is not one.
        """
        try:
            made = cls(**json.loads(text))
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"not a provenance: {error}") from None
        tables = (made.settings, made.inputs, made.facts, made.software)
        if not all(isinstance(table, dict) for table in tables):
            raise ValueError("not a provenance: settings or facts are no tables")
        return made


def made_by(
    step: tuple[str, int],
    settings: Mapping[str, Any],
    inputs: Mapping[str, str],
    software: Mapping[str, str] | None = None,
) -> Provenance:
    """The provenance of a file that settings and inputs decide.

    Args:
        step: its name and version.
        settings: see `config.recorded.settings_of`.
        inputs: digests.
        software: what shows in the numbers; by default that of NumPy on the CPU.
    """
    name, number = step
    mark = fingerprint(step=name, version=number, settings=settings, inputs=dict(inputs))
    used = array_software() if software is None else software
    return Provenance(name, number, mark, settings, inputs, {}, used)


def array_software() -> dict[str, str]:
    """What shows in numbers that NumPy and SciPy compute."""
    versions = {name: package_version(name) for name in ("numpy", "scipy")}
    return versions | {"device": "cpu", "precision": "fp64"}


def merged_software(parts: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Software of several files as one; what differs is listed: `cpu, cuda`."""
    values: dict[str, set[str]] = {}
    for part in parts:
        for name, value in part.items():
            values.setdefault(name, set()).add(value)
    return {name: ", ".join(sorted(of_it)) for name, of_it in sorted(values.items())}
