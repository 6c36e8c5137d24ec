"""List the published encoders, show one's card, or check a downloaded file against it.

Nothing is downloaded: the card says what to fetch from where.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from hipt.config.config import PatchEncoderConfig
from hipt.config.presets import Preset, known_as, nearest, presets
from hipt.embedding.recorded_input import card_text, values_text
from hipt.embedding.trial import tried
from hipt.embedding.weights_files import load_patch_encoder
from hipt.embedding.weights_identity import weights_identity
from hipt.errors import HiptError
from hipt.nn.encoders import PatchEncoder
from hipt.nn.pooling import pooled
from hipt.store.images import read_rgb

HEAD = ("name", "numbers", "um/px", "licence", "commercial", "download")
WAVE_PX = 224
PATCH_PX = 256
"""Side of the painted patch that the network is tried on."""
BORDER = 0.02
"""How near to a whole number a vector's number is taken for either side of it."""
TOLERANCE = 1e-2
"""Largest difference of a published vector, as GigaPath's demo allows."""

VECTORS = {
    "cls": "the CLS token",
    "mean": "the mean of the patch tokens, registers left out",
    "cls+mean": "the CLS token, then the mean of the patch tokens, registers left out",
    None: "what the network gives",
}


def listed() -> str:
    """The table of all encoders."""
    rows = [HEAD, *(_row(preset) for preset in presets().values())]
    widths = [max(map(len, column)) + 2 for column in zip(*rows, strict=True)]
    padded = ("".join(f"{x:{w}}" for x, w in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in padded)


def shown(preset: Preset) -> str:
    """One encoder's card, what to download, and what the config says."""
    width = max(len(name) for name, _ in _facts(preset)) + 2
    lines = []
    for name, text in _facts(preset):
        indent = " " * width
        lines += textwrap.wrap(
            f"{name:{width}}{text}", 100, subsequent_indent=indent, break_on_hyphens=False,
            break_long_words=False,
        )  # fmt: skip
    lines += ["", "In the config file:", "embed:", "  patches:", f"    encoder: {preset.name}"]
    if not preset.package:
        file = next(iter(preset.files)).partition(" ")[0]
        lines.append(f"    weights: /models/{preset.name}/{file}")
    return "\n".join(lines)


def verified(name: str, file: Path, picture: Path | None, vector: Path | None) -> Iterator[str]:
    """Check a weights file against a card, line by line.

    Args:
        name: of the encoder.
        file: its weights.
        picture: of which the vector is published; None: no such check.
        vector: the published vector, torch's `.pt`.

    Raises:
        HiptError: at the first check that fails.
    """
    preset = _named(name)
    cfg = PatchEncoderConfig(encoder=preset.name, weights=str(file))
    sha256 = weights_identity("embed.patches", cfg)
    known = {digest: published for published, digest in preset.files.items() if digest}
    if sha256 in known:
        yield f"sha256     {sha256}: the published {known[sha256]}"
    else:
        why = "is none of the published ones" if known else "of the published file is not known"
        yield f"sha256     {sha256}: {why}"
    encoder = load_patch_encoder(cfg)
    count = sum(p.numel() for p in encoder.parameters())
    yield f"weights    {count:,} parameters fit {preset.name}"
    yield f"patch      {tried(encoder, PATCH_PX)}"
    if preset.signs:
        _check_signs(preset, encoder)
        yield f"signs      {values_text(preset.signs)}: as published"
    if picture is not None and vector is not None:
        difference = _difference(encoder, picture, vector)
        if difference > TOLERANCE:
            raise HiptError(
                f"{picture}: its vector differs from {vector} by {difference:.3g} at most, and "
                f"{TOLERANCE:g} is allowed"
            )
        yield f"vector     of {picture}: differs by {difference:.2g} at most"
    elif not (preset.signs or sha256 in known):
        yield "           nothing else is published to check it by"


def _row(preset: Preset) -> tuple[str, ...]:
    mpp = "/".join(f"{x:g}" for x in preset.mpp) or "-"
    way = "ask for it" if preset.gated else preset.install or "open"
    return preset.name, f"{preset.width}", mpp, preset.licence, preset.commercial, way


def _facts(preset: Preset) -> Iterator[tuple[str, str]]:
    yield "encoder", f"{preset.name}: {preset.title}"
    yield "takes", card_text(preset.model_dump())
    yield "gives", f"{preset.width:,} numbers: {VECTORS[preset.pooling]}"
    arguments = ", ".join(f"{key}: {x}" for key, x in preset.arguments.items())
    yield "network", preset.architecture + (f" {{{arguments}}}" if arguments else "")
    yield "licence", f"{preset.licence}; commercial use: {preset.commercial}"
    access = ", where it has to be asked for" if preset.gated else ""
    yield "download", f"{' or '.join(preset.files)} from {preset.page}{access}"
    if preset.install:
        yield "or", f"{preset.install}, which brings it: no weights: are named then"
    for file, digest in preset.files.items():
        yield "sha256", f"{file}: {digest or 'not known'}"
    others = {"TRIDENT": preset.trident, "slide2vec": preset.slide2vec}
    if any(others.values()):
        yield "elsewhere", ", ".join(f"{tool}: {name}" for tool, name in others.items() if name)
    if preset.note:
        yield "note", preset.note
    yield "read in", "; ".join(preset.sources)


def _named(name: str) -> Preset:
    """The encoder of a name, its own or that in TRIDENT or slide2vec."""
    preset = presets().get(name) or known_as(name)
    if preset is None:
        near = [other for other in nearest(name, ()) if other in presets()]
        hint = f"did you mean {' or '.join(near)}?" if near else "see `hipt encoders`"
        raise HiptError(f"no published encoder is called '{name}'; {hint}")
    return preset


def _check_signs(preset: Preset, encoder: PatchEncoder) -> None:
    """Compare the first numbers for a wave, cut to whole ones.

    Source: BigModel, build_ROI_backbone_model: x[0, k, j, i] = (0.1 (i + j + k)) % 1, not
    normalised.
    """
    steps = torch.arange(WAVE_PX, dtype=torch.float64)
    sums = torch.arange(3.0).double()[:, None, None] + steps[:, None] + steps  # (3, px, px)
    wave = ((0.1 * sums) % 1.0).float()[None]
    with torch.inference_mode():
        numbers = pooled(encoder.model, wave, encoder.given.pooling)[0, : len(preset.signs)]
    whole = [int(x) for x in numbers.tolist()]
    for x, wanted in zip(numbers.tolist(), preset.signs, strict=True):
        if int(x) != wanted and int(x + BORDER) != wanted and int(x - BORDER) != wanted:
            raise HiptError(
                f"the first numbers for a wave are {values_text(whole)}, and {preset.name}'s are "
                f"{values_text(preset.signs)}: the file is of another network, or damaged"
            )


def _difference(encoder: PatchEncoder, picture: Path, vector: Path) -> float:
    """The largest difference between a picture's vector and a published one."""
    pixels = torch.tensor(read_rgb(picture))[None]  # (1, px, px, 3)
    if pixels.shape[1] != pixels.shape[2]:
        raise HiptError(f"{picture}: is {pixels.shape[2]} x {pixels.shape[1]} px, and no square")
    try:
        published = torch.load(vector, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - torch raises many kinds for one damaged file
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise HiptError(f"{vector}: is no tensor that torch.save wrote ({reason})") from None
    if not isinstance(published, Tensor) or published.numel() != encoder.dim:
        raise HiptError(f"{vector}: is no vector of {encoder.dim:,} numbers")
    with torch.inference_mode():
        made = encoder(pixels)[0]
    return float((made - published.flatten().float()).abs().max())


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: nothing to list them, `show NAME`, or `verify NAME FILE`."""
    parser = argparse.ArgumentParser(prog="hipt encoders", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    shower, verifier = commands.add_parser("show"), commands.add_parser("verify")
    for command in (shower, verifier):
        command.add_argument("name", help="of the encoder")
    verifier.add_argument("file", type=Path, help="its weights file")
    verifier.add_argument("--picture", type=Path, help="a picture whose vector is published")
    verifier.add_argument("--vector", type=Path, help="that vector, a .pt file")
    args = parser.parse_args(argv)
    if args.command == "verify":
        if (args.picture is None) != (args.vector is None):
            parser.error("--picture and --vector belong together")
        for line in verified(args.name, args.file, args.picture, args.vector):
            sys.stdout.write(f"{line}\n")
    else:
        text = listed() if args.command is None else shown(_named(args.name))
        sys.stdout.write(f"{text}\n")
