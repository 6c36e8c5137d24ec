"""The config: its sentences, and which step is told what."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from functools import reduce
from operator import getitem
from typing import Any, get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hipt.config.config import Config, ViTShape
from hipt.config.section import Section, parse
from hipt.config.step_settings import settings
from hipt.errors import HiptError
from hipt.registry import COMMANDS

Key = tuple[str, ...]


def leaves(section: Section, path: Key = ()) -> Iterator[tuple[Key, Any, Any]]:
    """Every key that is no section: its path, its default and its type."""
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from leaves(value, (*path, name))
        else:
            yield (*path, name), value, field.annotation


LEAVES = list(leaves(Config()))
NAMES = [".".join(key) for key, _, _ in LEAVES]


def nested(key: Key, value: object) -> dict[str, Any]:
    for name in reversed(key):
        value = {name: value}
    return value


def sentence(values: object) -> str:
    with pytest.raises(HiptError) as error:
        parse(Config, values, "config.yaml")
    message = str(error.value)
    assert message.startswith("config.yaml: ")
    assert "\n" not in message
    assert len(message) < 400
    return message.removeprefix("config.yaml: ")


def test_nothing_given_is_the_defaults():
    assert parse(Config, None, "x") == parse(Config, {}, "x") == Config()


SECTIONS = (
    "attend, device, embed, export, knn, mpp, pretrain, probe, report, results, segment, slides, "
    "tasks, tile"
)
SENTENCES = {
    "tile: {min_tisue: 0.1}": "unknown key 'tile.min_tisue'; did you mean 'min_tissue'?",
    "tiles: {}": "unknown key 'tiles'; did you mean 'tile'?",
    "embed: {patches: {engine: torch}}": "unknown key 'embed.patches.engine'; it belongs to embed",
    "embed: {background: sample}": ("unknown key 'embed.background'; it belongs to embed.patches"),
    "embed: {engine: openvin}": (
        "embed.engine: must be 'auto', 'torch' or 'openvino', got 'openvin'; "
        "did you mean 'openvino'?"
    ),
    "tile: {size: 3}": (
        "unknown key 'tile.size'; known here: anchor, min_tissue, patch_px, region_px"
    ),
    '"a\\nb": 1': rf"unknown key 'a\nb'; known here: {SECTIONS}",
    "1: 2": f"unknown key '1'; known here: {SECTIONS}",
    "tile: {min_tissue: 1.5}": "tile.min_tissue: must be less than or equal to 1, got 1.5",
    "tile: {region_px: 8}": "tile.region_px: must be greater than or equal to 32, got 8",
    "slides: {default_mpp: 0}": "slides.default_mpp: must be greater than 0, got 0",
    "mpp: .nan": "mpp: must be a finite number, got nan",
    "mpp: .inf": "mpp: must be a finite number, got inf",
    "mpp: 0,5": "mpp: must be a number, got '0,5'",
    "slides: {batch_size: 2.5}": "slides.batch_size: must be a whole number, got 2.5",
    "slides: {batch_size: many}": "slides.batch_size: must be a whole number, got 'many'",
    "slides: {batch_size: [1]}": "slides.batch_size: must be a whole number, got [1]",
    "slides: {batch_size: yes}": (
        "slides.batch_size: must not be true (or yes, no, on, off in YAML)"
    ),
    "embed: {patches: {random: on}}": (
        "embed.patches.random: must not be true (or yes, no, on, off in YAML)"
    ),
    "report: {title: No}": "report.title: must not be false (or yes, no, on, off in YAML)",
    "report: {title: 2026}": "report.title: must be text (in quotes), got 2026",
    "slides: {sheet: null}": "slides.sheet: must be text (in quotes), got None",
    "slides: {case_from: TCGA}": "slides.case_from: must be 'column' or 'tcga', got 'TCGA'",
    "slides: sheet.csv": "slides: must be a mapping of keys to values, got 'sheet.csv'",
    "tile:": "tile: must be a mapping of keys to values, got None",
    "[tile, embed]": "must be a mapping of keys to values, got ['tile', 'embed']",
    "just words": "must be a mapping of keys to values, got 'just words'",
    "tile: {region_px: 1000}": (
        "tile: region_px (1000) must be a whole number of patches; "
        "take a multiple of patch_px (256)"
    ),
    "embed: {patches: {shape: papper}}": (
        "embed.patches.shape: must be 'paper' or a mapping of keys to values, got 'papper'; "
        "did you mean 'paper'?"
    ),
    "embed: {regions: {shape: 7}}": (
        "embed.regions.shape: must be 'released' or 'paper' or a mapping of keys to values, got 7"
    ),
    "embed: {patches: {shape: {depth: 2, dim: 8}}}": (
        "embed.patches.shape.heads: is missing; set it"
    ),
    "embed: {patches: {shape: {depht: 2}}}": (
        "unknown key 'embed.patches.shape.depht'; did you mean 'depth'?"
    ),
    "embed: {patches: {shape: {depth: 0, dim: 8, heads: 2}}}": (
        "embed.patches.shape.depth: must be greater than or equal to 1, got 0"
    ),
    "embed: {patches: {shape: {depth: 1, dim: 10, heads: 3}}}": (
        "embed.patches.shape: dim (10) must be a multiple of heads (3)"
    ),
    "embed: {patches: {encoder_args: {init_values: {a: 1}}}}": (
        "embed.patches.encoder_args.init_values: must be true or false or a whole number or "
        "a number or text (in quotes) or a list, got {'a': 1}"
    ),
    "embed: {patches: {encoder_args: {1: 2}}}": (
        "embed.patches.encoder_args.1: must be text (in quotes), got 1"
    ),
}


@pytest.mark.parametrize("text", SENTENCES)
def test_sentence(text: str):
    assert sentence(yaml.safe_load(text)) == SENTENCES[text]


def test_a_long_value_is_cut():
    for value in ("x" * 10_000, [["x" * 10_000] * 50] * 50, datetime.date(2022, 6, 1)):
        message = sentence({"mpp": value})
        assert message.startswith("mpp: must be a number, got ")
        assert len(message) < 130


@pytest.mark.parametrize("text", ["16", "16.0", "'16'"])
def test_whole_numbers_as_people_write_them(text: str):
    assert parse(Config, yaml.safe_load(f"slides: {{batch_size: {text}}}"), "x") == Config()


def test_numbers_that_yaml_takes_for_text():
    """PyYAML reads 5e-1 as text, since YAML 1.1 wants a point in it."""
    assert yaml.safe_load("5e-1") == "5e-1"
    assert parse(Config, {"mpp": "5e-1"}, "x").mpp == 0.5


def test_a_config_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        Config().tile.region_px = 512


def test_shapes():
    """Sizes of the released checkpoints, and of ViT4096-256 as the paper has it."""
    patches, regions = Config().embed.patches, Config().embed.regions
    assert patches.vit_shape == ViTShape(depth=12, dim=384, heads=6)
    assert regions.vit_shape == ViTShape(depth=6, dim=192, heads=6)
    paper = parse(Config, {"embed": {"regions": {"shape": "paper"}}}, "x").embed.regions
    assert paper.vit_shape == ViTShape(depth=4, dim=192, heads=3)
    own = {"depth": 1, "dim": 8, "heads": 2}
    small = parse(Config, {"embed": {"patches": {"shape": own}}}, "x").embed.patches
    assert small.vit_shape == ViTShape(**own)
    assert Config().tile.grid == 16


TOGETHER: dict[str, dict[str, Any]] = {
    "mean": {"std": [0.1, 0.1, 0.1]},
    "std": {"mean": [0.1, 0.1, 0.1]},
    "which": {"weights": "w.pth"},
    "encoder_args": {"encoder": "test_vit"},
    "resize_px": {"encoder": "test_vit"},
    "pooling": {"encoder": "test_vit"},
    "standardise": {"teacher_temp": 0.5},
}
"""Keys that are refused alone, with those of their section that they need."""


def with_another_value(key: Key, value: Any, kind: Any) -> Config:
    """The default config with one key changed."""
    words = [word for option in (kind, *get_args(kind)) for word in get_args(option)]
    numbers = [value + 1, value * 1.01, value / 2] if isinstance(value, int | float) else []
    if isinstance(value, bool):
        numbers = [not value]
    if isinstance(value, tuple):
        halved = [number / 2 for number in value if not isinstance(number, str)]
        numbers = [halved or value[:1], [1]]
        words = [[word] for word in words]
    shape = {"depth": 1, "dim": 8, "heads": 2}
    task = {"t": {"kind": "classification", "label": "x"}}
    beside = TOGETHER.get(key[-1], {})
    for other in [*numbers, *words, shape, task, 0.5, 1.5, 7, 64, "another", [0.4] * 3, []]:
        try:
            given = nested(key, other)
            reduce(getitem, key[:-1], given).update(beside)
            changed = parse(Config, given, "x")
        except HiptError:
            continue
        if changed != Config():
            return changed
    raise AssertionError(f"no other value is known for {key}")


OF_TASK = [name for name, step in COMMANDS.items() if step.per == "task"]
STEPS = [name for name, step in COMMANDS.items() if step.version and name not in OF_TASK]
MAPS = {"attend", "agreement"}
READ = {
    "slides.sheet": {"segment", "embed_patches", "pretrain", "slides", "probe", "export"} | MAPS,
    "slides.root": {"segment", "embed_patches", "pretrain", "slides", "probe", "export"} | MAPS,
    "slides.missing": {"segment", "embed_patches", "pretrain", "slides", "probe", "export"} | MAPS,
    "slides.batch_size": set(),
    "slides.case_from": {"pretrain", "slides", "probe", "export"},
    "slides.default_mpp": {"segment"},
    "slides.mpp_tolerance": {"tile"},
    "slides.mask_origin": {"segment"},
    "slides.pictures_show": {"segment", "probe", "agreement"},
    "slides.reader": set(),  # pixels are the same: jobs hear of it outside their settings
    "slides.on_slide_error": {"segment", "tile", "embed_patches", "embed_regions", "attend"}
    | {"export"},
    "results": set(),
    "mpp": {"tile", "export"},
    "segment": {"segment"},
    "tile": {"tile", "embed_patches", "embed_regions", "pretrain", "probe", "attend", "export"},
    "device": set(),
    "embed.mixed_precision": {"slides"},
    "embed.engine": set(),  # vectors of one precision are the same, as above
    "embed.precision": {"embed_patches", "embed_regions"},
    "embed.patches": {"embed_patches", "pretrain", "probe", "attend", "export"},
    "embed.patches.features": {
        *("segment", "tile", "embed_patches", "pretrain", "probe", "attend", "export"),
    },
    "embed.regions": {"embed_regions", "pretrain", "probe", "attend"},
    "pretrain": {"pretrain"},
    "probe": {"probe"},
    "tasks": {"attend"},
    "knn": set(),
    "attend.slides": set(),
    "attend.shifts": {"attend"},
    "attend.cells": {"attend"},
    "attend.examples": set(),
    "attend.labels": {"agreement"},
    "attend.target": {"agreement"},
    "export": {"export"},
    "export.formats": set(),
    "report": set(),
}
"""Which steps hear of a change of a key, or of any key of a section; the report always does."""


@pytest.mark.parametrize(("key", "value", "kind"), LEAVES, ids=NAMES)
def test_a_changed_key_reaches_the_steps_that_use_it(key: Key, value: Any, kind: Any):
    changed = with_another_value(key, value, kind)
    changed_steps = {s for s in STEPS if settings(s, changed) != settings(s, Config())}
    longest = max((n for n in READ if f"{'.'.join(key)}.".startswith(f"{n}.")), key=len)
    assert changed_steps == READ[longest] | {"report"}


@pytest.mark.parametrize("step", STEPS)
def test_the_settings_of_a_step_survive_its_command_line(step: str):
    own = settings(step, Config())
    assert parse(type(own), json.loads(own.model_dump_json()), "x") == own


@pytest.mark.parametrize("made", [{"encoder": "resnet18"}, {"features": "f"}])
def test_cells_are_those_of_vit256_alone(made: dict[str, str]):
    with pytest.raises(HiptError, match=r"attend\.cells: only encoder: hipt shows its cells"):
        parse(Config, {"embed": {"patches": made}, "attend": {"cells": 1}}, "x")


def test_no_such_step():
    with pytest.raises(KeyError):
        settings("paint", Config())


KNOWN = sorted({name for key, _, _ in LEAVES for name in key} | set(ViTShape.model_fields))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["paper", "released", "hipt", "auto", "tcga", 10**400, "9" * 5000])
    | st.dates()
    | st.binary(max_size=4)
)
KEYS = st.sampled_from(KNOWN) | st.text(max_size=4) | st.integers() | st.none() | st.booleans()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
MEANT = st.lists(st.tuples(st.sampled_from([key for key, _, _ in LEAVES]), VALUES), max_size=3)


def merged(changes: list[tuple[Key, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in changes:
        here = values
        for name in key[:-1]:
            here = here.setdefault(name, {})
        here[key[-1]] = value
    return values


@hypothesis_settings(max_examples=400)
@given(VALUES | MEANT.map(merged))
def test_any_values_are_a_config_or_a_sentence(values: Any):
    try:
        config = parse(Config, values, "config.yaml")
    except HiptError:
        sentence(values)
    else:
        assert parse(Config, json.loads(config.model_dump_json()), "x") == config


def test_values_that_contain_themselves():
    loop: list[Any] = []
    loop.append(loop)
    assert sentence({"mpp": loop}) == "mpp: must be a number, got [[[[[[[...]]]]]]]"


def test_shares_of_the_probe_are_each_named_once():
    with pytest.raises(ValueError, match="train_fractions must name each share once"):
        Config.model_validate({"probe": {"train_fractions": [0.1, 0.1]}})
    assert Config.model_validate({"probe": {"train_fractions": []}}).probe.train_fractions == ()
