"""What a cohort holds, as far as all of its headers and the thumbnails of a few slides tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from hipt.cohort.failures import in_one_line
from hipt.cohort.headers import header_note, joined, slide_mpp, slide_plan
from hipt.cohort.sheet import SlideRow
from hipt.config.config import Config
from hipt.errors import SlideError, Status
from hipt.geometry.grid import Grid, region_grid
from hipt.geometry.resolution import ReadPlan
from hipt.geometry.tissue import find_tissue
from hipt.geometry.tissue_mask import TissueMask
from hipt.progress import Progress
from hipt.slides.pixel_kind import nothing_found, picture_note
from hipt.slides.region_reader import SlideJob
from hipt.slides.slide import SlideInfo, open_slide

HEADERS_AT_ONCE = 8
"""Files opened side by side: on network disks, waiting is all that opening is."""


@dataclass(frozen=True)
class Header:
    """What a slide's header promises."""

    row: SlideRow
    status: Status
    reason: str = ""
    mpp: float = 0.0
    area_mm2: float = 0.0
    """Area of the scanned part, glass included."""
    plan: ReadPlan | None = None


def slide_info(row: SlideRow) -> SlideInfo:
    """What a slide's own header says.

    Raises:
        SlideError: `missing` or `unreadable`.
    """
    with open_slide(row.path) as slide:
        return slide.info


def headers(
    rows: Sequence[SlideRow],
    config: Config,
    info_of: Callable[[SlideRow], SlideInfo] = slide_info,
) -> Iterator[Header]:
    """Every slide's header, in order."""
    progress = Progress(len(rows), "headers")
    with ThreadPoolExecutor(HEADERS_AT_ONCE) as pool:
        for header in pool.map(lambda row: _header(row, config, info_of), rows):
            progress.add(1, header.row.slide_id)
            yield header


def spread(fine: Sequence[Header], count: int) -> list[Header]:
    """At most `count` of some slides, small ones and large ones."""
    by_area = sorted(fine, key=lambda h: h.area_mm2)
    count = min(count, len(by_area))
    return [by_area[(2 * k + 1) * len(by_area) // (2 * count)] for k in range(count)]


def grid_of(header: Header, config: Config) -> Grid:
    """The regions of a slide.

    Raises:
        SlideError: if it cannot be read, or its picture is none in which tissue can be found.
    """
    assert header.plan is not None
    masked = header.row.mask is not None
    with open_slide(header.row.path) as slide:
        reduction = max(1.0, config.segment.mask_mpp / header.mpp)
        thumbnail, scale, most_opaque = slide.thumbnail(reduction)
        bounds = slide.info.bounds
        seen = picture_note(thumbnail, slide.info.pixels, most_opaque, masked)
        note = joined(seen, header_note(slide.info))
    mask = find_tissue(thumbnail, header.mpp * scale, config.segment).mask
    if note and not masked and not mask.any():
        raise SlideError("no_tissue", nothing_found(note))
    return region_grid(TissueMask(mask, scale, scale), bounds, header.plan, config.tile)


def job_of(header: Header, grid: Grid, config: Config, regions: int) -> SlideJob:
    """At most so many regions of a slide, evenly over it, to be read."""
    assert header.plan is not None
    corners = np.stack([grid.columns[name] for name in ("region_x", "region_y")], 1)
    corners = corners[:: config.tile.grid**2]  # each region's first patch
    places = np.linspace(0, len(corners) - 1, min(regions, len(corners))).round().astype(int)
    return SlideJob(
        header.row.slide_id, header.row.path, header.plan, config.tile.grid, corners[places]
    )


def _header(row: SlideRow, config: Config, info_of: Callable[[SlideRow], SlideInfo]) -> Header:
    """What one slide would end as, as far as its header tells."""
    if row.exclude:
        return Header(row, "excluded")
    try:
        info = info_of(row)
        mpp = slide_mpp(info, row, config.slides.default_mpp)
        tolerance, patch_px = config.slides.mpp_tolerance, config.tile.patch_px
        plan = slide_plan(mpp, info.downsamples, config.mpp, tolerance, patch_px)
    except SlideError as error:
        return Header(row, error.status, error.reason)
    except Exception as error:  # noqa: BLE001 (no slide ends the survey)
        return Header(row, "failed", in_one_line(error))
    area_mm2 = info.bounds[2] * info.bounds[3] * mpp.value**2 / 1e6
    return Header(row, "ok", header_note(info, mpp), mpp.value, area_mm2, plan)
