"""Which slides and patches a model is trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hipt.cohort.sheet import SlideRow, read_sheet
from hipt.config.config import TileConfig
from hipt.errors import HiptError
from hipt.pretraining.corpus import BLOCK, Corpus, read_corpus, read_grid_corpus
from hipt.store.schemas import INDICES, MANIFEST
from hipt.store.tables import PatchEmbeddings, read_table, write_rows
from tests.slidemaker import tissue_picture, write_slide
from tests.steps.conftest import Chain


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Two slides in order (ids not in the order of the sheet), one missing; all steps run."""
    folder = tmp_path_factory.mktemp("cohort")
    for name, seed in (("b", 1), ("a", 2)):
        write_slide(folder / f"{name}.svs", tissue_picture(1024, 768, seed))
    chain = Chain(folder)
    chain.values["tile"]["region_px"] = 384  # 6 x 6 patches: no whole number of blocks
    chain.sheet("slide_id,path,organ,site\nb,b.svs,liver,X\na,a.svs,lung,Y\ngone,no.svs,liver,\n")
    chain.upto("embed_regions")
    return chain


def rows_of(cohort: Chain) -> list[SlideRow]:
    return read_sheet(cohort.folder / "slides.csv")


def corpus_of(cohort: Chain, least: float = 0.1, corpus: str = "all") -> Corpus:
    tile = TileConfig(region_px=384, patch_px=64)
    return read_corpus(rows_of(cohort), corpus, cohort.results, tile, least)


def places(corpus: Corpus) -> set[tuple[str, int, int]]:
    """slide_id, x, y of every patch."""
    result = []
    for number in range(len(corpus.counts)):
        slide, index = corpus.block(number)
        mask, (x, y) = int(slide.masks[index]), slide.corners[index].tolist()
        cells = [divmod(bit, BLOCK) for bit in range(BLOCK**2) if mask >> bit & 1]
        assert len(cells) == corpus.counts[number] > 0
        side = slide.plan.patch_read_px
        result += [(slide.member.slide_id, x + c * side, y + r * side) for r, c in cells]
    assert len(result) == len(set(result))
    return set(result)


@pytest.mark.parametrize("least", [0.0, 0.1, 0.6, 1.0])
def test_exactly_the_patches_with_enough_tissue_belong(cohort: Chain, least: float):
    wanted = set()
    for name in "ab":
        rows = read_table(cohort.results.shard("tile", name), MANIFEST).to_pylist()
        wanted |= {
            (name, row["x"], row["y"])
            for row in rows
            if np.float32(row["tissue"]) >= np.float32(least) and row["inside"] > 0
        }
    corpus = corpus_of(cohort, least)
    assert places(corpus) == wanted
    assert sum(member.patches for member in corpus.members) == len(wanted)


def test_slides_come_by_id_and_without_the_missing_one(cohort: Chain):
    corpus = corpus_of(cohort)
    index = {
        row["slide_id"]: row
        for row in read_table(cohort.results.index("tile", "b0000")).to_pylist()
    }
    assert [(m.slide_id, m.fingerprint, m.regions) for m in corpus.members] == [
        (name, index[name]["fingerprint"], index[name]["regions"]) for name in "ab"
    ]


def test_a_block_costs_a_few_bytes(cohort: Chain):
    corpus = corpus_of(cohort)
    size = sum(slide.corners.nbytes + slide.masks.nbytes for slide in corpus.slides)
    assert size + corpus.counts.nbytes == 19 * len(corpus.counts)


def test_an_empty_corpus_is_refused(cohort: Chain, tmp_path: Path):
    (tmp_path / "gone").write_text("gone")
    with pytest.raises(HiptError, match="no slide in it has a patch with 10% tissue"):
        corpus_of(cohort, corpus=str(tmp_path / "gone"))
    with pytest.raises(HiptError, match="no slide in it has patch embeddings"):
        read_grid_corpus(rows_of(cohort), str(tmp_path / "gone"), cohort.results)


def test_slides_without_a_batch_or_row_are_refused(cohort: Chain):
    new = SlideRow("new", Path("new.svs"), "new")
    with pytest.raises(HiptError, match="new and 0 more slides have no batch yet"):
        read_grid_corpus([*rows_of(cohort), new], "all", cohort.results)
    path = cohort.results.index("embed_patches", "b0000")
    kept, rows = path.read_bytes(), read_table(path).to_pylist()
    write_rows(path, rows[1:], INDICES["embed_patches"])
    with pytest.raises(HiptError, match="no row for b, which came back"):
        read_grid_corpus(rows_of(cohort), "all", cohort.results)
    path.write_bytes(kept)


def test_grids_are_those_of_the_embedded_slides(cohort: Chain):
    corpus = read_grid_corpus(rows_of(cohort), "all", cohort.results)
    assert [member.slide_id for member in corpus.members] == ["a", "b"]
    assert corpus.dim == 16
    for member, file in zip(corpus.members, corpus.files, strict=True):
        assert member.regions == len(PatchEmbeddings(file))
        assert member.patches == 36 * member.regions


def test_vectors_of_two_widths_are_refused(cohort: Chain):
    path = cohort.results.index("embed_patches", "b0000")
    kept, rows = path.read_bytes(), read_table(path).to_pylist()
    rows[1]["dim"] = 8
    write_rows(path, rows, INDICES["embed_patches"])
    with pytest.raises(HiptError, match="b: its patch embeddings have 16 numbers, those of a 8"):
        read_grid_corpus(rows_of(cohort), "all", cohort.results)
    path.write_bytes(kept)
