"""Show what a weights file is, or convert it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from hipt.config.config import PatchEncoderConfig
from hipt.config.section import parse
from hipt.embedding.weights_files import Weights, read_weights, write_weights
from hipt.embedding.weights_identity import weights_sha256
from hipt.errors import HiptError
from hipt.store.whole import whole

CHOICE = "--which"


def show(path: Path, which: str | None = None) -> str:
    """What a weights file holds, as lines of text."""
    weights = read_weights(path, which, choose_by=CHOICE)
    parameters = sum(tensor.numel() for tensor in weights.state.values())
    facts = {
        "file": str(path),
        "sha256": weights_sha256(path),
        "taken": weights.network.text,
        "network": _network(weights),
        "tensors": f"{len(weights.state)}",
        "parameters": f"{parameters:,}",
        **{name: _text(value) for name, value in weights.metadata.items()},
    }
    width = max(map(len, facts)) + 2
    return "\n".join(f"{name:{width}}{value}" for name, value in facts.items())


def convert(
    source: Path,
    target: Path,
    which: str | None,
    normalisation: Mapping[str, Sequence[float]] | None = None,
) -> None:
    """Write weights as safetensors, or as a DINO checkpoint, by the target's suffix.

    Args:
        source: a weights file of any form.
        target: what to write.
        which: the network of several.
        normalisation: `mean` and `std` of red, green and blue, of values of 0 to 1, that the
            target is to carry; None: what the source carries.

    Raises:
        HiptError: if the target is neither, or cannot carry a normalisation.
    """
    parse(PatchEncoderConfig, normalisation, "hipt weights convert")
    weights = read_weights(source, which, choose_by=CHOICE)
    if target.suffix == ".safetensors":
        given = {key: json.dumps(list(values)) for key, values in (normalisation or {}).items()}
        write_weights(target, weights.state, {"source": source.name, **weights.metadata, **given})
    elif target.suffix not in (".pth", ".pt"):
        raise HiptError(f"{target}: name it .safetensors, or .pth for a DINO checkpoint")
    elif normalisation:
        raise HiptError(f"{target}: carries no mean and std; name it .safetensors")
    else:
        with whole(target) as part:
            torch.save({"teacher": dict(weights.state)}, part)


def _text(value: object) -> str:
    """A fact as one line: a table as JSON."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _network(weights: Weights) -> str:
    """The kind of network that the tensors belong to."""
    state = weights.state
    depth = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
    if "phi.0.weight" in state:
        dim, in_dim = state["phi.0.weight"].shape
        return f"ViT4096-256: {depth} blocks, {dim} wide, grids of {in_dim} features"
    if "patch_embed.proj.weight" in state and "cls_token" in state:
        return f"ViT of pixels: {depth} blocks, {state['cls_token'].shape[-1]} wide"
    return "not one of HIPT's"


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `show FILE`, or `convert SOURCE TARGET`, of several networks `--which`."""
    parser = argparse.ArgumentParser(prog="hipt weights", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    shower, converter = commands.add_parser("show"), commands.add_parser("convert")
    shower.add_argument("file", type=Path)
    converter.add_argument("source", type=Path)
    converter.add_argument("target", type=Path, help=".safetensors, or .pth")
    for key in ("mean", "std"):
        text = f"{key} of red, green and blue, of 0 to 1, that the model card gives"
        converter.add_argument(f"--{key}", type=float, nargs=3, help=text)
    for command in (shower, converter):
        command.add_argument("--which", help="the network of several, e.g. student")
    args = parser.parse_args(argv)
    if args.command == "show":
        sys.stdout.write(show(args.file, args.which) + "\n")
    else:
        given = {key: getattr(args, key) for key in ("mean", "std") if getattr(args, key)}
        convert(args.source, args.target, args.which, given or None)
