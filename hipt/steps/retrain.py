"""Move a model that was trained here aside, so that the next run trains it anew."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from hipt.config.command_line import read_config
from hipt.config.config import Config
from hipt.config.trained import NAMES, set_aside, trained
from hipt.errors import HiptError
from hipt.layout import Results


def run(name: str, config: Config) -> str:
    """Move the model with its corpus list, curves and checkpoint; what was done, and what is next.

    Raises:
        HiptError: if there is no such model, or nothing of it.
    """
    if name not in NAMES.values():
        raise HiptError(f"no model is called '{name}'; name {' or '.join(NAMES.values())}")
    model = Results(Path(config.results)).model(name)
    moved = set_aside(model)
    if not moved:
        raise HiptError(
            f"{model}: not there, and no checkpoint of it either; nothing has to be moved before "
            "`snakemake` trains it"
        )
    lines = [f"moved to {moved[0].parent}:", *(f"  {path.name}" for path in moved)]
    return "\n".join([*lines, *_next(name, config)])


def _next(name: str, config: Config) -> Iterator[str]:
    """What the user has to know before the next run."""
    stage = next(stage for stage, known in NAMES.items() if known == name)
    yield f"next: set pretrain.{stage} as it shall be, and run snakemake, which trains {name} anew"
    if stage not in trained(config):
        yield f"but first write embed.{stage}.weights: pretrain into the config; now nothing trains"
    later = Results(Path(config.results)).model(NAMES["regions"])
    if stage == "patches" and later.exists():
        yield f"{later.stem} was trained on the old vectors; as a rule: hipt retrain {later.stem}"


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: the model's name, the config."""
    parser = argparse.ArgumentParser(prog="hipt retrain", description=__doc__)
    parser.add_argument("name", help=" or ".join(NAMES.values()))
    parser.add_argument("--cfg", type=Path, default=Path("config/config.yaml"), help="config file")
    args = parser.parse_args(argv)
    sys.stdout.write(run(args.name, read_config(args.cfg)) + "\n")
