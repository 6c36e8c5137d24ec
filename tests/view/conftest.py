"""Real results, made once, and the viewer over them: a real server that tests ask by HTTP."""

from __future__ import annotations

import http.client
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from hipt.config.config import Config
from hipt.layout import Results
from hipt.view.app import application
from hipt.view.security import Rules
from hipt.view.server import listening, server
from tests.once import made_once
from tests.slidemaker import tissue_picture, write_slide
from tests.steps.conftest import Chain
from tests.steps.mapped import TASKS, make
from tests.view.looked import ODD, REAL, Looked, make_scene

GONE = "gone"
"""A slide whose file is taken away after its steps."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Viewer:
    """A server to ask."""

    port: int

    def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """Ask for a path exactly as it stands there."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, headers=named)
            got = connection.getresponse()
            return Answer(got.status, got.headers, got.read())
        finally:
            connection.close()


Serve = Callable[..., Viewer]


@pytest.fixture(scope="session")
def serve() -> Iterator[Serve]:
    """Starts a viewer of some results; all end with the tests."""
    running: list[tuple[uvicorn.Server, threading.Thread, Any]] = []

    def started(results: Path, config: Config | None = None, rules: Rules | None = None) -> Viewer:
        at = listening("127.0.0.1", 0)
        app = application(Results(results), config or Config(), rules or Rules("127.0.0.1"))
        made = server(app)
        thread = threading.Thread(target=made.run, kwargs={"sockets": [at]})
        thread.start()
        running.append((made, thread, at))
        while not made.started:
            time.sleep(0.01)
        return Viewer(at.getsockname()[1])

    yield started
    for made, thread, at in running:
        made.should_exit = True
        thread.join(30)
        at.close()


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run: twelve slides of six cases, two tasks, heatmaps of all. Not to be changed."""

    def fill(folder: Path) -> None:
        make(folder)
        chain = Chain(folder)
        chain.values |= {"tasks": TASKS}
        chain.call("attend")

    return made_once(tmp_path_factory, "viewed", fill) / "results"


@pytest.fixture(scope="session")
def viewer(serve: Serve, made: Path) -> Viewer:
    """The viewer of the finished run."""
    return serve(made)


@dataclass(frozen=True)
class Unfinished:
    """A run that has only segmented and tiled."""

    folder: Path
    config: Config
    viewer: Viewer


@pytest.fixture(scope="session")
def unfinished(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Unfinished:
    """A run that goes on: a real slide, an odd id, a file that went, one that never was."""
    folder = tmp_path_factory.mktemp("unfinished")
    chain = Chain(folder)
    shutil.copy(REAL, folder / "real.svs")
    for name in ("odd", GONE):
        write_slide(folder / f"{name}.svs", tissue_picture(768, 512))
    chain.sheet(
        f"slide_id,path,case_id\nreal,real.svs,c1\n{ODD},odd.svs,c2\n{GONE},{GONE}.svs,c3\n"
        "never,never.svs,c4\n"
    )
    chain.upto("tile")
    (folder / f"{GONE}.svs").unlink()
    config = Config.model_validate(chain.values | {"results": str(chain.results.root)})
    return Unfinished(folder, config, serve(chain.results.root, config))


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As hard a cohort as the page can meet. Not to be changed."""
    return made_once(tmp_path_factory, "looked", make_scene)


@pytest.fixture(scope="session")
def address(serve: Serve, scene: Path) -> str:
    """Where it is looked at."""
    return f"http://127.0.0.1:{serve(scene / 'results').port}/"


@pytest.fixture
def look(browser: Any, address: str) -> Iterator[Looked]:
    """Its page; at the end nothing may have complained."""
    made = Looked(browser, address)
    yield made
    made.end()
