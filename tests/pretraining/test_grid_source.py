"""Minibatches of grids: right numbers, each region once, resumable, nothing left behind."""

from __future__ import annotations

import itertools
import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hipt.cohort.sheet import read_sheet
from hipt.errors import HiptError
from hipt.pretraining import grid_source as module
from hipt.pretraining.corpus import GridCorpus, read_grid_corpus
from hipt.pretraining.grid_source import GridSource
from hipt.pretraining.order import Share, epoch_order
from hipt.store.tables import PatchEmbeddings
from tests.slidemaker import tissue_picture, write_slide
from tests.steps.conftest import Chain

SIDE, DIM = 4, 16


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> GridCorpus:
    """The embedded regions of three slides."""
    folder = tmp_path_factory.mktemp("cohort")
    for seed, name in enumerate("abc"):
        write_slide(folder / f"{name}.svs", tissue_picture(1024, 768, seed))
    chain = Chain(folder)
    chain.sheet("slide_id,path\na,a.svs\nb,b.svs\nc,c.svs\n")
    chain.upto("embed_patches")
    result = read_grid_corpus(read_sheet(folder / "slides.csv"), "all", chain.results)
    assert result.regions == sum(len(PatchEmbeddings(file)) for file in result.files) > 20
    return result


def expected(corpus: GridCorpus) -> dict[bytes, tuple[int, int]]:
    """Each region's grid, number by number."""
    known = {}
    for slide, file in enumerate(corpus.files):
        shard = PatchEmbeddings(file)
        for region in range(len(shard)):
            grid = np.zeros((DIM, SIDE, SIDE), np.float32)
            for row in shard.region(region).to_pylist():
                grid[:, row["patch"] // SIDE, row["patch"] % SIDE] = row["embedding"]
            known[grid.tobytes()] = (slide, region)
    assert len(known) == corpus.regions
    return known


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_every_region_comes_once_in_an_epoch_as_it_is_on_disk(corpus: GridCorpus, ranks: int):
    known, seen = expected(corpus), []
    for rank in range(ranks):
        count = len(epoch_order(corpus.regions, 0, 0, rank, ranks))
        with GridSource(corpus, Share(0, rank, ranks), 1) as source:
            seen += [known[next(source)[0].tobytes()] for _ in range(count)]
    assert sorted(seen) == sorted(known.values())


def test_minibatches_have_the_channels_of_a_patch_together(corpus: GridCorpus):
    with GridSource(corpus, Share(0), 5) as source:
        grids = next(source)
    assert (grids.shape, grids.dtype) == ((5, DIM, SIDE, SIDE), np.float32)
    assert grids.transpose(0, 2, 3, 1).flags.c_contiguous
    assert grids.flags.writeable


def test_the_order_depends_on_the_seed_alone(corpus: GridCorpus):
    def first(seed: int) -> np.ndarray:
        with GridSource(corpus, Share(seed), 8) as source:
            return np.stack([next(source) for _ in range(6)])

    np.testing.assert_array_equal(first(0), first(0))
    assert not np.array_equal(first(0), first(1))


@pytest.mark.parametrize("stop", [0, 1, 4, 30])
def test_a_resumed_source_goes_on_bit_for_bit(corpus: GridCorpus, stop: int):
    share = Share(2, 1, 2)
    with GridSource(corpus, share, 7) as source:
        for _ in range(stop):
            next(source)
        state = json.loads(json.dumps(source.state()))
        following = [next(source) for _ in range(5)]
        after = source.state()
    with GridSource(corpus, share, 7, state) as source:
        np.testing.assert_array_equal([next(source) for _ in range(5)], following)
        assert source.state() == after
    with pytest.raises(HiptError, match="another corpus, seed, pool_blocks or number of GPUs"):
        GridSource(corpus, Share(2, 0, 2), 7, state)


def test_few_files_stay_open(corpus: GridCorpus, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "OPEN_FILES", 1)
    known = expected(corpus)
    with GridSource(corpus, Share(0), 1) as source:
        seen = {known[next(source)[0].tobytes()] for _ in range(corpus.regions)}
        assert source._file.cache_info().currsize == 1
    assert seen == set(known.values())


def test_minibatches_mix_slides(corpus: GridCorpus):
    known = expected(corpus)
    with GridSource(corpus, Share(0), 16) as source:
        for _ in range(10):
            assert len({known[grid.tobytes()][0] for grid in next(source)}) >= 2


def test_memory_is_used_again_once_nobody_holds_it(corpus: GridCorpus):
    with GridSource(corpus, Share(0), 4) as source:
        kept = [next(source) for _ in range(8)]
        assert not any(np.shares_memory(a, b) for a, b in itertools.combinations(kept, 2))
        parts = [grids[:1, :2] for grids in kept]  # a part holds the whole
        copies = [part.copy() for part in parts]
        del kept
        for _ in range(8):
            next(source)
        np.testing.assert_array_equal(parts, copies)
        del parts
        places = {next(source).ctypes.data for _ in range(40)}
        assert len(places) <= module.AHEAD + 4


def leave(corpus: GridCorpus) -> None:
    with GridSource(corpus, Share(0), 4) as source:
        assert source.waited_s == 0
        next(source)
        assert source.waited_s > 0
        raise KeyError


def test_leaving_early_leaves_no_thread_behind(corpus: GridCorpus):
    before = threading.active_count()
    with pytest.raises(KeyError):
        leave(corpus)
    assert threading.active_count() == before
    with GridSource(corpus, Share(0), 4) as source:
        pass
    assert list(source) == []  # it has ended, and says so


def test_more_processes_than_regions_are_refused(corpus: GridCorpus):
    with pytest.raises(HiptError, match=r"has \d+ regions, fewer than 9999 GPUs"):
        GridSource(corpus, Share(0, 0, 9999), 4)


def test_a_file_that_is_not_what_its_index_said_is_refused(corpus: GridCorpus, tmp_path: Path):
    first, *others = corpus.members
    fewer = replace(first, regions=first.regions - 1, patches=first.patches - SIDE**2)
    changed = replace(corpus, members=(fewer, *others))
    sentence = r"a\.arrow: has \d+ regions of 16 numbers per patch"
    with GridSource(changed, Share(0), 1) as source, pytest.raises(HiptError, match=sentence):
        list(source)
    gone = replace(corpus, files=(tmp_path / "no.arrow", *corpus.files[1:]))
    sentence = r"no\.arrow: not there; embed_patches has to run first"
    with GridSource(gone, Share(0), 1) as source, pytest.raises(HiptError, match=sentence):
        list(source)
