"""Minibatches of patches: right pixels, each once, resumable, bounded, honest about damage."""

from __future__ import annotations

import json
import logging
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hipt.cohort.sheet import read_sheet
from hipt.config.config import TileConfig
from hipt.errors import HiptError
from hipt.pictures.drawing import reduced
from hipt.pretraining import patch_source as module
from hipt.pretraining.corpus import Corpus, read_corpus
from hipt.pretraining.order import Share, epoch_order
from hipt.pretraining.patch_source import PatchSource
from hipt.slides.slide import Slide, open_slide
from hipt.store.schemas import MANIFEST
from hipt.store.tables import read_table
from tests.slidemaker import damage_tile, tissue_picture, write_slide
from tests.steps.conftest import Chain

Place = tuple[str, int, int]

FIRST = Share(0)

TILE = TileConfig(region_px=512, patch_px=64)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> tuple[Corpus, dict[bytes, Place]]:
    """Three slides, one of an odd resolution; and where each of their patches lies."""
    folder = tmp_path_factory.mktemp("cohort")
    for seed, (name, mpp) in enumerate([("a", 0.5), ("b", 0.36), ("c", 0.5)]):
        noise = np.random.default_rng(seed).normal(0, 8, (112, 128, 1)).repeat(8, 0).repeat(8, 1)
        picture = np.clip(tissue_picture(1024, 896, seed) + noise, 0, 255)  # no two patches alike
        write_slide(folder / f"{name}.svs", picture.astype(np.uint8), mpp)
    chain = Chain(folder)
    chain.values["tile"]["region_px"] = TILE.region_px
    chain.sheet("slide_id,path\na,a.svs\nb,b.svs\nc,c.svs\n")
    chain.upto("tile")
    corpus = read_corpus(read_sheet(folder / "slides.csv"), "all", chain.results, TILE, 0.1)
    known: dict[bytes, Place] = {}
    for one in corpus.slides:
        name, plan = one.member.slide_id, one.plan
        manifest = read_table(chain.results.shard("tile", name), MANIFEST).to_pylist()
        with open_slide(one.path) as slide:
            for row in manifest:
                if row["tissue"] >= 0.1:
                    side = (plan.patch_level_px,) * 2
                    patch = slide.read(plan.level, row["x"], row["y"], *side)
                    patch = patch if side[0] == 64 else reduced(patch, 64, 64)
                    known[patch.tobytes()] = (name, row["x"], row["y"])
    assert len(known) == corpus.counts.sum() == corpus.patches > 250
    return corpus, known


def draw(
    corpus: Corpus, count: int, share: Share = FIRST, batch: int = 1, threads: int = 2
) -> list[np.ndarray]:
    """The first minibatches."""
    with PatchSource(corpus, share, batch, 6, threads) as source:
        return [next(source) for _ in range(count)]


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_every_patch_of_the_manifests_comes_once_in_an_epoch(cohort, ranks: int):
    """And equals what the slide holds there: an unknown patch would raise KeyError."""
    corpus, known = cohort
    seen: list[Place] = []
    for rank in range(ranks):
        blocks = epoch_order(len(corpus.counts), 0, 0, rank, ranks)
        patches = draw(corpus, int(corpus.counts[blocks].sum()), Share(0, rank, ranks))
        seen += [known[patch.tobytes()] for patch in patches]
    assert sorted(seen) == sorted(known.values())


def test_the_order_depends_on_the_seed_alone(cohort):
    corpus, _ = cohort
    first = draw(corpus, 30, batch=16, threads=1)
    np.testing.assert_array_equal(first, draw(corpus, 30, batch=16, threads=5))
    assert not np.array_equal(first, draw(corpus, 30, Share(1), batch=16))


@pytest.mark.parametrize("stop", [0, 1, 5, 13, 40])
def test_a_resumed_source_goes_on_bit_for_bit(cohort, stop: int):
    corpus, _ = cohort
    share = Share(3, 1, 2)
    with PatchSource(corpus, share, 16, 6, 2) as source:
        for _ in range(stop):
            next(source)
        state = json.loads(json.dumps(source.state()))
        expected = [next(source) for _ in range(9)]
        after = source.state()
    with PatchSource(corpus, share, 16, 6, 3, state) as source:
        np.testing.assert_array_equal([next(source) for _ in range(9)], expected)
        assert source.state() == after


def test_what_was_drawn_is_not_read_again(cohort, monkeypatch):
    corpus, _ = cohort
    with PatchSource(corpus, Share(0), 1, 1, 1) as source:  # a pool is a block
        drawn = int(corpus.counts[epoch_order(len(corpus.counts), 0, 0)[:9]].sum())
        for _ in range(drawn - 1):
            next(source)
        state = source.state()
    begun: list[int] = []
    submit = PatchSource._submit

    def watched(self, pool, buffer):
        begun.append(len(pool.order))
        return submit(self, pool, buffer)

    monkeypatch.setattr(PatchSource, "_submit", watched)
    with PatchSource(corpus, Share(0), 1, 1, 1, state) as source:
        next(source)
    assert begun[0] == 1
    assert len(begun) == 2


def test_a_state_of_another_order_is_refused(cohort):
    corpus, _ = cohort
    with PatchSource(corpus, Share(0), 4, 6, 1) as source:
        state = source.state()
    for share, pool_blocks in ((Share(1), 6), (Share(0, 0, 2), 6), (Share(0), 7)):
        with pytest.raises(HiptError, match="another corpus, seed, pool_blocks or number of GPUs"):
            PatchSource(corpus, share, 4, pool_blocks, 1, state)


def test_more_processes_than_blocks_are_refused(cohort):
    corpus, _ = cohort
    with pytest.raises(HiptError, match=r"has \d+ blocks of patches, fewer than 9999 GPUs"):
        PatchSource(corpus, Share(0, 0, 9999), 4, 6, 1)


def test_minibatches_mix_slides(cohort):
    """Each slide's share of 64 patches is within four standard deviations of a random draw's."""
    corpus, known = cohort
    total = {member.slide_id: member.patches / len(known) for member in corpus.members}
    with PatchSource(corpus, Share(0), 64, 1000, 2) as source:
        for _ in range(12):
            result = Counter(known[patch.tobytes()][0] for patch in next(source))
            for name, p in total.items():
                assert abs(result[name] / 64 - p) < 4 * (p * (1 - p) / 64) ** 0.5


@pytest.fixture
def damaged(cohort, tmp_path: Path) -> tuple[Corpus, set[Place]]:
    """The cohort with one tile of slide `a` damaged, and the patches that lie on it."""
    corpus, known = cohort
    first, *others = corpus.slides
    path = Path(shutil.copy2(first.path, tmp_path))
    damage_tile(path, column=1, row=1)  # x 256..511, y 256..511
    hit = {(s, x, y) for s, x, y in known.values() if s == "a" and x < 512 and y < 512}
    hit = {(s, x, y) for s, x, y in hit if x + 64 > 256 and y + 64 > 256}
    return Corpus((replace(first, path=path), *others)), hit


def test_unreadable_patches_are_left_out_and_counted(cohort, damaged, caplog):
    (_, known), (corpus, hit) = cohort, damaged
    sound = len(known) - len(hit)
    assert 9 <= len(hit) < sound
    with PatchSource(corpus, Share(0), 1, 6, 3) as source, caplog.at_level(logging.WARNING):
        seen = [known[next(source).tobytes()] for _ in range(sound)]
        next(source)
        assert source.skipped >= len(hit)
        assert source.state()["position"] == sound + 1 + source.skipped
    assert sorted(seen) == sorted(set(known.values()) - hit)
    assert [r.getMessage().split(":")[0] for r in caplog.records] == ["a"]


@pytest.mark.parametrize("stop", [3, 8, 12, 17])
def test_a_source_with_damage_resumes_too(damaged, stop: int):
    corpus, _ = damaged
    with PatchSource(corpus, Share(0), 16, 4, 2) as source:
        for _ in range(stop):
            next(source)
        state = source.state()
        expected = [next(source) for _ in range(5)]
        after = source.state()
    with PatchSource(corpus, Share(0), 16, 4, 2, state) as source:
        np.testing.assert_array_equal([next(source) for _ in range(5)], expected)
        assert source.state() == after


def test_slides_that_are_gone_cost_their_own_patches_or_end_the_run(cohort, tmp_path: Path):
    corpus, known = cohort
    gone = [replace(slide, path=tmp_path / "no.svs") for slide in corpus.slides]
    with PatchSource(Corpus((gone[0], *corpus.slides[1:])), Share(0), 1, 6, 2) as source:
        count = len(known) - gone[0].member.patches
        assert {known[next(source).tobytes()][0] for _ in range(count)} == {"b", "c"}
    with (
        PatchSource(Corpus(tuple(gone)), Share(0), 1, 6, 2) as source,
        pytest.raises(HiptError, match=r"none of the last .* patches .*no\.svs: no such file"),
    ):
        next(source)


def test_two_pools_are_in_memory_and_no_more(cohort, monkeypatch):
    corpus, _ = cohort
    buffers: set[int] = set()
    drawn, submitted = [0], [0]
    submit = PatchSource._submit

    def watched(self, pool, buffer):
        assert drawn[0] >= submitted[0] - 2  # pools wholly drawn before a third is begun
        assert len(buffer) <= 6 * 16
        submitted[0] += 1
        buffers.add(id(buffer))
        return submit(self, pool, buffer)

    monkeypatch.setattr(PatchSource, "_submit", watched)
    with PatchSource(corpus, Share(0), 1, 6, 2) as source:
        filled = source._filled()
        for _ in range(9):
            filling = next(filled)
            filling.pixels[:] = 0
            drawn[0] += 1
            assert submitted[0] == drawn[0] + 1
    assert len(buffers) == 2


def leave_at_once(source: PatchSource) -> None:
    next(source)


def leave_by_error(source: PatchSource) -> None:
    next(source)
    raise KeyError


def leave_unused(_: PatchSource) -> None:
    """Nothing was asked of it."""


@pytest.mark.parametrize("leave", [leave_at_once, leave_by_error, leave_unused])
def test_leaving_early_leaves_no_thread_and_does_not_hang(
    cohort, monkeypatch, leave: Callable[[PatchSource], None]
):
    corpus, _ = cohort
    read, closed = Slide.read, Slide.close
    shut: set[int] = set()

    def slow(self, *place):
        time.sleep(0.02)
        assert id(self) not in shut, "read from a closed slide"
        return read(self, *place)

    def watched(self):
        shut.add(id(self))
        closed(self)

    monkeypatch.setattr(Slide, "read", slow)
    monkeypatch.setattr(Slide, "close", watched)
    before, start = threading.active_count(), time.monotonic()
    try:
        with PatchSource(corpus, Share(0), 1, 12, 3) as source:
            leave(source)
    except KeyError:
        pass
    assert threading.active_count() == before
    assert time.monotonic() - start < 60
    assert list(source) == []  # it has ended, and says so


def test_waiting_is_counted(cohort):
    corpus, _ = cohort
    with PatchSource(corpus, Share(0), 4, 6, 1) as source:
        assert source.waited_s == 0
        next(source)
        assert 0 < source.waited_s < 60


def test_few_slides_stay_open(cohort, monkeypatch):
    corpus, _ = cohort
    monkeypatch.setattr(module, "OPEN_SLIDES", 1)
    one = draw(corpus, 40, batch=8, threads=3)
    monkeypatch.undo()
    np.testing.assert_array_equal(one, draw(corpus, 40, batch=8, threads=3))
