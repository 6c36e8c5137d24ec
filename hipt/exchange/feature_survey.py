"""Which slides have imported features that fit, as far as headers tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from hipt.cohort.failures import in_one_line
from hipt.cohort.survey import HEADERS_AT_ONCE, Header
from hipt.config.config import Config
from hipt.errors import SlideError
from hipt.exchange.feature_files import FeatureFiles
from hipt.exchange.foreign_features import read_header, refuse_another_size, refuse_no_patch
from hipt.exchange.foreign_values import ForeignHeader
from hipt.progress import Progress


@dataclass(frozen=True)
class FeatureSurvey:
    """The features of a cohort."""

    slides: Sequence[Header]
    """The slides that were looked at, with what they would end as."""
    patches: int
    """Patches of those in order."""
    widths: Counter[int]
    """Slides in order by how many numbers their vectors have."""
    strangers: Sequence[str]
    """Files of slides that are not in the sheet, by their slide_ids."""


def survey_features(
    slides: Sequence[Header], known: Sequence[str], config: Config
) -> FeatureSurvey:
    """Look at the headers of all files of features.

    Raises:
        HiptError: if there is no such folder.
    """
    files = FeatureFiles.named(config.embed.patches.features or "")
    progress = Progress(len(slides), "files of features")
    ends, patches, widths = list[Header](), 0, Counter[int]()
    with ThreadPoolExecutor(HEADERS_AT_ONCE) as pool:
        for end, header in pool.map(lambda slide: _looked_at(slide, files, config), slides):
            ends.append(end)
            progress.add(1, end.row.slide_id)
            if header is not None:
                patches += header.patches
                widths[header.dim] += 1
    return FeatureSurvey(ends, patches, widths, sorted({*files.slide_ids()} - {*known}))


def _looked_at(
    slide: Header, files: FeatureFiles, config: Config
) -> tuple[Header, ForeignHeader | None]:
    """What a slide would end as; and its features' header, if they fit."""
    try:
        header = read_header(files, slide.row.slide_id)
        patch_um = config.tile.patch_px * config.mpp
        refuse_another_size(header.side_px, slide.mpp, patch_um, config.slides.mpp_tolerance)
        refuse_no_patch(header.patches)
    except SlideError as error:
        return replace(slide, status=error.status, reason=error.reason), None
    except Exception as error:  # noqa: BLE001 (no slide ends the survey)
        return replace(slide, status="failed", reason=in_one_line(error)), None
    return replace(slide, reason=""), header
