"""The viewer at an address: a socket, and a server until somebody ends it."""

from __future__ import annotations

import errno
import logging
import os
import socket

import uvicorn
from starlette.types import ASGIApp

from hipt.errors import HiptError
from hipt.view.security import is_wildcard

IDLE_S = 30
"""Seconds that a connection without requests is kept."""

GRACE_S = 1
"""Seconds that answers at work get when it is ended."""

WAITING = 256
"""Connections that wait to be accepted."""


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0: any that is free.

    Raises:
        HiptError: if the address is not this machine's, or the port is taken.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind)
    except (OSError, UnicodeError) as error:
        raise HiptError(f"--host {host}: no machine of this name is known ({error})") from None
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # right after another run
        made.bind(address)
        made.listen(WAITING)
    except OSError as error:
        made.close()
        raise HiptError(_why_not(host, port, error)) from None
    return made


def _why_not(host: str, port: int, error: OSError) -> str:
    """Why an address cannot be listened on, and what to do."""
    if error.errno == errno.EADDRINUSE:
        return (
            f"--port {port}: is taken, perhaps by another hipt view; end that, or name another port"
        )
    if error.errno == errno.EACCES:
        return f"--port {port}: is not for users; name one from 1024 on"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"--host {host}: is no address of this machine"
    return f"--host {host} --port {port}: cannot be listened on ({os.strerror(error.errno or 0)})"


def link(host: str, port: int, token: str) -> str:
    """What to open in a browser."""
    name = socket.gethostname() if is_wildcard(host) else host
    shown = f"[{name}]" if ":" in name else name
    return f"http://{shown}:{port}/" + (f"?token={token}" if token else "")


def server(app: ASGIApp) -> uvicorn.Server:
    """What answers, once it is run at a socket."""
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,  # as of every command
        log_level="warning",
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=GRACE_S,
        proxy_headers=False,
    )
    logging.getLogger("uvicorn.error").addFilter(_worth_saying)
    return uvicorn.Server(config)


def _worth_saying(record: logging.LogRecord) -> bool:
    """Whether a line of the server tells a person anything: not that browsers were still there."""
    return "graceful shutdown" not in record.getMessage()
