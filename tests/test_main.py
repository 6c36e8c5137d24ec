"""`hipt STEP`: what is printed and how it ends, as a user or Snakemake sees it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hipt import __version__
from hipt.__main__ import main
from hipt.registry import COMMANDS

PRELUDE = """
import signal, sys, types
from pathlib import Path
from hipt.__main__ import main
from hipt.store.whole import whole

def become_tile(step):
    module = types.ModuleType("hipt.steps.tile")
    module.main = step
    sys.modules["hipt.steps.tile"] = module
    sys.exit(main(["tile", *sys.argv[1:]]))
"""
WAITS = """
import time
def step(args):
    with whole(Path(args[0])) as part:
        part.write_text("half")
        print("writing", flush=True)
        while True:
            time.sleep(0.1)
become_tile(step)
"""
FILLS_THE_DISK = """
import resource
import pyarrow as pa
from hipt.store.tables import write_table
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
def step(args):
    schema = pa.schema([pa.field("a", pa.int64())])
    write_table(Path(args[0]), {"a": list(range(10_000))}, schema)
become_tile(step)
"""
HAS_A_BUG = """
def step(args):
    {}["missing"]
become_tile(step)
"""
SAYS_THREADS = """
import os
def step(args):
    import numpy
    print(os.environ["OPENBLAS_NUM_THREADS"])
assert "numpy" not in sys.modules
become_tile(step)
"""


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "hipt", *args]


def ran(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(args, capture_output=True, text=True, timeout=60, check=False)


def script(text: str, *args: str) -> list[str]:
    return [sys.executable, "-c", PRELUDE + text, *args]


def test_version(capsys: pytest.CaptureFixture[str]):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


@pytest.mark.parametrize("args", [[], ["--help"], ["-h"], ["help"]])
def test_help_names_every_step(capsys: pytest.CaptureFixture[str], args: list[str]):
    assert main(args) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.startswith("usage: hipt STEP")
    for name, step in COMMANDS.items():
        assert f"  {name:15}{step.help}\n" in said.out


def test_no_such_step(capsys: pytest.CaptureFixture[str]):
    assert main(["tiel"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("hipt: no step 'tiel'\n")


def test_what_the_user_can_mend_is_one_sentence(tmp_path: Path):
    config = tmp_path / "config.yaml"
    config.write_text("tile: {min_tisue: 0.2}\n")
    done = ran(*command("tile", "--segment", "x", "--out", "y", "--cfg", str(config)))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        f"hipt tile: {config}: unknown key 'tile.min_tisue'; did you mean 'min_tissue'?\n"
    )


def test_products_of_numpy_have_one_thread(monkeypatch: pytest.MonkeyPatch):
    """Whatever Snakemake has set for the rule, and before NumPy looks."""
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "16")
    done = ran(*script(SAYS_THREADS))
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


def test_a_bug_keeps_its_traceback():
    done = ran(*script(HAS_A_BUG))
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert done.stderr.endswith("KeyError: 'missing'\n")


def test_a_full_disk_is_one_sentence_and_leaves_no_part(tmp_path: Path):
    done = ran(*script(FILLS_THE_DISK, str(tmp_path / "a.parquet")))
    assert done.returncode == 2
    assert done.stderr == (
        f"hipt tile: no space left to write {tmp_path}/a.parquet (File too large); "
        "free some and run again, finished slides are kept\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_leaves_no_part(tmp_path: Path, asked: signal.Signals):
    process = subprocess.Popen(
        script(WAITS, str(tmp_path / "a.png")),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "writing\n"
    process.send_signal(asked)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + asked
    assert said == f"hipt tile: stopped by {asked.name}\n"
    assert list(tmp_path.iterdir()) == []


def test_asked_to_stop_while_it_is_imported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def stopped(name: str) -> None:  # noqa: ARG001
        signal.raise_signal(signal.SIGTERM)

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    monkeypatch.setattr("importlib.import_module", stopped)
    try:
        with pytest.raises(SystemExit, match="143"):
            main(["tile"])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert capsys.readouterr().err == "hipt tile: stopped by SIGTERM\n"
