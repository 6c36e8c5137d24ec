"""The tutorials of docs/tutorials/: each block is written or typed as it stands, in its order.

A block after a line that ends with a file's name and a colon (`config.yaml`:) is that file. Blocks
of sh and python are run in a folder like a fresh checkout. Lines of a text block are what the block
before it prints: `...` stands for anything, and a decimal for one that is at most 0.05 off.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from tests.embedding.cardmaker import CARDS
from tests.embedding.networkmaker import bare
from tests.slidemaker import tissue_picture, write_slide
from tests.workflow.slurm_node import missing, single_node
from tests.workflow.test_pages import trident_folder

pytestmark = pytest.mark.workflow

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "tutorials"
SLIDES = ROOT / "tests" / "data" / "slides"

INSTEAD: dict[str, dict[str, str]] = {
    "own_slides": {
        # the environment is there
        "```console\ngit clone <this repository> hipt && cd hipt && make .venv/.ready "
        "&& . .venv/bin/activate\n```\n": "",
        # CMU-1-Small-Region, of which the page shows the maps
        "/data/slides": str(SLIDES),
        # an hour and a half of training
        "iterations: 6250, batch: 48": "iterations: 2, batch: 8",
        "warmup_iterations: 312": "warmup_iterations: 1",
    },
    "cluster": {
        # a painted slide
        "/data/slides": "<slides>",
        # random weights of one block of 24: nobody may pass on the file, which is 2.7 GB
        "hipt encoders verify uni2-h": "hipt weights show",
        "/models/uni2-h": "<models>",
        "{encoder: uni2-h,": "{encoder: uni2-h, encoder_args: {depth: 1},",
        # the node's GPU is a file that SLURM counts and nobody computes on; nobody waits until
        # engines were compared; and the node keeps no accounts
        "results: results\n": "results: results\ndevice: cpu\n",
        "embed:\n": "embed:\n  engine: torch\n",
        "s/ACCOUNT/pathology/": "s/ACCOUNT/pathology/; "
        "$ a slurm-status-command: squeue\\nslurm-init-seconds-before-status-checks: 2",
    },
    "from_trident": {
        # features and labels of twelve slides, drawn on the spot
        "/data/trident": "<trident>",
        "/data/labels.csv": "<trident>/labels.csv",
        # hours of training
        "regions: {weights: pretrain}": "regions: {weights: pretrain, "
        "shape: {depth: 1, dim: 16, heads: 2}}",
        "iterations: 20000": "iterations: 3, batch: 8, out_dim: 32, warmup_iterations: 1",
    },
    "qupath": {},
    "survival": {},
}
"""What is done otherwise than a reader does it: texts of a page, and what stands for them."""

_BLOCK = re.compile(r"^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
_CAPTION = re.compile(r"(?:.* )?`(?P<name>[\w./-]+\.\w+)`:")
_DECIMAL = re.compile(r"[+-]?\d+\.\d+")


@dataclass(frozen=True)
class Block:
    """One block of a page."""

    line: int
    kind: str
    text: str
    file: str | None


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a page in their order."""
    for found in _BLOCK.finditer(text):
        before = text[: found.start()].rstrip("\n").rpartition("\n")[2]
        caption = _CAPTION.fullmatch(before)
        line = text.count("\n", 0, found.start()) + 1
        yield Block(line, found["kind"], found["text"], caption["name"] if caption else None)


class Reader:
    """Somebody who does what a page says."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder, self.said = folder, ""
        self.environment = environment | {
            "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}",
            "PYTHONPATH": str(folder),
        }

    def do(self, block: Block) -> None:
        """Write, type or compare a block.

        Raises:
            AssertionError: if a command fails, prints something else than the page says, or if
                nobody would know what to do with the block.
        """
        if block.file:
            path = self.folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
        elif block.kind == "sh":
            self._type("bash", "-euo", "pipefail", "-c", block.text)
        elif block.kind == "python":
            self._type(sys.executable, "-c", block.text)
        else:
            assert block.kind == "text", f"line {block.line}: nobody knows what to do with this"
            assert is_said(block.text, self.said), f"line {block.line}: it says {self.said}"

    def _type(self, *command: str) -> None:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        self.said = done.stdout + done.stderr
        assert done.returncode == 0, f"{command[-1]}{self.said}"


def is_said(page: str, said: str) -> bool:
    """Whether a program said what the page shows, line after line."""
    lines = iter(said.splitlines())
    shown = [line for line in page.splitlines() if line.strip() != "..."]
    return all(any(_alike(line, other) for other in lines) for line in shown)


def _alike(line: str, other: str) -> bool:
    """Whether two lines agree: words, and decimals nearly."""
    text = " ".join(_DECIMAL.sub("#", line).split())
    pattern = re.escape(text).replace(r"\.\.\.", ".*").replace("\\#", _DECIMAL.pattern)
    if not re.fullmatch(pattern, " ".join(other.split())):
        return False
    numbers = zip(_DECIMAL.findall(line), _DECIMAL.findall(other), strict=True)
    return "..." in line or all(abs(float(a) - float(b)) <= 0.05 for a, b in numbers)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder like a fresh checkout; what a page may change in it is a copy."""
    folder = tmp_path / "hipt"
    folder.mkdir()
    for name in ("config", "workflow"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("Snakefile", "hipt", "environment.yml"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "profiles").symlink_to("workflow/profiles")
    (folder / "tests").mkdir()
    (folder / "tests" / "data").symlink_to(ROOT / "tests" / "data")
    return folder


def follow(
    name: str, checkout: Path, environment: Mapping[str, str] = os.environ, **places: Path
) -> None:
    """Do all that a page says.

    Args:
        name: the page's.
        checkout: where.
        environment: of whoever does it.
        places: what stands in <> in `INSTEAD`.
    """
    text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    for old, new in INSTEAD[name].items():
        assert old in text, f"{name}.md does not say {old!r} any more"
        for place, path in places.items():
            new = new.replace(f"<{place}>", str(path))
        text = text.replace(old, new)
    found = list(blocks(text))
    assert 2 * len(found) == len(re.findall(r"^ *```", text, re.M)), "a block is not found"
    reader = Reader(checkout, environment)
    for block in found:
        reader.do(block)


def test_every_tutorial_is_followed():
    assert {path.stem for path in FOLDER.glob("*.md")} == set(INSTEAD)


def test_what_is_said_is_compared():
    said = "one\nmean  0.71 (0.64 to 0.80)\nthree 3\n"
    assert is_said("one\nmean 0.70 (0.65 to 0.80)\n...\nthree ...", said)
    for wrong in ("two", "mean 0.60 (0.65 to 0.80)", "three 4", "three 3\none"):
        assert not is_said(wrong, said), wrong


def test_annotations_of_qupath(checkout: Path):
    follow("qupath", checkout)
    maps = {path.name for path in (checkout / "results" / "attend" / "CMU-1").iterdir()}
    assert {"component1.png", "qupath.geojson"} <= maps


@pytest.mark.whole("pretraining", "pages")
@pytest.mark.timeout(1200)
def test_own_slides(checkout: Path):
    follow("own_slides", checkout)
    assert (checkout / "own" / "report.html").is_file()


@pytest.mark.whole("embedding", "pages")
@pytest.mark.timeout(1200)
@pytest.mark.skipif(bool(missing()), reason=f"SLURM is not installed: no {missing()}")
def test_uni2_h_on_a_cluster(checkout: Path, tmp_path: Path):
    for name in ("slides", "models"):
        (tmp_path / name).mkdir()
    write_slide(tmp_path / "slides" / "a.svs", tissue_picture(1024, 768))
    bare(CARDS["uni2-h"].network(), tmp_path / "models")
    with (
        tempfile.TemporaryDirectory(prefix="hipt-") as node,  # sockets have short paths
        single_node(Path(node)) as environment,
    ):
        places = {name: tmp_path / name for name in ("slides", "models")}
        follow("cluster", checkout, environment, **places)
    page = (checkout / "results" / "report.html").read_text()
    assert "encoder_args.depth is 1" in page


@pytest.mark.whole("tasks", "exchange", "pretraining", "pages")
@pytest.mark.timeout(1200)
def test_from_trident_to_stage_2(checkout: Path, tmp_path: Path):
    trident = tmp_path / "trident"
    kinds = trident_folder(trident / "20x_256px_0px_overlap" / "features_uni_v2", 12, 24, 6144)
    labels = pl.DataFrame({"slide_id": list(kinds), "subtype": list(kinds.values())})
    labels.write_csv(trident / "labels.csv")
    follow("from_trident", checkout, trident=trident)
    assert (checkout / "results" / "stage2" / "models" / "vit4096.safetensors").is_file()


@pytest.mark.whole("tasks", "pages")
@pytest.mark.timeout(1200)
def test_a_survival_study(checkout: Path):
    follow("survival", checkout)
    assert (checkout / "results" / "report.html").is_file()
