"""What the sheet and the folders of label maps say, looked at before hours of embedding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hipt.cohort.sheet import SlideRow, refuse_unknown
from hipt.config.config import Config
from hipt.tasks.labels.label_maps import label_maps, slide_labels, target_maps


@dataclass(frozen=True)
class Labels:
    """Labels of slides and of pixels, outside of tasks."""

    of_slide: Mapping[str, str]
    """The slides that have a value in `probe.column`, with it."""
    probe_maps: list[Path]
    """Label maps of `probe.labels`."""
    target_maps: list[Path]
    """Label maps of `attend.labels`, which heatmaps are compared with."""

    @classmethod
    def read(cls, config: Config, rows: Sequence[SlideRow]) -> Labels:
        """Those of a config and its sheet.

        Raises:
            HiptError: if there are none where the config names some, or `attend.slides` names
                slides that the sheet lacks.
        """
        labels = cls(
            slide_labels(rows, config.probe.column, config.slides.missing),
            sorted(label_maps(rows, config.probe.labels).values()),
            sorted(target_maps(rows, config.attend.labels, config.attend.target).values()),
        )
        if config.attend.slides != "all":
            refuse_unknown(rows, config.attend.slides, "attend.slides")
        return labels
