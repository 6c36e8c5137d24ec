"""What a model is pretrained on: the slides that were chosen, and what of them is in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hipt.cohort.batch_run import Row, read_index
from hipt.cohort.headers import read_plan
from hipt.cohort.ledger import read_ledger
from hipt.cohort.same_content import file_of
from hipt.cohort.sheet import SlideRow
from hipt.config.config import TileConfig
from hipt.errors import HiptError
from hipt.geometry.resolution import ReadPlan
from hipt.layout import Results
from hipt.pretraining.corpus_choice import chosen
from hipt.pretraining.corpus_list import Member
from hipt.slides.slide import Slide, open_slide
from hipt.store.schemas import MANIFEST
from hipt.store.tables import read_table

BLOCK = 4
"""Patches along a block's side: 16 bits say which of them belong."""


@dataclass(frozen=True)
class CorpusSlide:
    """A slide's blocks of neighbouring patches; a few bytes each."""

    member: Member
    path: Path
    plan: ReadPlan
    corners: npt.NDArray[np.int64]
    """(B, 2) x, y of the blocks, level-0 pixels."""
    masks: npt.NDArray[np.uint16]
    """(B,) bit 4 * row + column is set where that patch of the block belongs; never 0."""


@dataclass(frozen=True)
class Corpus:
    """The patches that stage 1 is trained on, in blocks that are numbered slide by slide."""

    slides: tuple[CorpusSlide, ...]
    opener: Callable[[Path], Slide] = open_slide
    """Opens one of them."""

    @property
    def members(self) -> tuple[Member, ...]:
        """The corpus list."""
        return tuple(slide.member for slide in self.slides)

    @property
    def patches(self) -> int:
        """How many patches an epoch has."""
        return sum(slide.member.patches for slide in self.slides)

    @cached_property
    def counts(self) -> npt.NDArray[np.uint8]:
        """(B,) patches of each block, 1 to 16."""
        return np.concatenate([_patches(slide.masks) for slide in self.slides])

    @cached_property
    def _ends(self) -> npt.NDArray[np.int64]:
        return np.cumsum([len(slide.masks) for slide in self.slides])

    def block(self, number: int) -> tuple[CorpusSlide, int]:
        """The slide that a block lies on, and its index there."""
        slide = int(np.searchsorted(self._ends, number, side="right"))
        return self.slides[slide], number - int(self._ends[slide]) + len(self.slides[slide].masks)


@dataclass(frozen=True)
class GridCorpus:
    """The regions that stage 2 is trained on, numbered slide by slide."""

    members: tuple[Member, ...]
    files: tuple[Path, ...]
    """Patch embeddings of each."""
    dim: int
    """Width D of a patch's vector."""

    @property
    def regions(self) -> int:
        """How many regions an epoch has."""
        return sum(member.regions for member in self.members)


def read_corpus(
    rows: Sequence[SlideRow], corpus: str, results: Results, tile: TileConfig, min_tissue: float
) -> Corpus:
    """The patches of the chosen slides that hold enough tissue and lie on the slide.

    Slides come in the order of their ids, so that a reshuffled sheet changes nothing. Slides
    without a manifest, or without any such patch, are left out.

    Args:
        rows: the sheet.
        corpus: `all`, `column=value`, or a file with one slide_id per line.
        results: where the manifests lie.
        tile: their grid.
        min_tissue: patches with less tissue are left out.

    Raises:
        HiptError: if the choice is none, or nothing belongs to it.
    """
    slides = []
    for row, facts in _in_order(chosen(rows, corpus), "tile", results):
        manifest = read_table(results.shard("tile", row.slide_id), MANIFEST)
        corners, masks = _blocks(manifest, tile.grid, min_tissue)
        patches = int(_patches(masks).sum())
        member = _member(row, facts, patches)
        if patches:
            plan = read_plan(facts, tile.patch_px)
            slides.append(CorpusSlide(member, row.path, plan, corners, masks))
    if not slides:
        raise HiptError(
            f"pretrain corpus '{corpus}': no slide in it has a patch with {min_tissue:.0%} tissue; "
            "look into the report for the slides' statuses"
        )
    return Corpus(tuple(slides))


def read_grid_corpus(rows: Sequence[SlideRow], corpus: str, results: Results) -> GridCorpus:
    """The regions of the chosen slides whose patches are embedded, in the order of their ids.

    Raises:
        HiptError: if the choice is none, nothing belongs to it, or vectors differ in width.
    """
    members = list(_in_order(chosen(rows, corpus), "embed_patches", results))
    if not members:
        raise HiptError(f"pretrain corpus '{corpus}': no slide in it has patch embeddings")
    (first, facts), *_ = members
    for row, other in members:
        if other["dim"] != facts["dim"]:
            raise HiptError(
                f"{row.slide_id}: its patch embeddings have {other['dim']} numbers, those of "
                f"{first.slide_id} {facts['dim']}; embed all slides with the same encoder"
            )
    return GridCorpus(
        tuple(_member(row, known, known["patches"]) for row, known in members),
        tuple(results.shard("embed_patches", row.slide_id) for row, _ in members),
        facts["dim"],
    )


def _member(row: SlideRow, facts: Row, patches: int) -> Member:
    return Member(
        row.slide_id,
        facts["fingerprint"],
        facts["regions"],
        patches,
        case_id=row.case_id,
        content=file_of(facts["content"] or ""),
    )


def _in_order(
    rows: Sequence[SlideRow], step: str, results: Results
) -> Iterator[tuple[SlideRow, Row]]:
    """The rows whose slides a step ended well with, by id, with what its index says of them."""
    batch_of = read_ledger(results.batches).batch_of
    new = [row.slide_id for row in rows if row.slide_id not in batch_of]
    if new:
        raise HiptError(
            f"{results.batches}: {new[0]} and {len(new) - 1} more slides have no batch yet; "
            "run `snakemake`, which forms batches first"
        )
    index: dict[str, Row] = {}
    for batch in sorted({batch_of[row.slide_id] for row in rows}):
        content = {
            facts["slide_id"]: facts["content"]
            for facts in read_index(results.index("segment", batch))
        }
        for facts in read_index(results.index(step, batch)):
            index[facts["slide_id"]] = facts | {"content": content.get(facts["slide_id"])}
    for row in sorted(rows, key=lambda row: row.slide_id):
        if row.slide_id not in index:
            path = results.index(step, batch_of[row.slide_id])
            raise HiptError(
                f"{path}: has no row for {row.slide_id}, which came back into the sheet; make it "
                f"again: snakemake --forcerun {results.index('segment', batch_of[row.slide_id])}"
            )
        if index[row.slide_id]["status"] == "ok":
            yield row, index[row.slide_id]


def _blocks(
    manifest: pa.Table, grid: int, min_tissue: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint16]]:
    """(B, 2) corners and (B,) masks of a manifest's blocks that hold any patch that belongs."""
    x, y, tissue, inside = (manifest[name].to_numpy() for name in ("x", "y", "tissue", "inside"))
    wanted = ((tissue >= min_tissue) & (inside > 0)).reshape(-1, grid, grid)  # (R, g, g)
    across = -(-grid // BLOCK)
    pad = across * BLOCK - grid  # where a region is no whole number of blocks
    wanted = np.pad(wanted, ((0, 0), (0, pad), (0, pad)))
    cells = wanted.reshape(-1, across, BLOCK, across, BLOCK).swapaxes(2, 3)  # (R, a, a, 4, 4)
    bits = np.packbits(cells.reshape(-1, BLOCK * BLOCK), axis=1, bitorder="little")
    masks = bits.astype(np.uint16) @ np.array([1, 256], np.uint16)  # (R * a * a,)
    corners = [c.reshape(-1, grid, grid)[:, ::BLOCK, ::BLOCK].ravel() for c in (x, y)]
    kept = masks > 0
    return np.stack(corners, 1)[kept].astype(np.int64), masks[kept]


def _patches(masks: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint8]:
    """(B,) patches of each block."""
    bits = np.unpackbits(masks.view(np.uint8).reshape(-1, 2), axis=1)
    return np.asarray(bits.sum(1, dtype=np.uint8))
