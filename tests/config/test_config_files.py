"""config/config.yaml is complete and commented; config/README.md and config/demo.yaml are right."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from hipt.cohort.folder import SLIDE_SUFFIXES
from hipt.cohort.sheet import COLUMNS, read_sheet
from hipt.config.command_line import read_config
from hipt.config.config import Config
from hipt.config.section import parse
from hipt.config.tasks import FitConfig

ROOT = Path(__file__).parents[2]
COMPLETE = ROOT / "config" / "config.yaml"
DEMO = ROOT / "config" / "demo.yaml"
FIRST_LOOK = ROOT / "config" / "first_look.yaml"
ABOUT_SHEETS = (ROOT / "config" / "README.md").read_text()
KEY_LINE = re.compile(r"\s*\w+:")
COMMENTED = re.compile(r"\s*\w+:.* # \S")


def named(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Every key by its dotted name, sections too."""
    for key, value in values.items():
        yield prefix + key
        if isinstance(value, dict):
            yield from named(value, f"{prefix}{key}.")


def every_default() -> dict[str, Any]:
    """The defaults; `pool` is written only where it is set."""
    values = Config().model_dump(mode="json")
    values["embed"]["regions"] = {"pool": None} | values["embed"]["regions"]
    return values


def test_config_yaml_is_the_defaults_and_names_every_key():
    values, defaults = yaml.safe_load(COMPLETE.read_text()), every_default()
    assert list(named(values)) == list(named(defaults)), "the keys and their order are the class's"
    assert values == defaults
    assert read_config(COMPLETE) == Config()


@pytest.mark.parametrize("path", [COMPLETE, DEMO, FIRST_LOOK], ids=lambda path: path.name)
def test_schema_takes_what_the_classes_take(path: Path):
    schema = json.loads((ROOT / "workflow" / "schemas" / "config.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(yaml.safe_load(path.read_text()))
    assert not Draft202012Validator(schema).is_valid({"tyle": {}})


def test_every_key_of_config_yaml_has_a_comment():
    lines = [line for line in COMPLETE.read_text().splitlines() if KEY_LINE.match(line)]
    assert len(lines) == len(list(named(every_default())))
    for line in lines:
        assert COMMENTED.match(line), line
        assert len(line) <= 100, line


def test_demo_yaml_has_only_keys_that_differ():
    values = yaml.safe_load(DEMO.read_text())
    parsed = parse(Config, values, "config/demo.yaml")
    defaults = Config().model_dump(mode="json")
    for name, task in parsed.tasks.items():  # a task's own defaults, but for what it has to say
        needed = {"kind": "", "label": "", "time": "", "event": "", "fit": FitConfig().model_dump()}
        fields = type(task).model_fields
        defaults["tasks"][name] = {key: fields[key].default for key in fields} | needed

    def differs(value: object, default: object) -> bool:
        if not (isinstance(value, dict) and isinstance(default, dict)):
            return value != default
        return all(differs(value[key], default[key]) for key in value)

    assert differs(values, defaults)


def test_every_column_and_every_suffix_is_explained():
    table = [line for line in ABOUT_SHEETS.splitlines() if line.startswith("| `")]
    assert [line.split("`")[1] for line in table] == list(COLUMNS)
    assert set(re.findall(r"`(\.\w+)`", ABOUT_SHEETS)) >= set(SLIDE_SUFFIXES)


def test_the_example_is_a_sheet(tmp_path: Path):
    example = re.search(r"```csv\n(.*?)```", ABOUT_SHEETS, re.DOTALL)
    assert example
    sheet = tmp_path / "slides.csv"
    sheet.write_text(example[1])
    rows = read_sheet(sheet)
    assert [row.slide_id for row in rows] == ["0012", "0013", "0014"]
    assert rows[1].mask == tmp_path / "masks" / "0013.geojson"
    assert [row.exclude for row in rows] == [False, False, True]
    assert [row.labels["diagnosis"] for row in rows] == ["ductal", "ductal", "lobular"]
