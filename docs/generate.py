"""Write what follows from the rest: the config's schema and page, encoders, indices, a picture."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from docs import rooms
from hipt.config.config import Config
from hipt.config.presets import Preset, presets

ROOT = Path(__file__).parent.parent

SCHEMA = "workflow/schemas/config.schema.json"
PAGE = "docs/config.md"
ENCODERS = "docs/encoders.md"
DECISIONS = "docs/decisions/README.md"

HEAD = """\
# Settings

Every key of [config/config.yaml](../config/config.yaml); what a config file leaves out has its \
default. Units stand in the names: `_px` pixels, `_um` micrometres, `_mm2` square millimetres, \
`mpp` micrometres per pixel (um/px), `_od` optical density. Unknown keys are refused. This page is \
made from `hipt/config/config.py` by `make docs`.
"""
PRESETS = ("<!-- presets -->", "<!-- end of presets -->")
"""Between these lines of the page of encoders is their table."""
PRESETS_HEAD = """\
| encoder | vector | takes | um/px | licence | commercial | weights file |
|---|---|---|---|---|---|---|"""

TOP = "Of the whole run, outside any section."
TABLE = "| key | default | type, bounds | meaning |\n|---|---|---|---|"

KINDS = {
    "boolean": "true or false",
    "integer": "whole number",
    "null": "null",
    "number": "number",
    "object": "mapping",
    "string": "text",
}
BOUNDS = {
    "exclusiveMinimum": "above",
    "minimum": "at least",
    "exclusiveMaximum": "below",
    "maximum": "at most",
}

Json = Mapping[str, Any]


def files() -> dict[str, str]:
    """The content of every generated file, by its path from the root of the repository."""
    schema = Config.model_json_schema()
    stated = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return {
        SCHEMA: json.dumps(stated, indent=2) + "\n",
        PAGE: _page(schema),
        ENCODERS: _encoders((ROOT / ENCODERS).read_text(encoding="utf-8")),
        DECISIONS: _decisions(),
        rooms.PICTURE: rooms.drawn(),
    }


def _decisions() -> str:
    """docs/decisions/README.md: the title of each, which is its first line."""
    lines = [
        "# Decisions",
        "",
        "What was chosen, why, and what follows from it; one page each.",
        "",
    ]
    for path in sorted((ROOT / DECISIONS).parent.glob("[0-9]*.md")):
        title = path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        lines.append(f"- [{title}]({path.name})")
    return "\n".join([*lines, ""])


def _encoders(page: str) -> str:
    """docs/encoders.md, with the table of presets made anew."""
    before, rest = page.split(PRESETS[0])
    after = rest.split(PRESETS[1])[1]
    rows = [_encoder(preset) for preset in presets().values()]
    return "\n".join([before + PRESETS[0], PRESETS_HEAD, *rows, PRESETS[1] + after])


def _encoder(preset: Preset) -> str:
    """A preset's row."""
    side = f"{preset.input_px} px" if preset.input_px else "as it is"
    cut = f" of {preset.resize_px}" if preset.resize_px else ""
    mpp = ", ".join(f"{mpp:g}" for mpp in preset.mpp) or "not stated"
    vector = f"{preset.width}" + (f", {preset.pooling}" if preset.pooling else "")
    way = ", ask for it" if preset.gated else ""
    way += f", or `{preset.install}`" if preset.install else ""
    place = f"[{' or '.join(preset.files)}]({preset.page}){way}"
    cells = [f"`{preset.name}`", vector, side + cut, mpp, preset.licence, preset.commercial, place]
    return f"| {' | '.join(cells)} |"


def _page(schema: Json) -> str:
    """docs/config.md."""
    tables = [_table(name, section, schema["$defs"]) for name, section in _sections(schema)]
    return "\n".join([HEAD, *tables])


def _sections(schema: Json) -> Iterator[tuple[str, Json]]:
    """Every section by its dotted name, the keys outside sections first, shared shapes last."""
    kinds: Json = schema["$defs"]
    yield "Top level", {**schema, "description": TOP}
    waiting = _inner("", schema, kinds)
    while waiting:
        name, section = waiting.pop(0)
        yield name, section
        waiting = _inner(f"{name}.", section, kinds) + waiting
    yield "shape", kinds["ViTShape"]


def _inner(prefix: str, section: Json, kinds: Json) -> list[tuple[str, Json]]:
    """The sections right inside a section."""
    found = []
    for key, value in section["properties"].items():
        if "$ref" in value:
            found.append((prefix + key, kinds[_target(value)]))
        named = value.get("patternProperties", {}).values()
        found += [(f"{prefix}{key}.<name>", kinds[_target(one)]) for one in named if "$ref" in one]
    return found


def _table(name: str, section: Json, kinds: Json) -> str:
    """A section's heading, sentence and table."""
    needed = section.get("required", ())
    rows = [
        f"| `{key}` | {_default(value, needed=key in needed)} | {_kind(value, kinds)} "
        f"| {_cell(value['description'])} |"
        for key, value in section["properties"].items()
        if "$ref" not in value
    ]
    heading = name.replace("<", "\\<")  # no tag of HTML
    return "\n".join([f"## {heading}\n", f"{section['description']}\n", TABLE, *rows, ""])


def _default(value: Json, *, needed: bool) -> str:
    """A key's default as YAML has it."""
    if "default" not in value:
        return "none: needed" if needed else "`{}`"
    default = value["default"]
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _kind(value: Json, kinds: Json) -> str:
    """What a value may be, in words."""
    if "anyOf" in value:
        return "; or ".join(_kind(option, kinds) for option in value["anyOf"])
    if "$ref" in value:
        keys = ", ".join(f"`{key}`" for key in kinds[_target(value)]["properties"])
        return f"a mapping of {keys} ([shape](#shape))"
    if "enum" in value or "const" in value:
        return " or ".join(f"`{option}`" for option in value.get("enum", [value.get("const")]))
    if "prefixItems" in value:
        items = value["prefixItems"]
        return f"{len(items)} values: {_kind(items[0], kinds)}"
    if "items" in value:
        return f"list of {_kind(value['items'], kinds)}"
    bounds = [f"{word} {value[name]:g}" for name, word in BOUNDS.items() if name in value]
    return ", ".join([KINDS[value["type"]], *bounds])


def _target(value: Json) -> str:
    """The name of the class that a `$ref` points to."""
    return str(value["$ref"]).rpartition("/")[2]


def _cell(text: str) -> str:
    """A text as a cell of a table."""
    return " ".join(text.replace("|", "\\|").split())


def main() -> None:
    """Write them."""
    for path, text in files().items():
        target = ROOT / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
