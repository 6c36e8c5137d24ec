"""What looks like a region or a patch: its nearest neighbours in the whole cohort, by cosine.

Legend: N patches that are searched, C width of a patch's vector.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hipt.errors import HiptError
from hipt.layout import Results
from hipt.stats.arrays import unit_rows
from hipt.stats.neighbours import nearest_by_rank
from hipt.store.tables import PatchEmbeddings, Row, matrix, read_table
from hipt.view.answers import RefusedError, quoted
from hipt.view.bounded import Bounded
from hipt.view.cohort import Cohort
from hipt.view.region_vectors import Found, Rank, RegionVectors, distance

log = logging.getLogger(__name__)

MOST_PATCHES = 65_536
"""A cohort with no more patches is searched whole, of a larger one the nearest regions."""

NEAR_REGIONS = 64
"""Regions whose patches are searched in a larger cohort."""

OPEN_FILES = 128
"""Files of patch vectors that stay open."""

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Question:
    """What is asked about."""

    slide_id: str
    region: int
    patch: int | None
    most: int
    """How many neighbours."""
    others_first: bool
    """Whether those of other cases come first."""


@dataclass(frozen=True)
class Answer:
    """The neighbours, and what was searched for them."""

    found: Sequence[Found]
    searched: int
    exact: bool
    how: str


class Neighbours:
    """The vectors of a cohort, searched."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._patches: Bounded[tuple[str, int], PatchEmbeddings] = Bounded(OPEN_FILES)
        self.regions = RegionVectors(results)

    def of(self, question: Question, cohort: Cohort) -> Answer:
        """The neighbours of a region or patch.

        Raises:
            RefusedError: 404, if it has no vector.
            HiptError: if a file is damaged.
        """
        self.regions.refresh()
        rank = _rank(question, cohort)
        if question.patch is None:
            return self._of_region(question, rank)
        return self._of_patch(question, rank, cohort)

    def _of_region(self, asked: Question, rank: Rank) -> Answer:
        left = self.regions.waiting  # before the search: what comes meanwhile is searched or not
        own = asked.slide_id, asked.region
        found, searched = self.regions.nearest(self._region(asked), own, rank, asked.most)
        how = f"cosine of region vectors, all {searched:,} regions of the cohort"
        if left:
            how = f"cosine of region vectors, {searched:,} regions so far: {left:,} slides are left"
        return Answer(found, searched, not left, f"{how}{_order(asked)}")

    def _of_patch(self, asked: Question, rank: Rank, cohort: Cohort) -> Answer:
        own = self._embeddings(asked.slide_id)
        query = _patch(own, asked)
        made = [r for r in cohort.rows if r["patches"] and self._path(r["slide_id"]).exists()]
        total = sum(row["patches"] for row in made)
        among: list[tuple[str, int | None]]  # slides and their regions; None: all of them
        if exact := total <= MOST_PATCHES:
            among = [(row["slide_id"], None) for row in made]
        else:
            nearest = self.regions.nearest(self._region(asked), ("", 0), rank, NEAR_REGIONS)[0]
            among = [(found.slide_id, found.region) for found in nearest]
        searched = _Searched(query, asked, rank)
        for slide_id, region in among:
            try:
                of_slide = self._embeddings(slide_id)
                for place in range(len(of_slide)) if region is None else (region,):
                    searched.add(slide_id, place, of_slide)
            except HiptError as error:
                log.warning("%s; its patches are no neighbours", error)
        how = f"cosine of patch vectors, all {searched.count:,} patches of the cohort"
        if not exact:
            how = (
                f"cosine of patch vectors, the {searched.count:,} patches of the {NEAR_REGIONS} "
                "regions that are most like this patch's region"
            )
        return Answer(searched.nearest(), searched.count, exact, f"{how}{_order(asked)}")

    def _region(self, asked: Question) -> Vectors:
        """(D,) the vector of the region."""
        path = self._results.shard("embed_regions", asked.slide_id)
        if not path.exists():
            raise RefusedError(404, f"slide {quoted(asked.slide_id)} has no region vectors (yet)")
        table = read_table(path)
        place = np.flatnonzero(table["region"].to_numpy() == asked.region)
        if not place.size:
            raise RefusedError(404, f"slide {quoted(asked.slide_id)} has no region {asked.region}")
        return _finite(matrix(table["embedding"])[place[0]], f"region {asked.region}")

    def _path(self, slide_id: str) -> Path:
        return self._results.shard("embed_patches", slide_id)

    def _embeddings(self, slide_id: str) -> PatchEmbeddings:
        """A slide's patch vectors, mapped.

        Raises:
            RefusedError: 404, if there are none.
        """
        path = self._path(slide_id)
        try:
            written = path.stat().st_mtime_ns
        except OSError:
            sentence = f"slide {quoted(slide_id)} has no patch vectors (yet)"
            raise RefusedError(404, sentence) from None
        return self._patches.get((slide_id, written), lambda: PatchEmbeddings(path))


class _Searched:
    """Patches that are compared with one, region by region."""

    def __init__(self, query: Vectors, asked: Question, rank: Rank) -> None:
        self._query, self._asked, self._rank = unit_rows(query[None])[0], asked, rank
        self._cosines: list[Vectors] = []
        self._places: list[tuple[str, int, npt.NDArray[np.int64]]] = []

    def add(self, slide_id: str, region: int, embeddings: PatchEmbeddings) -> None:
        """Compare the patches of a region that have vectors of their own."""
        if self._rank(slide_id) < 0 or embeddings.dim != len(self._query):
            return
        rows = embeddings.region(region)
        fit = rows["computed"].to_numpy(False) & rows["readable"].to_numpy(False)
        places = np.stack([rows[name].to_numpy() for name in ("patch", "x", "y")], 1)
        if (slide_id, region) == (self._asked.slide_id, self._asked.region):
            fit &= places[:, 0] != self._asked.patch
        vectors = unit_rows(matrix(rows["embedding"])[fit].astype(np.float32))
        self._cosines.append(vectors @ self._query)
        self._places.append((slide_id, region, places[fit]))

    @property
    def count(self) -> int:
        """How many were compared."""
        return sum(map(len, self._cosines))

    def nearest(self) -> list[Found]:
        """The nearest of them."""
        if not self._cosines:
            return []
        sizes = [len(cosines) for cosines in self._cosines]
        part = np.repeat(np.arange(len(sizes)), sizes)  # (N,)
        ranks = np.array([self._rank(slide) for slide, _, _ in self._places], np.int8)[part]
        cosine, starts = np.concatenate(self._cosines), np.cumsum([0, *sizes])
        found = []
        for item in nearest_by_rank(cosine, ranks, self._asked.most).tolist():
            slide_id, region, places = self._places[part[item]]
            patch, x, y = places[item - starts[part[item]]].tolist()
            found.append(Found(slide_id, region, patch, x, y, distance(cosine[item])))
        return found


def _patch(embeddings: PatchEmbeddings, asked: Question) -> Vectors:
    """(C,) the vector of the patch.

    Raises:
        RefusedError: 404, if it has none of its own.
    """
    if not 0 <= asked.region < len(embeddings):
        raise RefusedError(404, f"slide {quoted(asked.slide_id)} has no region {asked.region}")
    rows = embeddings.region(asked.region)
    place = np.flatnonzero(rows["patch"].to_numpy() == asked.patch)
    if not place.size:
        raise RefusedError(404, f"region {asked.region} has no patch {asked.patch}")
    row = rows.slice(int(place[0]), 1)
    if not (row["computed"][0].as_py() and row["readable"][0].as_py()):
        raise RefusedError(404, f"patch {asked.patch} of region {asked.region} was not embedded")
    return _finite(matrix(row["embedding"])[0], f"patch {asked.patch} of region {asked.region}")


def _finite(vector: npt.NDArray[Any], name: str) -> Vectors:
    """A vector to compare with others.

    Raises:
        RefusedError: 404, if it holds what is no number.
    """
    if not np.isfinite(vector).all():
        raise RefusedError(404, f"the vector of {name} holds values that are no numbers")
    return np.asarray(vector, np.float32)


def _rank(asked: Question, cohort: Cohort) -> Rank:
    """Other cases first, where that is wanted; slides that left the cohort not at all."""
    own = cohort.group[asked.slide_id]

    def rank(slide_id: str) -> int:
        group = cohort.group.get(slide_id)
        return -1 if group is None else int(asked.others_first and group == own)

    return rank


def _order(asked: Question) -> str:
    """What comes first, in words."""
    return "; other cases come first" if asked.others_first else ""


def shown(found: Found, asked: Question, cohort: Cohort, side_px: int) -> Row:
    """A neighbour as the page shows it."""
    row = cohort.slide(found.slide_id)
    return {
        **{"slide": found.slide_id, "case": row["case_id"]},
        **{"region": found.region, "patch": found.patch},
        **{"x": found.x, "y": found.y, "size": float(side_px), "distance": found.distance},
        "same_slide": found.slide_id == asked.slide_id,
        "same_case": cohort.group[found.slide_id] == cohort.group[asked.slide_id],
    }
