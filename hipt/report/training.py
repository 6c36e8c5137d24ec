"""What the page says of models that the workflow trained: corpus, curves, and other settings."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from hipt.config.config import Config
from hipt.config.pretraining import recipe
from hipt.config.trained import NAMES, Stage
from hipt.errors import HiptError
from hipt.layout import Results
from hipt.pretraining.corpus_list import read_corpus_list
from hipt.pretraining.lineage import CORPUS
from hipt.report.curves import curves
from hipt.store.provenance import KEY
from hipt.store.schemas import METRICS
from hipt.store.tables import read_table

log = logging.getLogger(__name__)

NOT_THERE = "nothing"
"""Stands where one of two recipes lacks a key."""


def trainings(config: Config, results: Results) -> Iterator[dict[str, Any]]:
    """The models in the results folder that the config uses; one that is damaged is logged.

    Their `figure` is drawn and not written yet.
    """
    for stage, name in NAMES.items():
        path, file = results.model(name), getattr(config.embed, stage).weights
        if file is None or not path.is_file() or Path(file).resolve() != path.resolve():
            continue
        try:
            yield {"name": name, **_training(stage, path, config)}
        except HiptError as error:
            log.warning("%s: left out of the page", error)


def _training(stage: Stage, path: Path, config: Config) -> dict[str, Any]:
    """One model; its figure is None without steps."""
    facts, members = _facts(path), read_corpus_list(path.with_suffix(CORPUS))
    metrics = read_table(path.with_suffix(".metrics.parquet"), METRICS)
    trained = facts["recipe"]
    drawn = sum(m.patches if stage == "patches" else m.regions for m in members)
    return {
        "stage": stage,
        "steps": facts["iterations"],
        "slides": len(members),
        "drawn": drawn,
        "digest": facts["corpus"],
        "figure": curves(path.stem, metrics, facts["classes"]) if len(metrics) else None,
        "differences": list(_differences(stage, trained, _configured(stage, config))),
    }


def _facts(path: Path) -> dict[str, Any]:
    """What a model says about its training; its tensors stay on disk."""
    try:
        with safe_open(path, framework="np") as file:
            facts = json.loads((file.metadata() or {}).get(KEY, "{}"))
    except (SafetensorError, OSError, RecursionError, ValueError) as error:
        raise HiptError(f"{path}: is damaged or no weights file ({error})") from None
    try:
        trained = json.loads(facts["recipe"])
        classes = int(trained["dino"]["out_dim"])
        recorded = {"recipe": trained, "classes": classes, "corpus": str(facts["corpus"])}
        recorded["iterations"] = int(facts["iterations"])
        if classes < 2:
            raise ValueError(classes)
    except (LookupError, OverflowError, RecursionError, TypeError, ValueError):
        raise HiptError(f"{path}: does not say how it was trained") from None
    return recorded


def _configured(stage: Stage, config: Config) -> dict[str, Any]:
    """The recipe that the config asks for now."""
    cfg, shape = getattr(config.pretrain, stage), getattr(config.embed, stage).vit_shape
    plain: dict[str, Any] = json.loads(json.dumps(recipe(f"pretrain.{stage}", cfg, shape)))
    return plain


def _differences(
    stage: Stage, trained: Mapping[str, Any], configured: Mapping[str, Any]
) -> Iterator[dict[str, str]]:
    """The keys of the config whose values a model was not trained with."""
    old, new = dict(_leaves(trained)), dict(_leaves(configured))
    for key in dict.fromkeys([*new, *old]):
        if old.get(key, NOT_THERE) != new.get(key, NOT_THERE):
            place = "embed" if key.startswith("shape.") else "pretrain"
            yield {
                "key": f"{place}.{stage}.{key}",
                "trained": json.dumps(old[key]) if key in old else NOT_THERE,
                "config": json.dumps(new[key]) if key in new else NOT_THERE,
            }


def _leaves(values: Mapping[str, Any], head: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with its dotted key."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{head}{key}.")
        else:
            yield head + key, value
