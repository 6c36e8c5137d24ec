"""Who may ask, and what a browser may do with the answer: Host, token, methods, headers."""

from __future__ import annotations

import ipaddress
import secrets
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hipt.view.answers import RefusedError, sentence

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""Of every answer."""

KEPT = "Cache-Control"
"""An answer that does not say how long it may be kept is kept by nobody."""

LOOPBACK = ("127.0.0.1", "localhost", "::1")

METHODS = ("GET", "HEAD")

PAGE = "/page/"
"""Where the page's own files are. They and `/` are the same for everybody, and need no token."""


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from its own machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() in LOOPBACK


def is_wildcard(host: str) -> bool:
    """Whether an address stands for all addresses of the machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


@dataclass(frozen=True)
class Rules:
    """Who may ask."""

    host: str
    """The address that is listened on."""
    token: str = ""
    """What has to be known by whoever asks; empty: nothing."""
    cookie: str = "hipt_view"
    """What keeps it in a browser."""

    def knows(self, host: str) -> bool:
        """Whether the header Host names this machine.

        A page of somebody else's can make its own name lead to this machine, and read what it
        gets: it says that name here. Which names a machine has on all its addresses is not
        known; there the token alone, which such a page has not, keeps it out.
        """
        name = _name_of(host)
        return bool(name) and (is_wildcard(self.host) or name in {*LOOPBACK, self.host.lower()})

    def admits(self, token: str) -> bool:
        """Whether a token is the right one, or none is needed."""
        return not self.token or secrets.compare_digest(token.encode(), self.token.encode())


class Guard:
    """Stands before the application: refuses, and adds what every answer has."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self._app, self._rules = app, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault(KEPT, "no-store")
            await send(message)

        try:
            answer: ASGIApp = self._entered(scope) or self._app
        except RefusedError as error:
            answer = sentence(error)
            if error.status == 405:
                answer.headers["Allow"] = ", ".join(METHODS)
        await answer(scope, receive, guarded)

    def _entered(self, scope: Scope) -> Response | None:
        """The answer to who brings the token in the address; None: somebody who may ask.

        Raises:
            RefusedError: whoever may not.
        """
        headers, path, rules = Headers(scope=scope), scope["path"], self._rules
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not rules.knows(hosts[0]):
            raise RefusedError(
                403, "unknown name of this machine: open the link that hipt view printed"
            )
        if scope["method"] not in METHODS:
            raise RefusedError(405, "nothing can be changed here: only GET and HEAD are answered")
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and path != "/":
            raise RefusedError(403, "only the viewer's own page is answered")
        given = dict(parse_qsl(scope["query_string"].decode("latin-1"), True)).get("token")
        if path == "/" and given is not None and rules.token:
            if not rules.admits(given):
                raise RefusedError(403, "not the token of this run: open the link that it printed")
            entered = RedirectResponse("/", 303)
            entered.set_cookie(rules.cookie, given, httponly=True, samesite="strict")
            return entered
        public = path == "/" or path.startswith(PAGE)
        known = cookie_parser(headers.get("cookie", "")).get(rules.cookie, "")
        if not public and not rules.admits(known):
            raise RefusedError(403, "the token is missing: open the link that hipt view printed")
        return None


def _name_of(host: str) -> str:
    """The name in a header Host, without its port; empty if it is none."""
    if host.startswith("["):
        name, closed, port = host[1:].partition("]")
        port = port.removeprefix(":") if closed else "?"
    else:
        name, _, port = host.partition(":")
    return name.lower() if port.isdecimal() or not port else ""
