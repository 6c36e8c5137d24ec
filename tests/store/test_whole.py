"""Whole or absent, whatever happens while a file is written; fingerprints that stay."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hipt.store.whole import whole

WRITER = """
import sys, time
from pathlib import Path
from hipt.store.whole import whole
with whole(Path(sys.argv[1])) as part, part.open("wb") as file:
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    time.sleep(60)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def half_written(path: Path) -> subprocess.Popen[str]:
    """Another process in the middle of writing `path`."""
    command = [sys.executable, "-c", WRITER, str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    return process


def killed(process: subprocess.Popen[str]) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()


def test_written_file_is_there_under_its_name_alone(tmp_path: Path):
    path = tmp_path / "new" / "a.b.parquet"
    with whole(path) as part:
        assert part.parent == path.parent
        assert part.suffix == ".parquet"
        assert not path.exists()
        part.write_text("x")
    assert names(path.parent) == ["a.b.parquet"]
    assert path.read_text() == "x"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, OSError])
def test_an_exception_leaves_the_old_file_and_no_part(tmp_path: Path, error: type[BaseException]):
    path = tmp_path / "a.png"
    path.write_text("old")

    def write() -> None:
        with whole(path) as part:
            part.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert names(tmp_path) == ["a.png"]
    assert path.read_text() == "old"


def test_a_writer_that_is_killed_leaves_the_old_file_and_its_part_is_swept(tmp_path: Path):
    path = tmp_path / "a.png"
    path.write_text("old")
    killed(half_written(path))
    assert path.read_text() == "old"
    assert len(names(tmp_path)) == 2  # the dead writer's part
    with whole(path) as part:
        part.write_text("new")
    assert names(tmp_path) == ["a.png"]
    assert path.read_text() == "new"


def test_a_part_that_is_being_written_is_not_swept(tmp_path: Path):
    path = tmp_path / "[a].png"
    other = half_written(path)
    with whole(path) as part:
        part.write_text("new")
    assert len(names(tmp_path)) == 2
    killed(other)
    with whole(path) as part:
        part.write_text("newer")
    assert names(tmp_path) == ["[a].png"]


def test_all_parts_of_dead_writers_are_swept(tmp_path: Path):
    path = tmp_path / "a.png"
    writers = [half_written(path) for _ in range(3)]
    assert len(names(tmp_path)) == 3
    killed(writers[0])
    killed(writers[2])
    with whole(path) as part:
        assert part.read_bytes() == b""
        part.write_text("new")
    assert len(names(tmp_path)) == 2  # the file, and the part of the writer that lives
    killed(writers[1])
    with whole(path) as part:
        part.write_text("newer")
    assert names(tmp_path) == ["a.png"]
    assert path.read_text() == "newer"


LISTER = """
import sys
from pathlib import Path
from hipt.store.whole import whole
listed = []
def hear(event, args):
    if event in ("os.listdir", "os.scandir"):
        listed.append(args)
folder = Path(sys.argv[1])
sys.addaudithook(hear)
list(folder.iterdir())
assert len(listed) == 1, "nothing is heard"
for number in range(20):
    with whole(folder / f"{number}.png") as part:
        part.write_text("x")
print(len(listed) - 1)
"""


def test_writing_a_file_lists_no_folder(tmp_path: Path):
    """Else ten thousand slides would list a folder of ten thousand files ten thousand times."""
    done = subprocess.run(
        [sys.executable, "-c", LISTER, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "0"
    assert len(names(tmp_path)) == 20


def test_a_disk_without_locks_has_parts_that_nobody_shares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr("fcntl.flock", refuse)
    path = tmp_path / "a.png"
    with whole(path) as one, whole(path) as other:
        assert one != other
        one.write_text("1")
        other.write_text("2")
    assert names(tmp_path) == ["a.png"]
    assert path.read_text() == "1"


def test_two_writers_do_not_meet(tmp_path: Path):
    path = tmp_path / "a.bin"

    def write(byte: bytes) -> None:
        for _ in range(10):
            with whole(path) as part:
                part.write_bytes(byte * 10_000)

    threads = [threading.Thread(target=write, args=(byte,)) for byte in (b"x", b"y", b"z")]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if path.exists():
            content = path.read_bytes()
            assert content == content[:1] * 10_000
    assert names(tmp_path) == ["a.bin"]


def test_the_longest_id_has_room_for_its_part(tmp_path: Path):
    with whole(tmp_path / f"{'é' * 100}.geojson") as part:
        part.write_text("x")
    assert len(names(tmp_path)) == 1
