"""Look at results in a browser: slides with heatmaps, predictions, and what looks alike."""

from __future__ import annotations

import argparse
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from hipt.config.command_line import read_config
from hipt.errors import HiptError
from hipt.layout import Results
from hipt.view.app import application
from hipt.view.cohort import refuse_other_folder
from hipt.view.security import Rules, is_loopback
from hipt.view.server import link, listening, server

PORT = 8765

MOST_PORT = 65535


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: the config, perhaps another folder of results, and where to listen."""
    parser = argparse.ArgumentParser(prog="hipt view", description=__doc__)
    parser.add_argument("--cfg", type=Path, default=Path("config/config.yaml"), help="config file")
    parser.add_argument("--results", type=Path, help="the folder, if not that of the config")
    parser.add_argument("--host", default="127.0.0.1", help="others take a token")
    parser.add_argument("--port", type=int, default=PORT, help="0: any that is free")
    parser.add_argument("--token", action="store_true", help="ask for a token here too")
    args = parser.parse_args(argv)
    if not 0 <= args.port <= MOST_PORT:
        raise HiptError(f"--port: must be from 0 to {MOST_PORT}, got {args.port}")
    config = read_config(args.cfg)
    results = Results(args.results or Path(config.results))
    refuse_other_folder(results)
    token = secrets.token_urlsafe(24) if args.token or not is_loopback(args.host) else ""
    with listening(args.host, args.port) as at:
        port = at.getsockname()[1]
        app = application(results, config, Rules(args.host, token, f"hipt_view_{port}"))
        sys.stdout.write(f"{link(args.host, port, token)}  (Ctrl-C ends it)\n")
        sys.stdout.flush()
        server(app).run(sockets=[at])  # until a signal ends it
