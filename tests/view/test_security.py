"""Who is let in: names, tokens, methods; what a browser is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from hipt.view.security import CONTENT_POLICY, Rules, is_loopback, is_wildcard
from tests.view.conftest import Serve, Viewer

TOKEN = "s3cret-token"


@pytest.fixture(scope="module")
def guarded(serve: Serve, made: Path) -> Viewer:
    """A viewer that asks for a token."""
    return serve(made, rules=Rules("127.0.0.1", TOKEN, "hipt_view_1"))


@pytest.mark.parametrize("path", ["/", "/api/cohort", "/page/x.js", "/tile?slide=s0", "/nothing"])
def test_every_answer_is_closed_to_other_pages(viewer: Viewer, path: str):
    headers = viewer.get(path).headers
    assert headers["Content-Security-Policy"] == CONTENT_POLICY
    assert "unsafe" not in CONTENT_POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in headers
    assert headers["Cache-Control"] in ("no-store", "no-cache")
    assert "Server" not in headers


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("127.0.0.1:8765", True),
        ("localhost", True),
        ("LOCALHOST:1", True),
        ("[::1]:8765", True),
        ("evil.example", False),
        ("evil.example:8765", False),
        ("127.0.0.1.evil.example", False),
        ("127.0.0.1:8765@evil.example", False),
        ("localhost:evil", False),
        ("[::1", False),
        ("[::1]x", False),
        ("", False),
    ],
)
def test_other_names_are_refused(viewer: Viewer, host: str, known: bool):
    answer = viewer.get("/api/cohort", Host=host)
    assert answer.status == (200 if known else 403)
    if not known:
        assert answer.json == {
            "error": "unknown name of this machine: open the link that hipt view printed"
        }


def test_a_name_of_ones_own_is_known():
    assert Rules("pathology-7.local").knows("Pathology-7.local:8765")
    assert not Rules("pathology-7.local").knows("other.local:8765")
    assert Rules("0.0.0.0", TOKEN).knows("any.name:1")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_only_get_and_head_are_answered(viewer: Viewer, method: str):
    answer = viewer.get("/api/cohort", method)
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD"
    assert "nothing can be changed" in answer.json["error"]


def test_head_has_no_body(viewer: Viewer):
    answer = viewer.get("/api/cohort", "HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["Content-Length"]) > 0


@pytest.mark.parametrize("path", ["/api/cohort", "/tile?slide=s0&level=1&x=0&y=0", "/nothing"])
def test_data_needs_the_token(guarded: Viewer, path: str):
    for cookie in ("", "hipt_view_1=", "hipt_view_1=wrong", f"other={TOKEN}", "hipt_view_1=ä"):
        answer = guarded.get(path, Cookie=cookie.encode().decode("latin-1"))
        assert answer.status == 403
        assert "token is missing" in answer.json["error"]
    assert guarded.get(path, Cookie=f"hipt_view_1={TOKEN}").status in (200, 404)


def test_the_link_brings_a_cookie_and_takes_the_token_out_of_the_address(guarded: Viewer):
    answer = guarded.get(f"/?token={TOKEN}")
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith(f"hipt_view_1={TOKEN};")
    assert {"HttpOnly", "SameSite=strict"} <= set(cookie.split("; "))
    for wrong in ("wrong", "", "%C3%A4"):
        answer = guarded.get(f"/?token={wrong}")
        assert answer.status == 403
        assert "Set-Cookie" not in answer.headers


def test_pages_of_others_get_nothing(viewer: Viewer):
    for site in ("cross-site", "same-site"):
        assert viewer.get("/api/cohort", Sec_Fetch_Site=site).status == 403
        assert viewer.get("/thumbnail?slide=s0", Sec_Fetch_Site=site).status == 403
    assert viewer.get("/api/cohort", Sec_Fetch_Site="same-origin").status == 200
    # a link to the viewer may be anywhere
    assert viewer.get("/", Sec_Fetch_Site="cross-site").status != 403


def test_addresses():
    assert [is_loopback(h) for h in ("127.0.0.1", "127.3.2.1", "::1", "Localhost")] == [True] * 4
    assert not any(is_loopback(h) for h in ("0.0.0.0", "::", "10.0.0.1", "node7", "localhost.x"))
    assert [is_wildcard(h) for h in ("0.0.0.0", "::", "10.0.0.1", "node7")] == [1, 1, 0, 0]
