"""Pages of docs/ that answer one question: what they say to write and to type is done here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from safetensors import safe_open

from hipt.config.config import PatchEncoderConfig
from hipt.config.presets import presets
from hipt.embedding.packaged import weights_file
from tests.tridentmaker import JOB, write_trident
from tests.workflow.project import PRETRAIN, ROOT, SHAPE, Project, Ran

pytestmark = pytest.mark.workflow

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
PATCH_PX = 256


class Page:
    """The blocks of a page, with its places in a folder of the test."""

    def __init__(self, name: str, project: Project, **places: Path | str) -> None:
        self.project = project
        text = (ROOT / "docs" / name).read_text(encoding="utf-8")
        for old, new in places.items():
            text = text.replace(old, str(new))
        self.blocks = BLOCK.findall(text)

    def of(self, kind: str) -> list[str]:
        return [text for block, text in self.blocks if block == kind]

    def configure(self, *blocks: str) -> None:
        """Write config.yaml: one block, or several whose sections come one after the other."""
        (self.project.folder / "config.yaml").write_text("".join(blocks))

    def run(self, block: str) -> Ran:
        """Type the lines of a block, `hipt` and `snakemake` those of this checkout."""
        texts, rc = list[str](), 0
        for line in block.splitlines():
            if line.startswith("snakemake "):
                done = self.project.run(*line.split()[3:])
                rc, text = rc or done.rc, done.text
            else:
                hipt = f"{sys.executable} -m hipt"
                typed = re.sub(r"^hipt\b", hipt, line)
                shell = subprocess.run(
                    ["bash", "-euo", "pipefail", "-c", typed],
                    cwd=self.project.folder,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                rc, text = rc or shell.returncode, shell.stdout + shell.stderr
            texts.append(text)
        return Ran(rc, "\n".join(texts), 0)


def trident_folder(folder: Path, slides: int, dim: int, side_px: int) -> dict[str, str]:
    """Features of slides of two kinds, in TRIDENT's files; the kind of each slide."""
    rng = np.random.default_rng(0)
    steps = np.arange(0, side_px, PATCH_PX)
    coords = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)  # (N, 2)
    kinds, between = {}, rng.normal(0, 2, dim)  # (D,)
    for number in range(slides):
        name = f"{number:04}"
        kinds[name] = ("IDC", "ILC")[number % 2]
        kept = coords[rng.random(len(coords)) < 0.9]
        features = rng.normal(0, 1, (len(kept), dim)) + (number % 2 - 0.5) * between
        write_trident(folder, name, features, kept, size_px=(side_px, side_px))
    return kinds


@pytest.mark.whole("tasks", "exchange", "pages")
def test_a_trident_folder_becomes_a_task_with_its_report(tmp_path: Path):
    """No slide is there: features of twelve, and all that docs/from_trident.md says."""
    features = tmp_path / "trident" / JOB / "features_uni_v2"
    kinds = trident_folder(features, 12, 24, 6144)
    project = Project(tmp_path / "p")
    project.folder.mkdir()
    page = Page("from_trident.md", project, **{"/data/trident": tmp_path / "trident"})
    (make_sheet, check, first, second), (config, task, _) = page.of("sh"), page.of("yaml")
    assert page.run(make_sheet).rc == 0
    assert [row["slide_id"] for row in project.read_sheet()] == sorted(kinds)
    assert {row["path"] for row in project.read_sheet()} == {""}

    page.configure(config)
    checked = page.run(check)
    assert checked.rc == 0, checked.text
    assert "12 of 12 slides have a file that fits" in checked.text
    assert "embed.regions: none, the mean of a region's patch vectors" in checked.text
    assert "has no path in the sheet: no such file" not in checked.text
    ran = page.run(first)
    assert ran.rc == 0, ran.text
    table = pl.read_parquet(project.results / "slides.parquet")
    assert set(table["status"]) == {"ok"}
    assert table["note"].str.contains("its file is not there").all()

    for name, kind in kinds.items():
        project.change_row(name, subtype=kind)
    page.configure(config, task)
    checked = page.run(check)
    assert "IDC 6 (6 cases), ILC 6 (6 cases); 3 folds" in checked.text
    ran = page.run(second)
    assert ran.rc == 0, ran.text
    assert "embed_patches" not in ran.jobs
    assert_subtypes_are_found(project, kinds)
    assert project.run("--dry-run").jobs == {}


def assert_subtypes_are_found(project: Project, kinds: dict[str, str]) -> None:
    """By the linear model, neighbours and the probe; with maps, and on the page."""
    results = project.results
    scores = pl.read_parquet(results / "tasks" / "subtype" / "scores.parquet")
    assert set(scores["model"]) == {"linear", "abmil"}
    voted = pl.read_parquet(results / "knn" / "subtype.scores.parquet")
    for table in (scores.filter(pl.col("model") == "linear"), voted):
        auc = table.filter((pl.col("metric") == "auc") & pl.col("fold").is_null())["value"]
        assert auc.min() == 1
    probe = pl.read_parquet(results / "probe.parquet").filter(pl.col("method") == "knn")
    assert probe["features"].to_list() == ["trained", "mean of patches"]
    assert probe["balanced_accuracy"].to_list() == [1, 1]
    assert {path.name for path in (results / "attend").glob("*.parquet")} == {
        f"{name}.parquet" for name in kinds
    }
    text = (results / "report.html").read_text()
    for part in ('id="tasks"', "subtype: scores", "imported: uni_v2"):
        assert part in text, part


@pytest.mark.whole("pretraining", "pages")
def test_stage_2_is_trained_on_the_widest_vectors(tmp_path: Path):
    """3,072 wide, as Midnight's and H0-mini's double are; by the page's last block."""
    trident_folder(tmp_path / "trident" / JOB / "features_uni_v2", 4, 3072, 2048)
    project = Project(tmp_path / "p")
    project.folder.mkdir()
    page = Page("from_trident.md", project, **{"/data/trident": tmp_path / "trident"})
    assert page.run(page.of("sh")[0]).rc == 0
    config, _, stage_2 = (yaml.safe_load(block) for block in page.of("yaml"))
    small = {"tile": {"region_px": 1024}, "pretrain": {"regions": PRETRAIN["regions"]}}
    stage_2["embed"]["regions"] |= {"shape": SHAPE}
    page.configure(yaml.safe_dump(config | small | stage_2))
    ran = project.run()
    assert ran.rc == 0, ran.text
    assert (ran.jobs["pretrain_regions"], ran.jobs["embed_regions"]) == (1, 1)
    with safe_open(project.results / "models" / "vit4096.safetensors", "np") as file:
        shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118
    assert [16, 3072] in shapes  # from a patch's vector to a token
    vectors = pl.read_parquet(project.results / "embed_regions" / "0000.parquet")["embedding"]
    assert vectors.to_numpy().shape == (4, 16)


NO_NETWORK = """\
import socket
from pathlib import Path

Path({marker!r}).touch()
connect = socket.socket.connect


def refused(self, address):
    if self.family != socket.AF_UNIX:
        raise OSError(f"a connection to {{address}} was asked for")
    return connect(self, address)


socket.socket.connect = socket.socket.connect_ex = refused
"""
"""sitecustomize.py: what every Python runs first."""


@pytest.mark.whole("embedding", "pages")
def test_nothing_is_fetched_on_a_cluster_without_internet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Real weights and a real slide; docs/offline.md from the copied files on."""
    name = "efficientnet-lite0"
    installed = weights_file(PatchEncoderConfig(encoder=name))
    if installed is None:
        pytest.skip(f"needs {presets()[name].install}")
    for folder in ("models", "slides", "site", "p"):
        (tmp_path / folder).mkdir()
    (tmp_path / "models" / installed.name).symlink_to(installed)
    slide = ROOT / "tests" / "data" / "slides" / "CMU-1-Small-Region.svs"
    (tmp_path / "slides" / "a.svs").symlink_to(slide)
    marker = tmp_path / "started"
    (tmp_path / "site" / "sitecustomize.py").write_text(NO_NETWORK.format(marker=str(marker)))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'site'}:{ROOT}")
    places = {"/models": tmp_path / "models", "/data/slides": tmp_path / "slides"}
    project = Project(tmp_path / "p")
    page = Page("offline.md", project, **places)
    shown, verified, used = page.of("sh")
    card, verify = page.run(shown), page.run(verified)
    assert marker.exists()
    assert "pytorch_model.bin from https://huggingface.co/MahmoodLab/UNI2-h" in card.text
    assert (card.rc, verify.rc) == (0, 0), verify.text
    assert ": the published efficientnet-lite0-57934424.pth" in verify.text
    page.configure(*page.of("yaml"))
    use = page.run(used)
    assert use.rc == 0, use.text
    table = pl.read_parquet(project.results / "slides.parquet")
    assert table["status"].to_list() == ["ok"]
    assert (project.results / "report.html").is_file()
