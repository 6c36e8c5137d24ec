"""The JSON that each step is given: these settings in this order, byte for byte.

Snakemake keeps the text beside every result and makes results anew whose text is another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic_core import to_json

from hipt.config.command_line import read_config
from hipt.config.config import Config
from hipt.config.section import parse
from hipt.config.step_settings import MOST_NAMED, settings, shortened, task_settings
from hipt.config.trained import resolved
from hipt.registry import COMMANDS
from tests.workflow.project import EMBED, PRETRAIN, TINY

ROOT = Path(__file__).parents[2]

SHEET = "slides.sheet slides.root slides.missing"
STAGES = "embed.patches embed.regions"
OF_RUN = {
    "segment": f"{SHEET} slides.default_mpp slides.mask_origin slides.pictures_show "
    "slides.on_slide_error segment embed.patches.features",
    "tile": "slides.on_slide_error mpp slides.mpp_tolerance tile embed.patches.features",
    "embed_patches": f"{SHEET} slides.on_slide_error tile embed.precision embed.patches",
    "embed_regions": "slides.on_slide_error tile embed.precision embed.regions",
    "pretrain": f"{SHEET} slides.case_from tile {STAGES} pretrain",
    "slides": f"{SHEET} slides.case_from embed.mixed_precision",
    "probe": f"{SHEET} slides.case_from tile {STAGES} slides.pictures_show probe",
    "attend": f"{SHEET} slides.on_slide_error tile {STAGES} attend.shifts attend.cells viewed",
    "agreement": "slides.sheet slides.root slides.pictures_show slides.missing attend.labels "
    "attend.target",
    "export": f"{SHEET} slides.case_from slides.on_slide_error mpp tile embed.patches "
    "export.min_patch_tissue",
    "report": "config",
}
OF_TASK = {
    "split": f"name {SHEET} slides.case_from weights task",
    "fit": "name its.kind its.features its.split its.seed tile embed.regions its.fit its.fit_of",
    "evaluate": "name its.kind its.classes its.seed its.resamples its.published",
    "knn": "name its.kind its.features its.seed its.resamples its.published knn.k knn.distances "
    "knn.levels",
    "examples": "name tile attend.examples viewed",
}
"""The settings by their place in the config, in order; `its` is the task's section."""

EVERY: dict[str, Any] = yaml.safe_load("""
slides: {sheet: s.csv, root: /r, batch_size: 3, case_from: tcga, missing: [NA, x], default_mpp: 0.3,
  mpp_tolerance: 0.2, reader: direct, mask_origin: openslide, pictures_show: scan,
  on_slide_error: stop}
results: out
mpp: 0.25
device: cpu
segment: {mask_mpp: 4}
tile: {region_px: 2048, patch_px: 128, min_tissue: 0.2, anchor: slide}
embed:
  precision: bf16
  mixed_precision: refuse
  patches: {weights: p.pth, which: teacher, max_unreadable: 0.00001}
  regions: {random: 3, shape: paper}
pretrain: {processes: 2, patches: {corpus: grade=x}}
probe: {labels: maps, column: grade, k: 7, seed: 2, most_patches: 50}
tasks:
  a: {kind: classification, label: grade, classes: [é, y], models: [linear, hipt_n],
    train_fractions: [0.5, 1.0], published: {knn: {0.5: [0.8, 0.1]}}}
  s: {kind: survival, time: t, event: e, unit: slide, fit: {loss: cox, batch: 3}, seed: 4,
    resamples: 500}
  f: {kind: classification, label: grade, features: x.parquet, labels: l.csv, split: files,
    split_files: sp}
knn: {k: 3, distances: [cosine], tasks: [a], levels: [region, patch]}
attend: {slides: [q, w], shifts: 4, cells: 2, examples: 3, labels: lm, target: [1, 2]}
export: {formats: [clam], min_patch_tissue: 0.3}
report: {title: T, overviews: 3}
""")
GIVEN = {"every": EVERY, "tiny": TINY, "training": TINY | {"embed": EMBED, "pretrain": PRETRAIN}}
FILES = [*sorted((ROOT / "config").rglob("*.yaml")), ROOT / "tests" / "workflow" / "lint.yaml"]
CONFIGS = {name: parse(Config, values, name) for name, values in GIVEN.items()}
CONFIGS |= {str(path.relative_to(ROOT)): resolved(read_config(path)) for path in FILES}


def viewed(config: Config, name: str) -> dict[str, Any]:
    task = config.tasks[name]
    what = {"name": name, "kind": task.kind, "loss": task.fit.loss, "models": task.models}
    return what | {"fraction": max(task.train_fractions)}


def text(places: Mapping[str, object], paths: str) -> str:
    """The settings at some places as JSON, each under the last word of its path."""
    words = [path.split(".") for path in paths.split()]
    values = {path[-1]: reduce(getattr, path[1:], places[path[0]]) for path in words}
    return to_json(values).decode()


def test_every_step_has_settings():
    made = {name: step for name, step in COMMANDS.items() if step.version}
    assert OF_TASK.keys() == {name for name, step in made.items() if step.per == "task"}
    assert OF_RUN.keys() == made.keys() - OF_TASK.keys()


def test_every_section_is_changed():
    assert EVERY.keys() == Config.model_fields.keys()
    assert all(value != getattr(Config(), name) for name, value in CONFIGS["every"])


@pytest.mark.parametrize("step", OF_RUN)
@pytest.mark.parametrize("name", CONFIGS)
def test_a_step_is_given_these_settings(name: str, step: str):
    config = CONFIGS[name]
    mapped = [viewed(config, task) for task, its in config.tasks.items() if its.features is None]
    places = dict(config) | {"config": config, "viewed": mapped}
    assert settings(step, config).model_dump_json() == text(places, OF_RUN[step])


@pytest.mark.parametrize("step", OF_TASK)
@pytest.mark.parametrize("name", CONFIGS)
def test_a_step_of_a_task_is_given_these_settings(name: str, step: str):
    config = CONFIGS[name]
    stages = (config.embed.patches, config.embed.regions)
    weights = [stage.weights for stage in stages if stage.weights is not None]
    for task, its in config.tasks.items():
        places = dict(config) | {"its": its, "weights": weights, "viewed": viewed(config, task)}
        places |= {"name": task, "task": its.model_copy(update={"published": {}})}
        found = task_settings(step, config, task).model_dump_json()
        assert found == text(places, OF_TASK[step])


def test_the_report_names_the_first_of_many_slides_with_heatmaps():
    config = parse(Config, {"attend": {"slides": [f"s{i}" for i in range(MOST_NAMED + 2)]}}, "x")
    assert settings("report", config).config == shortened(config)
    assert shortened(config).attend.slides[-2:] == (f"s{MOST_NAMED - 1}", "... and 2 more")
