"""`hipt view` as a person starts it: what it prints, how it ends, and many readers at once."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest

from hipt.errors import HiptError
from hipt.steps import view
from hipt.store.schemas import SLIDES
from hipt.store.tables import read_table, write_table
from hipt.view.server import link, listening
from tests.view.conftest import Viewer


class Started:
    """A `hipt view` of its own process."""

    def __init__(self, made: Path, *more: str) -> None:
        config = made.parent / "view.yaml"
        args = ["--cfg", str(config), "--results", str(made), *more]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hipt", "view", *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.line = self.process.stdout.readline()
        found = re.match(r"http://[^:/]+:([0-9]+)/", self.line)
        assert found, self.line + self.process.stderr.read()
        self.viewer = Viewer(int(found[1]))

    def end(self, number: int) -> tuple[int, float, str]:
        """Exit code, seconds until it ended, and what it said on stderr."""
        start = time.monotonic()
        self.process.send_signal(number)
        _, error = self.process.communicate(timeout=60)
        return self.process.returncode, time.monotonic() - start, error


@pytest.fixture
def start(made: Path) -> Iterator[object]:
    """Starts it; whatever still runs is killed."""
    running: list[Started] = []
    (made.parent / "view.yaml").write_text("{}\n")

    def started(*more: str) -> Started:
        running.append(Started(made, *more))
        return running[-1]

    yield started
    for one in running:
        one.process.kill()
        one.process.communicate()


def state_of(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*")}


def test_twenty_readers_then_killed_and_started_again(start, made: Path):
    """All get the same; nothing is written; what was killed starts again at once."""
    before = state_of(made)
    first = start("--port", "0")
    port = first.viewer.port
    assert first.line == f"http://127.0.0.1:{port}/  (Ctrl-C ends it)\n"
    paths = ["/api/cohort", "/api/slide?slide=s1", "/tile?slide=s1&level=10&x=1&y=1"]
    paths += ["/map?slide=s1&layer=attention", "/api/neighbours?slide=s1&region=1"]
    paths += ["/crop?slide=s2&x=0&y=0&size=99", "/thumbnail?slide=s2&outline=0", "/api/nothing"]
    while not first.viewer.get(paths[4]).json["exact"]:
        time.sleep(0.1)
    expected = [first.viewer.get(path) for path in paths]
    together = threading.Barrier(20)

    def read(reader: int) -> list[tuple[int, bytes]]:
        together.wait()
        turned = paths[reader % len(paths) :] + paths[: reader % len(paths)]
        got = {path: first.viewer.get(path) for path in turned}
        return [(got[path].status, got[path].body) for path in paths]

    with ThreadPoolExecutor(20) as pool:
        for answers in pool.map(read, range(20)):
            assert answers == [(answer.status, answer.body) for answer in expected]
    first.process.send_signal(signal.SIGKILL)
    first.process.wait(60)
    again = start("--port", str(port))
    assert again.viewer.get("/api/cohort").body == expected[0].body
    assert state_of(made) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_at_once_and_says_nothing(start, number: signal.Signals):
    one = start("--port", "0")
    assert one.viewer.get("/api/slide?slide=s0").status == 200
    idle = socket.create_connection(("127.0.0.1", one.viewer.port))  # a browser that stays
    code, seconds, error = one.end(number)
    idle.close()
    assert (code, error) == (128 + number, "")
    assert seconds < 20  # 1 s of grace, on machines that have other work too
    start("--port", str(one.viewer.port))


def test_another_address_takes_a_token(start):
    one = start("--port", "0", "--host", "0.0.0.0")
    name = re.escape(socket.gethostname())
    found = re.fullmatch(rf"http://{name}:[0-9]+/\?token=([\w-]{{32}})  \(Ctrl-C .*\)\n", one.line)
    assert found, one.line
    assert one.viewer.get("/api/cohort").status == 403
    cookie = one.viewer.get(f"/?token={found[1]}").headers["Set-Cookie"].partition(";")[0]
    assert one.viewer.get("/api/cohort", Cookie=cookie).status == 200
    other = start("--port", "0", "--token")
    assert "?token=" in other.line
    assert other.viewer.get("/api/cohort", Cookie=cookie).status == 403


def refused(*args: str) -> str:
    with pytest.raises(HiptError) as caught:
        view.main(args)
    return str(caught.value)


def test_what_cannot_be_viewed_is_one_sentence(tmp_path: Path, made: Path):
    config = tmp_path / "c.yaml"
    config.write_text(f"results: {tmp_path}/results\n")
    common = ("--cfg", str(config))
    assert "results: no such folder of results; run `snakemake` first" in refused(*common)
    (tmp_path / "results").mkdir()
    assert "is not a folder of hipt's results" in refused(*common)
    config.write_text(f"results: {made}\n")
    assert "must be from 0 to 65535" in refused(*common, "--port", "65536")
    assert "is no address of this machine" in refused(*common, "--host", "192.0.2.1")
    assert "no machine of this name" in refused(*common, "--host", "no-such-host.invalid")
    with listening("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert f"--port {port}: is taken" in refused(*common, "--port", str(port))
    assert "no such config file" in refused("--cfg", str(tmp_path / "none.yaml"))


def test_links():
    assert link("::1", 8, "") == "http://[::1]:8/"
    assert link("10.0.0.1", 8, "x") == "http://10.0.0.1:8/?token=x"
    assert link("::", 8, "x") == f"http://{socket.gethostname()}:8/?token=x"


def test_a_table_with_an_id_that_is_a_path_is_refused(made: Path, tmp_path: Path, serve):
    """Results of others may hold anything."""
    table = pl.DataFrame(read_table(made / "slides.parquet"))
    row = table.head(1).with_columns(slide_id=pl.lit("../../secret"))
    write_table(tmp_path / "slides.parquet", pl.concat([table, row]).to_arrow(), SLIDES)
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    answer = serve(tmp_path).get("/thumbnail?slide=../../secret")
    assert answer.status == 404
    assert b"secret" not in answer.body
