"""What the viewer answers, and what it asks of a request: sentences in place of errors."""

from __future__ import annotations

import gzip
import json
import math
import re
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from hipt.errors import HiptError

LEAST_ZIPPED = 1024
"""Bytes from which a text is sent packed."""

PACKING = 4
"""gzip's level: a tenth larger than at 9, in a fifth of the time."""

LONGEST_QUOTED = 60
"""Characters of a request that a sentence repeats."""

_FOLDERS = re.compile(r"(?:(?<=\s)|(?<=^)|(?<=[('\"=:]))~?/(?:[^\s/:;,()'\"]+/)+")


class RefusedError(HiptError):
    """What cannot be answered: a status of HTTP, and one sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def as_json(content: object) -> bytes:
    """A content as compact JSON."""
    return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


def finite(value: float | None) -> float | None:
    """A number as JSON knows it: None for those that are none."""
    return value if value is not None and math.isfinite(value) else None


def json_answer(request: Request, body: bytes, status: int = 200) -> Response:
    """JSON, packed where it is long and the reader can unpack it."""
    headers = {"Vary": "Accept-Encoding"}
    if len(body) >= LEAST_ZIPPED and "gzip" in request.headers.get("accept-encoding", ""):
        body = gzip.compress(body, PACKING, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(body, status, headers, "application/json")


def sentence(error: RefusedError) -> Response:
    """A refusal as JSON."""
    return Response(as_json({"error": str(error)}), error.status, media_type="application/json")


def quoted(text: str) -> str:
    """A reader's own text, for a sentence."""
    return f"'{text[:LONGEST_QUOTED]}{'...' if len(text) > LONGEST_QUOTED else ''}'"


def without_folders(text: str) -> str:
    """A sentence in which files have their names alone: where they lie concerns no reader."""
    return _FOLDERS.sub("", text)


class Query:
    """The part of an address after its `?`."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def text(self, name: str) -> str:
        """A text that has to be there.

        Raises:
            RefusedError: 400, if it is not.
        """
        if name not in self._values:
            raise RefusedError(400, f"the address lacks '{name}='")
        return self._values[name]

    def has(self, name: str) -> bool:
        """Whether it is there."""
        return name in self._values

    def whole(self, name: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number between two bounds, both included.

        Raises:
            RefusedError: 400, if it is another, or not there and without a default.
        """
        if default is not None and name not in self._values:
            return default
        text = self.text(name)
        value = int(text) if re.fullmatch(r"-?[0-9]{1,12}", text, re.ASCII) else None
        if value is None or not low <= value <= high:
            raise RefusedError(
                400, f"'{name}' must be a whole number from {low} to {high}, got {quoted(text)}"
            )
        return value

    def number(self, name: str, low: float, high: float) -> float:
        """A number between two bounds, both included.

        Raises:
            RefusedError: 400, if it is another, or not there.
        """
        text = self.text(name)
        value = float(text) if re.fullmatch(r"-?[0-9]{1,12}(\.[0-9]{0,12})?", text) else None
        if value is None or not low <= value <= high:
            raise RefusedError(
                400, f"'{name}' must be a number from {low:g} to {high:g}, got {quoted(text)}"
            )
        return value


def query(request: Request) -> Query:
    """The query of a request."""
    return Query(request.query_params)
