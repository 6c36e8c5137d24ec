"""Whatever stands in an address, the answer is JSON with a sentence, and names no place on disk."""

from __future__ import annotations

import socket
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.view.conftest import Unfinished, Viewer

IDS = [
    "../results/slides",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e%2f%2e%2e%2fslides.parquet",
    "%252e%252e%252f",
    "s3%00.parquet",
    "/etc/passwd",
    "s3/../s3",
    "%22%27%3Cscript%3Ealert(1)%3C/script%3E",
    "%3Cimg%20src=x%20onerror=alert(1)%3E",
    "%F0%9F%94%AC%E2%80%AE%EF%BF%BF",
    "%ff%fe%c0%af",
    "%ED%A0%80",
    "s3" * 4000,
    "",
    "S3",
    "s3%20",
]
PATHS = [
    "/thumbnail?slide={}",
    "/api/slide?slide={}",
    "/tile?slide={}&level=1&x=0&y=0",
    "/api/contours?slide={}",
    "/api/regions?slide={}",
    "/api/patches?slide={}&region=0",
    "/map?slide={}&layer=attention",
    "/map?slide=s3&layer={}",
    "/api/map?slide=s3&layer={}",
    "/api/neighbours?slide={}&region=0",
    "/crop?slide={}&x=0&y=0&size=64",
    "/page/{}",
]
NUMBERS = ["-1", "1e3", "1.5", "abc", "", "9" * 30, "٣", "0x10", "nan", "inf", "1_0", " 1", "--1"]


@pytest.mark.parametrize("path", PATHS)
def test_ids_are_looked_up_and_nothing_else(viewer: Viewer, path: str):
    for name in IDS:
        answer = viewer.get(path.format(name))
        assert answer.status in (400, 404), name
        assert answer.headers["Content-Type"] == "application/json"
        error = answer.json["error"]
        assert error
        assert "Traceback" not in error
        assert len(error) < 300


@pytest.mark.parametrize(
    "path",
    [
        "/tile?slide=s3&level={}&x=0&y=0",
        "/tile?slide=s3&level=10&x={}&y=0",
        "/crop?slide=s3&x=0&y=0&size={}",
        "/crop?slide=s3&x=0&y=0&size=64&px={}",
        "/crop?slide=s3&x={}&y=0&size=64",
        "/api/patches?slide=s3&region={}",
        "/api/neighbours?slide=s3&region=0&count={}",
        "/thumbnail?slide=s3&outline={}",
    ],
)
def test_numbers_that_are_none_are_named(viewer: Viewer, path: str):
    for number in NUMBERS:
        answer = viewer.get(path.format(quote(number)))
        if answer.status == 200:  # 1.5 is a place, but no level
            assert number in ("1.5", "-1")
            assert path.startswith("/crop")
            continue
        assert answer.status in (400, 404), (number, answer.body)
        assert "must be a" in answer.json["error"] or "outside of the slide" in answer.json["error"]


def test_what_an_address_lacks_is_named(viewer: Viewer):
    assert viewer.get("/tile?slide=s3&level=1&x=0").json == {"error": "the address lacks 'y='"}
    assert viewer.get("/api/slide").json == {"error": "the address lacks 'slide='"}


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from([*PATHS, "/{}", "/api/{}", "/api/cohort?{}", "/api/slide?{}"]),
    raw=st.binary(max_size=60),
)
def test_any_bytes(viewer: Viewer, unfinished: Unfinished, path: str, raw: bytes):
    for one in (viewer, unfinished.viewer):
        answer = one.get(path.format(quote(raw)))
        assert answer.status in (200, 400, 404)
        if answer.status != 200:
            error = answer.json["error"]
            assert error.isprintable()
            assert str(unfinished.folder) not in error
    assert viewer.get("/api/cohort").status == 200


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /../../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /page/../cohort.py HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /page/%2e%2e/app.py HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http://evil.example/api/cohort HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET /api/cohort HTTP/1.1\r\n\r\n",
        b"GET /api/cohort HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"GET /api/cohort HTTP/1.0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_requests_as_they_are_not_made(viewer: Viewer, request_bytes: bytes):
    with socket.create_connection(("127.0.0.1", viewer.port), 30) as connection:
        connection.sendall(request_bytes)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    status = answer.split(b"\r\n")[0]
    assert not answer or any(code in status for code in (b" 400 ", b" 403 ", b" 404 ", b" 431 "))
    assert b"root:" not in answer
    assert b"Traceback" not in answer
    assert viewer.get("/api/cohort").status == 200
