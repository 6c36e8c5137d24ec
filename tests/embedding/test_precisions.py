"""A cohort in two precisions: kept where that is right, counted, said, and refused on request."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from hipt.config.config import Config
from hipt.config.step_settings import settings
from hipt.embedding import embedder
from hipt.embedding.engines import agreement, choice
from hipt.embedding.precisions import counted, in_words
from hipt.errors import HiptError
from hipt.steps import report, slides, verify
from hipt.store.shard import read_provenance
from tests.slidemaker import tissue_picture, write_slide
from tests.steps.conftest import Chain


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Three slides, embedded in fp32."""
    chain = Chain(tmp_path_factory.mktemp("embedded"))
    for seed, name in enumerate("abc"):
        write_slide(chain.folder / f"{name}.svs", tissue_picture(768, 512, seed))
    chain.sheet("slide_id,path\na,a.svs\nb,b.svs\nc,c.svs\n")
    chain.upto("embed_regions")
    return chain


@pytest.fixture
def chain(embedded: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chain:
    """The same on a machine that is faster in bf16, with `auto`."""
    shutil.copytree(embedded.folder, tmp_path / "p")
    chain = Chain(tmp_path / "p")
    chain.values = {**embedded.values, "slides": {"sheet": str(chain.folder / "slides.csv")}}
    chain.values["embed"] = {**chain.values["embed"], "precision": "auto"}

    def faster_in_bf16(setting: str, _: object) -> str:
        return "bf16" if setting == "auto" else setting

    for module in (embedder, choice):
        monkeypatch.setattr(module, "choose_precision", faster_in_bf16)
    for bound in ("LEAST_COSINE", "LEAST_KEPT"):  # of a network as small as this one
        monkeypatch.setattr(agreement, bound, -1)
    return chain


def times(chain: Chain) -> dict[str, int]:
    steps = ("embed_patches", "embed_regions")
    shards = (chain.results.shard(step, name) for step in steps for name in "abc")
    return {str(path): path.stat().st_mtime_ns for path in shards}


def mixed(chain: Chain) -> None:
    """Of one slide the vectors are lost, and made again."""
    for step in ("embed_patches", "embed_regions"):
        chain.results.shard(step, "b").unlink()
        chain.call(step)


def table(chain: Chain, mixed_precision: str = "note") -> dict[str, tuple[str, str]]:
    chain.values["embed"]["mixed_precision"] = mixed_precision
    cfg = settings("slides", Config.model_validate(chain.values)).model_dump_json()
    slides.main(["--cfg", cfg, "--out", str(chain.results.slides)])
    rows = chain.table()
    return {name: (row["precision"], row["region_precision"]) for name, row in rows.items()}


def test_auto_keeps_what_is_finished_in_either_precision(chain: Chain):
    before = times(chain)
    patches, regions = chain.call("embed_patches"), chain.call("embed_regions")
    assert times(chain) == before
    assert {row["precision"] for row in patches.values()} == {"fp32"}
    assert {row["region_precision"] for row in regions.values()} == {"fp32"}


def test_what_is_made_in_another_precision_is_another_shard(chain: Chain):
    before = chain.call("embed_patches")
    mixed(chain)
    after = chain.call("embed_patches")
    assert [after[name]["precision"] for name in "abc"] == ["fp32", "bf16", "fp32"]
    assert before["b"]["fingerprint"] != after["b"]["fingerprint"]
    assert before["a"] == after["a"]
    made = read_provenance(chain.results.shard("embed_patches", "b"))
    assert made.settings["precision"] == made.software["precision"] == "bf16"


def test_a_named_precision_makes_the_others_again_to_the_same_bits(chain: Chain, embedded: Chain):
    mixed(chain)
    before = times(chain)
    chain.values["embed"]["precision"] = "fp32"
    chain.call("embed_patches")
    chain.call("embed_regions")
    again = {path for path, time in times(chain).items() if time != before[path]}
    assert {Path(path).stem for path in again} == {"b"}
    for step in ("embed_patches", "embed_regions"):
        for name in "abc":
            shard, first = (c.results.shard(step, name) for c in (chain, embedded))
            assert shard.read_bytes() == first.read_bytes()


def test_a_mixture_is_said(chain: Chain, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        assert set(table(chain).values()) == {("fp32", "fp32")}
    assert not caplog.messages
    mixed(chain)
    with caplog.at_level(logging.WARNING):
        assert table(chain)["b"] == ("bf16", "bf16")
    said = "2 slides in fp32, 1 in bf16"
    assert f"patch vectors: {said} (embed.mixed_precision is 'note')" in caplog.messages
    assert verify.audit(chain.results.root, 2).splitlines()[1:] == [
        f"patch vectors: {said}",
        f"region vectors: {said}",
    ]
    config = Config.model_validate(chain.values)
    told = settings("report", config)
    report.run(chain.results.slides, chain.results.report, told)
    page = chain.results.report.read_text()
    assert "patch vectors in another precision: 1 slide" in page
    assert f"{said}: they differ by bf16&#39;s rounding" in page


def test_a_mixture_is_refused_on_request(chain: Chain):
    assert table(chain, "refuse")
    mixed(chain)
    with pytest.raises(HiptError) as error:
        table(chain, "refuse")
    assert str(error.value) == (
        "patch vectors: 2 slides in fp32, 1 in bf16 (e.g. b), and embed.mixed_precision is "
        "'refuse'; set embed.precision: fp32, and the others are made again in it"
    )


def test_two_runs_in_two_precisions_are_explained(chain: Chain, embedded: Chain, capsys):
    mixed(chain)
    with pytest.raises(HiptError):
        verify.compare(chain.results.root, embedded.results.root, None, 2)
    said = capsys.readouterr().out
    assert "precision: fp32 -> bf16" in said
    assert "setting precision" not in said


def test_counting():
    assert counted(["bf16", None, "fp32", "fp32"]) == {"fp32": 2, "bf16": 1}
    assert in_words({"fp32": 1}) == "1 slide in fp32"
    assert in_words({"fp32": 1200, "bf16": 3}) == "1,200 slides in fp32, 3 in bf16"
