"""What the results were made with: weights, devices, software."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import polars as pl

from hipt import __version__
from hipt.config.config import Config
from hipt.embedding.engines.record import read_records
from hipt.embedding.packaged import weights_file
from hipt.embedding.recorded_input import recorded_text
from hipt.embedding.region_means import IDENTITY as MEAN
from hipt.errors import HiptError
from hipt.layout import Results
from hipt.store.shard import read_provenance

SOFTWARE = (
    *("torch", "timm", "openslide-python", "openslide-bin", "snakemake", "numpy", "scikit-image"),
    *("opencv-python-headless", "matplotlib", "pyarrow", "polars", "pandas"),
)
"""Packages whose versions the page names."""


def encoders(table: pl.DataFrame, results: Results, config: Config) -> Iterator[dict[str, Any]]:
    """Which weights ran on what, per stage, as one slide's file of every batch records it."""
    files = {
        "embed_patches": weights_file(config.embed.patches),
        "embed_regions": config.embed.regions.weights,
    }
    samples = table.filter(status="ok").unique("batch", keep="first", maintain_order=True)
    for step, file in files.items():
        paths = (results.shard(step, slide_id) for slide_id in samples["slide_id"])
        made = Counter(entry for path in paths if (entry := _made_with(path)))
        for (weights, software), batches in made.most_common():
            kind, _, which = weights.rpartition(":")
            named = {
                "random": f"random, seed {which}",
                "imported": f"imported: {which}",
                "code": f"of own code: {which}",
            }
            if weights == MEAN:
                named, kind = {MEAN: "none: the mean of a region's patch vectors"}, MEAN
            yield {
                "step": step,
                "name": named.get(kind, Path(file or "").name),
                "random": kind == "random",
                "sha256": "" if kind else weights,
                "software": software,
                "batches": batches,
            }


def _made_with(shard: Path) -> tuple[str, str] | None:
    """A shard's weights, what they ran on and took; None if it is not there or damaged."""
    try:
        made = read_provenance(shard)
    except HiptError:
        return None
    software = [f"{k} {v}" for k, v in made.software.items()]
    taken = recorded_text(made.settings, made.facts.get("contract", {}))
    return str(made.inputs.get("weights", "")), ", ".join([*software, *([taken] if taken else [])])


def engines(results: Results) -> Iterator[dict[str, Any]]:
    """What every engine came to that was tried on this cohort: rates, and how far from torch's."""
    for record in read_records(results.engines):
        made = ", ".join(filter(None, record.made_with.values()))
        for trial in record.trials:
            agreement = asdict(trial.agreement) if trial.agreement else {}
            row = {"step": record.step, "inputs": record.inputs, "made": made}
            row |= {"engine": trial.engine, "precision": trial.precision, "rate": trial.rate}
            yield row | agreement | {"verdict": trial.reason or record.verdict(trial)}


def software() -> dict[str, str]:
    """Versions of what the page was made with."""
    versions = {"hipt": __version__, "Python": platform.python_version()}
    for name in SOFTWARE:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # conda names some packages otherwise
    return versions
