"""The probe step: what is known to differ is found, and nothing is learned from the own case."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hipt.config.config import Config
from hipt.config.step_settings import settings
from hipt.errors import HiptError
from hipt.steps import probe
from hipt.store.schemas import PROBE
from hipt.store.tables import PatchEmbeddings, read_table
from tests.slidemaker import GLASS, write_slide
from tests.steps.conftest import Chain

SIDE, MAP_PX = 768, 8
COLOURS = {1: (190, 80, 90), 2: (110, 80, 170)}


def painted(chain: Chain, names: str = "abcd") -> None:
    """Slides with one colour left and another right; c and d are darker. Maps say left, right."""
    (chain.folder / "maps").mkdir()
    lines = ["slide_id,path,case_id,kind,one"]
    for number, name in enumerate(names):
        picture = np.full((SIDE, SIDE, 3), GLASS, np.uint8)
        noise = np.random.default_rng(number).normal(0, 6, (SIDE, SIDE, 1))
        labels = np.zeros((SIDE // MAP_PX, SIDE // MAP_PX), np.uint8)
        kind = "dark" if name in "cd" else "light"
        for label, left in ((1, 128), (2, 384)):
            tissue = np.s_[128:640, left : left + 256]
            shade = np.array(COLOURS[label]) * (0.7 if kind == "dark" else 1)
            picture[tissue] = np.clip(shade + noise[tissue], 0, 255)
            labels[16:80, left // MAP_PX : (left + 256) // MAP_PX] = label
        write_slide(chain.folder / f"{name}.svs", picture)
        Image.fromarray(labels).save(chain.folder / "maps" / f"{name}.png")
        lines.append(f"{name},{name}.svs,case {name},{kind},same")
    chain.sheet("\n".join(lines) + "\n")
    chain.upto("embed_regions")
    chain.table()


def probed(chain: Chain, **changed: Any) -> list[dict[str, Any]]:
    chain.values["probe"] = {"k": 3, **changed}
    out, slides = chain.results.probe, chain.results.slides
    cfg = settings("probe", Config.model_validate(chain.values)).model_dump_json()
    probe.main(["--slides", str(slides), "--cfg", cfg, "--out", str(out), "--threads", "2"])
    return read_table(out, PROBE).to_pylist()


def test_a_colour_is_found_by_its_mean(chain: Chain, caplog: pytest.LogCaptureFixture):
    painted(chain)
    maps = chain.folder / "maps"
    (maps / "truth.json").write_text('{"labels": {"1": "left", "2": "right"}}')
    with caplog.at_level(logging.INFO):
        lines = probed(chain, labels=str(maps), column="kind", most_patches=60)
    kinds = [("patch", name) for name in ("trained", "random network", "mean colour")]
    kinds += [("region", name) for name in ("trained", "random network", "mean of patches")] * 2
    tasks = ("class of the label map", "arrangement on the label map", "kind")
    for method in ("knn", "linear"):
        asked = [line for line in lines if line["method"] == method]
        assert [(line["level"], line["features"]) for line in asked] == kinds
        assert [line["task"] for line in asked] == [task for task in tasks for _ in range(3)]
        assert asked[2]["balanced_accuracy"] == 1
    assert all(line["chance"] == 0.5 for line in lines)
    assert all(line["fraction"] == 1 for line in lines)
    assert all((line["classes"], line["cases"]) == (2, 4) for line in lines)
    regions = sum(row["regions"] for row in chain.table().values())
    assert [line["items"] for line in lines] == [60] * 6 + [regions] * 12
    assert all(0 <= line["balanced_accuracy"] <= 1 for line in lines)
    assert "class left: " in caplog.text
    for way in ("knn 100 %", "linear 100 %"):
        what = f"patch, class of the label map, mean colour, {way}: 1.000 (chance 0.500)"
        assert what in caplog.text
    assert "no linear model of 10 %: too few items or cases" in caplog.text
    first = chain.results.probe.read_bytes()
    probed(chain, labels=str(maps), column="kind", most_patches=60)
    assert chain.results.probe.read_bytes() == first


def test_no_network_is_compared_with_where_there_was_none(
    chain: Chain, caplog: pytest.LogCaptureFixture
):
    """Without stage 2, of imported vectors, and without the slides that colours are read from."""
    painted(chain)
    maps = str(chain.folder / "maps")
    regions = chain.values["embed"]["regions"]
    chain.values["embed"]["regions"] = {"pool": "mean"}
    lines = probed(chain, labels=maps, column="kind", most_patches=60)
    assert [line["features"] for line in lines] == [
        *["trained", "random network", "mean colour"] * 2,
        *["trained", "mean of patches"] * 4,
    ]
    chain.values["embed"] |= {"patches": {"features": "given"}, "regions": regions}
    lines = probed(chain, labels=maps, most_patches=60)
    assert [line["features"] for line in lines[:2]] == ["trained", "mean colour"]
    before = lines[0]
    (chain.folder / "a.svs").unlink()
    with caplog.at_level(logging.INFO):
        lines = probed(chain, labels=maps, most_patches=60)
    assert "no colours to compare with: 1 slides are not there" in caplog.text
    assert lines[0] == before
    assert [line["level"] for line in lines] == ["patch"] * 2 + ["region"] * 6


def test_the_random_network_is_the_one_that_embedded_if_their_seeds_are_the_same(chain: Chain):
    chain.values["embed"]["patches"]["random"] = probe.RANDOM_SEED + 5
    chain.values["embed"]["regions"]["random"] = probe.RANDOM_SEED + 5
    painted(chain)
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        real = probe.standardised
        patch.setattr(probe, "standardised", lambda values: seen.append(values) or real(values))
        probed(chain, labels=str(chain.folder / "maps"), column="kind", seed=5, most_patches=50)
    for trained, again in (seen[:2], seen[3:5]):
        np.testing.assert_allclose(trained, again, atol=5e-3)
    files = [chain.results.shard("embed_patches", name) for name in "abcd"]
    grids = [PatchEmbeddings(f).grid(i) for f in files for i in range(len(PatchEmbeddings(f)))]
    np.testing.assert_allclose(seen[5], np.float32(grids).mean(1), atol=1e-5)


def test_how_sure_scores_are_and_trained_features_are_ahead(chain: Chain):
    """Of six cases that all hold both classes; the column's kinds have fewer cases than five."""
    painted(chain, "abcdef")
    fractions = [0.5, 1.0]
    lines = probed(
        chain, labels=str(chain.folder / "maps"), column="kind", train_fractions=fractions
    )
    patches = [line for line in lines if line["level"] == "patch"]
    ways = [("knn", 1.0), ("linear", 0.5), ("linear", 1.0)]
    assert [(x["method"], x["fraction"]) for x in patches] == [way for way in ways for _ in "abc"]
    for line in patches:
        assert line["low"] <= line["balanced_accuracy"] <= line["high"]
    for first, *others in (patches[i : i + 3] for i in (0, 3, 6)):
        assert all(first[name] is None for name in ("difference", "difference_low", "p"))
        for line in others:
            ahead = first["balanced_accuracy"] - line["balanced_accuracy"]
            assert line["difference"] == pytest.approx(ahead)
            assert line["difference_low"] <= line["difference"] <= line["difference_high"]
            assert 0 < line["p"] <= 1
    kinds = [line for line in lines if line["task"] == "kind"]
    assert all(line["low"] is None and line["p"] is None for line in kinds)
    assert all((line["difference"] is None) == (line["features"] == "trained") for line in kinds)


def test_neighbours_say_what_they_said_before_linear_models(chain: Chain):
    painted(chain, "abc")
    alone = probed(chain, column="kind", train_fractions=[])
    both = probed(chain, column="kind")
    assert {line["method"] for line in alone} == {"knn"}
    assert both[: len(alone)] == alone
    assert len(both) == 2 * len(alone)


def test_a_word_that_the_config_calls_missing_is_no_value(chain: Chain):
    painted(chain, "abcd")
    sheet = (chain.folder / "slides.csv").read_text()
    chain.sheet(sheet.replace("case b,light", "case b,[Completed]"))
    chain.values["slides"]["missing"] = ["[Completed]"]
    assert {line["cases"] for line in probed(chain, column="kind")} == {3}


def test_a_case_teaches_itself_nothing(chain: Chain):
    """One dark case alone: no other case shows its kind, so that it is never found."""
    painted(chain, "abc")
    assert all(line["balanced_accuracy"] <= 0.5 for line in probed(chain, column="kind"))


def test_a_copy_under_another_case_teaches_nothing(chain: Chain):
    """The only dark slide again as a copy of another case: it is not its own neighbour."""
    painted(chain, "abc")
    shutil.copy(chain.folder / "c.svs", chain.folder / "copy.svs")
    text = (chain.folder / "slides.csv").read_text()
    chain.results.batches.unlink()
    chain.sheet(text + "copy,copy.svs,case copy,dark,same\n")
    chain.upto("embed_regions")
    chain.table()
    lines = probed(chain, column="kind")
    assert all(line["balanced_accuracy"] <= 0.5 for line in lines)
    assert {line["cases"] for line in lines} == {4}


def test_labels_that_cannot_be_probed_are_one_sentence(chain: Chain):
    painted(chain, "ac")
    maps = chain.folder / "maps"
    with pytest.raises(HiptError, match="probe: nothing is labelled; name a folder"):
        probed(chain)
    with pytest.raises(HiptError, match="column 'one' are of 1 classes and 2 cases; label at"):
        probed(chain, column="one")
    (maps / "c.png").unlink()
    with pytest.raises(HiptError, match="are of 2 classes and 1 cases"):
        probed(chain, labels=str(maps))
    blank(maps / "a.png", (96, 96))
    with pytest.raises(HiptError, match="are of 0 classes and 0 cases"):
        probed(chain, labels=str(maps))
    blank(maps / "a.png", (96, 40))
    with pytest.raises(HiptError, match=r"a\.png: is 40 x 96 px .*0\.417.*, the slide is"):
        probed(chain, labels=str(maps))
    blank(maps / "a.png", (96, 96, 3))
    with pytest.raises(HiptError, match=r"a\.png: is no label map \(mode RGB\); save one whole"):
        probed(chain, labels=str(maps))


def blank(path: Path, shape: tuple[int, ...]) -> None:
    Image.fromarray(np.zeros(shape, np.uint8)).save(path)
