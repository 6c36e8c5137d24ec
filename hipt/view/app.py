"""The viewer's answers, address by address. Ids are looked up, and never joined to a path."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hipt.config.config import Config
from hipt.errors import HiptError
from hipt.layout import Results
from hipt.view.answers import Query, RefusedError, as_json, json_answer, query, sentence
from hipt.view.maps import colour_bar
from hipt.view.neighbours import Question
from hipt.view.page_files import INDEX, page_files
from hipt.view.results import Viewed
from hipt.view.security import KEPT, Guard, Rules

log = logging.getLogger(__name__)

MOST_PX = 512
"""Side of a crop."""

MOST_NEIGHBOURS = 100

FARTHEST_PX = 10_000_000
"""Beyond any slide, level-0 pixels."""

A_WHILE = "private, max-age=600"
"""How long a browser may keep pixels of a slide."""

Answer = Callable[[Request], Response]


def application(results: Results, config: Config, rules: Rules) -> Starlette:
    """The viewer of a folder of results.

    Args:
        results: the folder; nothing is written into it.
        config: where the slides are listed that a run has not come to the end of.
        rules: who may ask.
    """
    routes = _Routes(Viewed(results, config))
    return Starlette(
        routes=[Route(path, answer) for path, answer in routes.all().items()],
        middleware=[Middleware(Guard, rules=rules)],
        exception_handlers={HiptError: _said, HTTPException: _unknown, Exception: _bug},
    )


class _Routes:
    """An answer per address; each runs in a thread of its own."""

    def __init__(self, viewed: Viewed) -> None:
        self._viewed, self._files = viewed, page_files()

    def all(self) -> dict[str, Answer]:
        """The answers by address."""
        return {
            "/": self.index,
            "/page/{name:path}": self.page,
            "/thumbnail": self.thumbnail,
            "/tile": self.tile,
            "/map": self.map_picture,
            "/colours": self.colours,
            "/crop": self.crop,
            "/api/cohort": self.cohort,
            "/api/slide": _json(lambda q: self._viewed.slide(q.text("slide"))),
            "/api/contours": _json(lambda q: self._viewed.contours(q.text("slide"))),
            "/api/regions": _json(lambda q: self._viewed.regions(q.text("slide"))),
            "/api/patches": _json(
                lambda q: self._viewed.patches(q.text("slide"), q.whole("region", 0, FARTHEST_PX))
            ),
            "/api/map": _json(self._map_values),
            "/api/neighbours": _json(self._neighbours),
        }

    def index(self, request: Request) -> Response:  # noqa: ARG002
        return self._file(INDEX)

    def page(self, request: Request) -> Response:
        return self._file(request.path_params["name"])

    def _file(self, name: str) -> Response:
        file = self._files.get(name)
        if file is None:
            raise RefusedError(404, "the page has no such file")
        return Response(file.content, headers={KEPT: "no-cache"}, media_type=file.kind)

    def cohort(self, request: Request) -> Response:
        return json_answer(request, self._viewed.cohort_json())

    def thumbnail(self, request: Request) -> Response:
        q = query(request)
        outlined = bool(q.whole("outline", 0, 1, 1))
        return _jpeg(self._viewed.thumbnail(q.text("slide"), outlined=outlined))

    def tile(self, request: Request) -> Response:
        q = query(request)
        place = (q.whole(name, 0, FARTHEST_PX) for name in ("level", "x", "y"))
        return _jpeg(self._viewed.tile(q.text("slide"), *place))

    def map_picture(self, request: Request) -> Response:
        q = query(request)
        png = self._viewed.map(q.text("slide"), q.text("layer")).png()
        return Response(png, media_type="image/png")

    def colours(self, request: Request) -> Response:
        png = colour_bar(signed=bool(query(request).whole("signed", 0, 1)))
        return Response(png, headers={KEPT: A_WHILE}, media_type="image/png")

    def crop(self, request: Request) -> Response:
        q = query(request)
        x, y = (q.number(axis, -FARTHEST_PX, FARTHEST_PX) for axis in "xy")
        side, px = q.number("size", 1, FARTHEST_PX), q.whole("px", 1, MOST_PX, 128)
        return _jpeg(self._viewed.crop(q.text("slide"), (x, y), side, px))

    def _map_values(self, q: Query) -> dict[str, Any]:
        return self._viewed.map(q.text("slide"), q.text("layer")).values()

    def _neighbours(self, q: Query) -> dict[str, Any]:
        return self._viewed.neighbours(
            Question(
                q.text("slide"),
                q.whole("region", 0, FARTHEST_PX),
                q.whole("patch", 0, FARTHEST_PX) if q.has("patch") else None,
                q.whole("count", 1, MOST_NEIGHBOURS, 12),
                bool(q.whole("others", 0, 1, 1)),
            )
        )


def _json(content: Callable[[Query], Any]) -> Answer:
    """An answer in JSON, from the query of a request."""

    def answer(request: Request) -> Response:
        return json_answer(request, as_json(content(query(request))))

    return answer


def _jpeg(content: bytes) -> Response:
    return Response(content, headers={KEPT: A_WHILE}, media_type="image/jpeg")


def _said(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """What cannot be answered; of files that cannot be read only the log names the place."""
    if isinstance(error, RefusedError):
        return sentence(error)
    log.warning("%s", error)
    return sentence(
        RefusedError(404, "a file of the results cannot be read; the terminal says which")
    )


def _unknown(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """No such address, or a request that is none."""
    status = error.status_code if isinstance(error, HTTPException) else 400
    return sentence(RefusedError(status, "there is nothing at this address"))


def _bug(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """What nobody foresaw: its traceback goes to the terminal."""
    return sentence(
        RefusedError(500, "an error that nobody foresaw; the terminal has its traceback")
    )
