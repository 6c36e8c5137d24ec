"""How far a run is, from its files alone; reads what steps have written, and writes nothing.

Exit codes: 0 all is done; 3 something is left to do; 4 a job has failed; 2 as with every command.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from hipt.config.command_line import whole_config
from hipt.config.config import Config
from hipt.errors import HiptError
from hipt.layout import Results
from hipt.status.state import RunState, read_state
from hipt.status.text import lines, unfinished_slides, values

UNFINISHED, FAILED = 3, 4
"""Exit codes."""


def exit_code(run: RunState) -> int:
    """What the command ends with."""
    if run.in_state("failed"):
        return FAILED
    return 0 if run.finished else UNFINISHED


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: the config, or the results alone; and how to say it."""
    head, _, codes = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(prog="hipt status", description=head, epilog=codes)
    parser.add_argument("--cfg", help="a config file; by default config/config.yaml")
    parser.add_argument(
        "--results", type=Path, help="the folder; without --cfg its own ledger names the slides"
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="for scripts")
    how.add_argument(
        "--slides", action="store_true", help="a line for each slide that is not whole"
    )
    args = parser.parse_args(argv)
    config = _config(args.cfg, args.results)
    if args.results is not None and not args.results.is_dir():
        raise HiptError(f"{args.results}: no folder of results")
    results = Results(args.results or Path(config.results if config else "results"))
    run = read_state(results, config)
    if args.json:
        answer = iter([json.dumps(values(run), indent=1)])
    else:
        answer = unfinished_slides(run) if args.slides else lines(run)
    sys.stdout.writelines(f"{line}\n" for line in answer)
    raise SystemExit(exit_code(run))


def _config(cfg: str | None, results: Path | None) -> Config | None:
    """The config; None where the results alone were named."""
    if cfg is None and results is not None:
        return None
    return whole_config(cfg or "config/config.yaml")
