"""`hipt verify`: one thing is changed at a time, and its sentence is read."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hipt.audit.manifest import HEADER
from hipt.config.config import Config
from hipt.config.step_settings import task_settings
from hipt.embedding.weights_files import read_weights, write_weights
from hipt.errors import HiptError
from hipt.registry import COMMANDS, EVERY_SLIDE
from hipt.steps import fit, split, verify
from hipt.store.shard import read_provenance
from hipt.store.tables import matrix, read_table, vectors, write_table
from tests.steps.conftest import Chain
from tests.steps.mapped import TASKS, cohort


class Pair:
    """Results as they were, and a copy that tests change."""

    def __init__(self, old: Path, chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
        self.old, self.chain, self.new = old, chain, chain.results.root
        self._capsys = capsys

    def rerun(self, first: str, **values: Any) -> None:
        """The steps from one on, with other values of the config."""
        self.chain.values |= values
        for step in EVERY_SLIDE[EVERY_SLIDE.index(first) :]:
            self.chain.call(step)

    def says(self, *args: str) -> str:
        """What `hipt verify` prints of the copy; its last line where it ends with code 2."""
        self._capsys.readouterr()
        try:
            verify.main(["--results", str(self.new), "--threads", "2", *args])
        except HiptError as error:
            return f"{self._capsys.readouterr().out}{error}\n"
        return self._capsys.readouterr().out

    def rows(self, against: Path | None = None) -> dict[str, tuple[str, str, str]]:
        """The table of differences: whose, files and why, by step; each step once."""
        listed = self.chain.folder / "listed.csv"
        self.says("--against", str(against or self.old), "--list", str(listed))
        with listed.open(newline="") as file:
            lines = list(csv.DictReader(file))
        steps = dict.fromkeys(line["step"] for line in lines)
        return {
            step: (
                ", ".join(sorted({one["of"] for one in lines if one["step"] == step})),
                str(sum(one["step"] == step for one in lines)),
                " | ".join(dict.fromkeys(one["why"] for one in lines if one["step"] == step)),
            )
            for step in steps
        }


@pytest.fixture
def pair(chain: Chain, made: Path, capsys: pytest.CaptureFixture[str]) -> Pair:
    cohort(chain, made, fitted=True)
    return Pair(made / "results", chain, capsys)


@pytest.fixture
def manifest(pair: Pair, tmp_path: Path) -> Path:
    """The manifest of the results as they were."""
    path = tmp_path / "manifest.csv"
    verify.main(["--results", str(pair.old), "--write", str(path)])
    return path


def flip(path: Path, share: float) -> None:
    """Turn one bit of a file."""
    data = bytearray(path.read_bytes())
    data[int(share * len(data))] ^= 1
    path.write_bytes(data)


def test_equal_results_are_one_line(pair: Pair, manifest: Path):
    lines = manifest.read_text().splitlines()
    assert pair.says("--against", str(pair.old)) == f"{len(lines) - 1} files equal\n"
    assert pair.says("--against", str(manifest)) == f"{len(lines) - 1} files equal\n"
    assert lines[0] == ",".join(HEADER)
    assert lines[1:] == sorted(lines[1:])
    assert not any(name in manifest.read_text() for name in (str(pair.old), "benchmarks", "logs"))


def test_equal_results_have_equal_manifests(pair: Pair, manifest: Path, tmp_path: Path):
    again = tmp_path / "again.csv"
    output = pair.says("--write", str(again))
    assert output == f"{len(manifest.read_text().splitlines()) - 1} files written to {again}\n"
    assert again.read_bytes() == manifest.read_bytes()


@pytest.mark.parametrize("against_manifest", [False, True])
def test_a_setting(pair: Pair, manifest: Path, *, against_manifest: bool):
    pair.rerun("tile", tile={"region_px": 256, "patch_px": 64, "min_tissue": 0.7})
    pair.chain.table()
    against = manifest if against_manifest else pair.old
    result = pair.rows(against)
    assert set(result) >= {"tile", "embed_patches", "embed_regions", "slides"}
    assert "segment" not in result
    assert result["tile"][2] == "setting tile.min_tissue: 0.1 -> 0.7 | follows from tile"
    for step, one in (("embed_patches", "tile"), ("embed_regions", "embed_patches")):
        whys = {f"follows from {one}", f"follows from {step}"}
        assert set(result[step][2].split(" | ")) == whys
    output = pair.says("--against", str(against))
    assert output.count("min_tissue") == 1
    assert "12 slides (s0, s1, s10, ...)" in output
    assert output.splitlines()[-1].startswith(f"{pair.new} differs from {against} in ")


def test_steps_stand_in_their_order(pair: Pair):
    pair.rerun("segment", segment={"mask_mpp": 4.0})
    lines = pair.says("--against", str(pair.old)).splitlines()[1:-1]
    steps = list(dict.fromkeys(line.split()[0] for line in lines))
    assert steps[:4] == list(EVERY_SLIDE)
    assert "setting mask_mpp: 8.0 -> 4.0" in lines[0]


def test_a_version_of_a_step(pair: Pair, monkeypatch: pytest.MonkeyPatch):
    step = COMMANDS["embed_regions"]
    monkeypatch.setitem(COMMANDS, "embed_regions", replace(step, version=99))
    pair.rerun("embed_regions")
    result = pair.rows()
    assert set(result) == {"embed_regions"}
    output = f"another version of the step: {step.version} -> 99"
    assert result["embed_regions"][2].startswith(output)


def test_other_weights(pair: Pair):
    embed = pair.chain.values["embed"]
    pair.rerun("embed_patches", embed=embed | {"patches": embed["patches"] | {"random": 7}})
    result = pair.rows()
    assert next(iter(result)) == "embed_patches"
    assert result["embed_patches"][2].startswith("other weights: random:1 -> random:7 | ")


def test_another_precision(pair: Pair):
    pair.rerun("embed_patches", embed=pair.chain.values["embed"] | {"precision": "bf16"})
    why = pair.rows()["embed_patches"][2]
    assert why == "precision: fp32 -> bf16 | follows from embed_patches"


def test_another_slide_file(pair: Pair):
    shutil.copy(pair.chain.folder / "s1.svs", pair.chain.folder / "s0.svs")
    pair.rerun("segment")
    result = pair.rows()
    assert "another slide file" in result["segment"][2]
    assert result["segment"][0] == "batch b0000, slide s0"


def test_another_resolution_in_the_sheet(pair: Pair):
    sheet = pair.chain.folder / "slides.csv"
    header, first, *rest = sheet.read_text().splitlines()
    lines = [f"{header},mpp", f"{first},0.4", *(f"{line}," for line in rest)]
    pair.chain.sheet("\n".join(lines) + "\n")
    pair.rerun("segment")
    result = pair.rows()
    assert "another resolution of the slide: 0.5 -> 0.4 um/px" in result["segment"][2]


def test_other_software(pair: Pair):
    for path in (pair.new / "embed_regions").glob("*.parquet"):
        made = read_provenance(path)
        table = read_table(path)
        other = {**made.software, "torch": "1.0"}
        write_table(path, table, table.schema, type(made)(**{**vars(made), "software": other}))
    why = pair.rows()["embed_regions"][2]
    assert why.startswith("torch: ")
    assert why.endswith("-> 1.0")


def test_a_file_that_is_missing_and_one_too_many(pair: Pair, manifest: Path):
    (pair.new / "tile" / "s3.parquet").unlink()
    (pair.new / "tile" / "s99.parquet").write_bytes(b"x")
    output = pair.says("--against", str(manifest))
    assert "slide s3   tile/s3.parquet   missing file" in output
    assert "slide s99  tile/s99.parquet  extra file" in output
    assert output.splitlines()[-1].endswith("in 2 of 114 files")


def nudged(path: Path, by: float) -> None:
    """Region embeddings with one number moved; the provenance stays."""
    table, made = read_table(path), read_provenance(path)
    values = matrix(table["embedding"]).copy()
    values[0, 3] += np.float32(by)
    table = table.set_column(
        table.column_names.index("embedding"), table.schema.field("embedding"), vectors(values)
    )
    write_table(path, table, table.schema, made)


def test_other_numbers_with_the_same_provenance(pair: Pair, manifest: Path):
    nudged(pair.new / "embed_regions" / "s4.parquet", 0.25)
    why = pair.rows()["embed_regions"][2]
    assert why == (
        "same provenance, other bytes: nondeterminism or damage; "
        "column 'embedding': largest absolute difference 0.25"
    )
    nudged(pair.new / "embed_regions" / "s5.parquet", 0.5)
    line = next(x for x in pair.says("--against", str(pair.old)).splitlines() if "embed" in x)
    assert line.startswith("embed_regions  2 slides (s4, s5)  2 ")
    assert line.endswith(
        "(e.g. embed_regions/s4.parquet: column 'embedding': largest absolute difference 0.25)"
    )
    why = pair.rows(manifest)["embed_regions"][2]
    assert why == "same provenance, other bytes: nondeterminism or damage"


def test_the_same_content_written_differently_is_equal(pair: Pair):
    path = pair.new / "tile" / "s4.parquet"
    table = pq.read_table(path)
    pq.write_table(table, path, compression="gzip")
    output = pair.says("--against", str(pair.old))
    assert "equal content, written differently" in output
    assert output.splitlines()[-1] == "113 files equal, 1 of them in content alone"


def test_a_weights_file_with_other_numbers(pair: Pair):
    path = pair.new / "tasks/grade/hipt/1/fold_0.safetensors"
    result = read_weights(path)
    state = {name: tensor.clone() for name, tensor in result.state.items()}
    state["logits"][0, 0] += 0.5
    write_weights(path, state, result.metadata)
    assert "tensors: largest absolute difference 0.5" in pair.rows()["fit"][2]


def test_other_fits_of_a_task(pair: Pair):
    tasks = {**TASKS, "grade": {**TASKS["grade"], "fit": {"epochs": 2}}}
    config = Config.model_validate(pair.chain.values | {"tasks": tasks})
    settings = task_settings("fit", config, "grade").model_dump_json()
    results = pair.chain.results
    common = ["--slides", str(results.slides), "--cfg", settings]
    common += ["--folds", str(results.task("grade", "folds.parquet"))]
    fit.main([*common, "--out", str(results.fit("grade", "hipt", "1", "predictions.parquet"))])
    result = pair.rows()
    assert set(result) == {"fit"}
    assert result["fit"][0] == "task grade/hipt/1"
    assert result["fit"][2].split(" | ")[0] == "setting fit.epochs: 1 -> 2"


def test_other_labels_of_a_task(pair: Pair):
    """The cause is named once, at the folds; the fits follow."""
    config = Config.model_validate(pair.chain.values | {"tasks": TASKS})
    results, sheet = pair.chain.results, pair.chain.folder / "slides.csv"
    sheet.write_text(sheet.read_text().replace("c5,b", "c5,a"))
    folds = results.task("grade", "folds.parquet")
    common = ["--slides", str(results.slides), "--cfg"]
    settings = task_settings("split", config, "grade").model_dump_json()
    leaks = ["--leaks", str(folds.with_name("leaks.parquet"))]
    split.main([*common, settings, *leaks, "--out", str(folds)])
    settings = task_settings("fit", config, "grade").model_dump_json()
    for model in TASKS["grade"]["models"]:
        out = ["--out", str(results.fit("grade", model, "1", "predictions.parquet"))]
        fit.main([*common, settings, "--folds", str(folds), *out])
    result = pair.rows()
    assert set(result) == {"split", "fit"}
    assert "other labels, cases or sites" in result["split"][2]
    assert set(result["fit"][2].split(" | ")) <= {"follows from split", "follows from split, fit"}


def flipped_in(step: str, suffix: str, share: float) -> Callable[[Path], Path]:
    """What turns a bit in a slide's file of a step."""

    def turn(root: Path) -> Path:
        path = root / step / f"s5{suffix}"
        flip(path, share)
        return path

    return turn


FLIPS = {
    "manifest": flipped_in("tile", ".parquet", 0.1),
    "patches": flipped_in("embed_patches", ".arrow", 0.5),
    "regions": flipped_in("embed_regions", ".parquet", 0.3),
    "mask": flipped_in("segment", ".png", 0.9),
}


@pytest.mark.parametrize("what", FLIPS)
def test_a_flipped_bit_is_found_without_other_results(pair: Pair, what: str):
    path = FLIPS[what](pair.new)
    output = pair.says()
    assert output.splitlines()[-1] == f"{pair.new}: 1 files are damaged or missing"
    assert output.startswith(f"{path.relative_to(pair.new)}: ")


@pytest.mark.parametrize("what", FLIPS)
def test_a_flipped_bit_is_called_damage(pair: Pair, manifest: Path, what: str):
    path = FLIPS[what](pair.new)
    output = pair.says("--against", str(manifest))
    assert f"{path.relative_to(pair.new)}  damaged: " in output
    assert output.splitlines()[-1].endswith("in 1 of 113 files")


def test_a_cut_file_and_a_deleted_one(pair: Pair):
    path = pair.new / "embed_patches" / "s2.arrow"
    path.write_bytes(path.read_bytes()[:3000])
    (pair.new / "segment" / "s1.png").unlink()
    (pair.new / "slides.parquet").write_bytes(b"")
    output = pair.says()
    assert "embed_patches/s2.arrow: not readable as Arrow" in output
    assert "segment/s1.png: is missing; segment/index/b0000.parquet says it was made\n" in output
    assert "slides.parquet: not readable as Parquet" in output
    assert output.splitlines()[-1].endswith("3 files are damaged or missing")


def test_a_shard_of_another_run(pair: Pair):
    path = pair.new / "tile" / "s6.parquet"
    made = read_provenance(path)
    table = read_table(path)
    write_table(path, table, table.schema, type(made)(**{**vars(made), "fingerprint": "other"}))
    assert "is not the one that tile/index/b0000.parquet lists" in pair.says()


def test_whole_results_are_in_order(pair: Pair):
    output = f"{pair.new}: every file can be read, and is what its index and schema say\n"
    counts = "patch vectors: 12 slides in fp32\nregion vectors: 12 slides in fp32\n"
    assert pair.says() == output + counts


def test_files_that_vary_are_left_out(pair: Pair):
    for name in ("report.html", "digests.json", "logs/a.log", "models/old/x", "tile/.a.12.part.b"):
        path = pair.new / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    assert pair.says("--against", str(pair.old)) == "113 files equal\n"


def test_what_cannot_be_verified(pair: Pair, tmp_path: Path):
    nothing = tmp_path / "nothing"
    assert "not there; name a manifest" in pair.says("--against", str(nothing))
    for text in ("file,step\n", "", ",".join(HEADER) + "\nx,y\n"):
        nothing.write_text(text)
        assert "is no manifest of results" in pair.says("--against", str(nothing))
    assert pair.says("--threads", "0") == "--threads: must be 1 or more, got 0\n"
    shutil.rmtree(pair.new)
    assert pair.says() == f"{pair.new}: no folder of results\n"
    assert "no such folder of results" in pair.says("--write", str(nothing))
    pair.new.mkdir()
    assert "holds no results" in pair.says("--write", str(nothing))


def test_a_table_of_a_newer_version(pair: Pair):
    path = pair.new / "tile" / "s6.parquet"
    made, table = read_provenance(path), read_table(path)
    table = table.append_column(pa.field("more", pa.int64()), [list(range(len(table)))])
    write_table(path, table, table.schema, made)
    assert "tile/s6.parquet: is not of this version (column 'more' is unknown)" in pair.says()
    assert "other columns" not in pair.says()
