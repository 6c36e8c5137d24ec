"""One slide without a workflow: what the steps write of it, called one after the other.

The steps themselves run, in a folder of their own that is removed with the answer; so files, and
vectors bit for bit, are those that the workflow writes with the same settings.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hipt.cohort.ledger import Ledger, updated, write_ledger
from hipt.cohort.sheet import read_sheet
from hipt.cohort.so_far import so_far
from hipt.config import step_settings
from hipt.config.command_line import read_config
from hipt.config.config import Config
from hipt.config.section import parse
from hipt.config.trained import resolved
from hipt.errors import HiptError, SlideError
from hipt.layout import Results
from hipt.machine import Granted, usable_cores
from hipt.notebook.slide import OpenedSlide
from hipt.notebook.surroundings import shown_progress, torch_as_it_was
from hipt.store.csv_rows import write_csv

BATCH = "b0000"
"""The one batch, of the one slide."""

_READ = {
    "segment": ("slides", "segment"),
    "tile": ("slides", "segment", "mpp", "tile"),
    "embed": ("slides", "segment", "mpp", "tile", "embed", "device"),
}
"""The keys of the config that each function reads."""

Values = dict[str, Any]


@dataclass(frozen=True)
class _Row:
    """The slide's row of the sheet."""

    path: Path
    slide_id: str
    mpp: float | None
    mask: Path | None


def segment(
    path: str | Path,
    *,
    slide_mpp: float | None = None,
    mask: str | Path | None = None,
    slide_id: str | None = None,
    config: str | Path | None = None,
    **settings: object,
) -> OpenedSlide:
    """Find a slide's tissue: mask, contours and overview, as `segment` writes them.

    Args:
        path: the slide's file.
        slide_mpp: its level-0 micrometres per pixel, in place of what its header says.
        mask: the tissue as QuPath's GeoJSON or a picture, in place of what is found.
        slide_id: its name; None: the file's, without ending.
        config: a config file; None: all defaults.
        **settings: keys of the config, in place of what the file says: `slides`, `segment`; e.g.
            `segment={"mask_mpp": 4}`. See docs/config.md.

    Returns:
        The slide: `mask`, `contours`, `overview`, `row` with area and status, which is `ok` or
        `no_tissue`.

    Raises:
        HiptError: if a setting is wrong.
        SlideError: if the slide is in trouble: `missing`, `unreadable`, `no_mpp`, ...
    """
    job = _Job(_config("segment", config, settings), _row(path, slide_id, slide_mpp, mask))
    return job.done("segment")


def tile(
    path: str | Path,
    *,
    slide_mpp: float | None = None,
    mask: str | Path | None = None,
    slide_id: str | None = None,
    config: str | Path | None = None,
    **settings: object,
) -> OpenedSlide:
    """Lay regions and patches over a slide's tissue, as `tile` writes them.

    Args:
        path: as of `segment`, and so all others.
        slide_mpp: see there.
        mask: see there.
        slide_id: see there.
        config: see there.
        **settings: keys of the config: `slides`, `segment`, `mpp` (of patches, um/px), `tile`; e.g.
            `tile={"region_px": 1024}`.

    Returns:
        The slide: what `segment` gives, and `patches`, the manifest.

    Raises:
        HiptError: if a setting is wrong.
        SlideError: if the slide is in trouble, or has no tissue.
    """
    job = _Job(_config("tile", config, settings), _row(path, slide_id, slide_mpp, mask))
    return job.done("segment", "tile")


def embed(  # noqa: PLR0913 (each is what somebody names for one slide)
    path: str | Path,
    *,
    encoder: str | None = None,
    weights: str | Path | None = None,
    stage: Literal["patches", "regions"] | None = None,
    threads: int | None = None,
    slide_mpp: float | None = None,
    mask: str | Path | None = None,
    slide_id: str | None = None,
    config: str | Path | None = None,
    **settings: object,
) -> OpenedSlide:
    """Embed a slide: vectors of its patches and regions, as `embed_*` write them, bit for bit.

    Args:
        path: as of `segment`, and so all others that are not named here.
        encoder: `embed.patches.encoder`, e.g. `uni2-h`; see `hipt encoders`.
        weights: `embed.patches.weights`, a file.
        stage: the last one that runs; None: `regions` where the settings say what makes them
            (`embed.regions` with `weights`, `random` or `pool`), else `patches`.
        threads: to read and compute with; None: one per core. They change no number.
        slide_mpp: see `segment`.
        mask: see `segment`.
        slide_id: see `segment`.
        config: see `segment`.
        **settings: keys of the config: `slides`, `segment`, `mpp` (of patches, um/px), `tile`,
            `embed`, `device` (`auto`, `gpu` or `cpu`); e.g. `embed={"regions": {"pool": "mean"}}`.

    Returns:
        The slide: what `tile` gives, `patch_vectors()` and, with stage 2, `region_vectors()` and
        `regions`.

    Raises:
        HiptError: if a setting is wrong, or weights cannot be loaded.
        SlideError: if the slide is in trouble, or has no tissue.
    """
    if stage not in (None, "patches", "regions"):
        raise HiptError(f"stage: must be 'patches' or 'regions', got {stage!r}")
    if threads is not None and threads < 1:
        raise HiptError(f"threads: must be 1 or more, or None for one per core, got {threads}")
    file = None if weights is None else str(Path(weights).expanduser())
    named = {"encoder": encoder, "weights": file}
    patches = {name: value for name, value in named.items() if value is not None}
    short = {"embed": {"patches": patches}}
    more = merged(short, settings)
    if patches and more != merged(settings, short):
        raise HiptError(
            f"hipt.embed: {' and '.join(patches)} beside embed= says another thing than that; "
            "name each once"
        )
    job = _Job(
        _config("embed", config, more),
        _row(path, slide_id, slide_mpp, mask),
        threads or usable_cores(),
    )
    regions = job.config.embed.regions
    made = any(value is not None for value in (regions.weights, regions.random, regions.pool))
    last = ("embed_regions",) if stage == "regions" or (stage is None and made) else ()
    return job.done("segment", "tile", "embed_patches", *last)


@dataclass(frozen=True)
class _Job:
    """A slide, and the config that its steps have their settings from."""

    config: Config
    row: _Row
    threads: int = 1

    def done(self, *steps: str) -> OpenedSlide:
        """The slide, steps being done in a folder that goes when nobody holds the slide any more.

        Raises:
            HiptError: as the steps do.
            SlideError: if the slide did not get through them.
        """
        folder = Path(tempfile.mkdtemp(prefix="hipt-"))
        try:
            results = Results(folder)
            with shown_progress():
                self._run(results, steps)
            (row,) = so_far(results, steps).to_dicts()
            slide = OpenedSlide(results, row | {"path": str(self.row.path)})
            if slide.status != "ok" and steps != ("segment",):
                raise SlideError(row["status"], f"{self.row.path}: {row['reason']}")
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        weakref.finalize(results, shutil.rmtree, folder, ignore_errors=True)
        return slide

    def _run(self, results: Results, steps: tuple[str, ...]) -> None:
        """Call the steps on a sheet and a ledger of the one slide.

        Raises:
            HiptError: as the steps do; of the slide, the sentence that it would have ended with.
        """
        sheet = results.root / "slides.csv"
        row = self.row
        cells = (row.slide_id, row.path, "" if row.mpp is None else row.mpp, row.mask or "")
        write_csv(sheet, ("slide_id", "path", "mpp", "mask"), [cells])
        (listed,) = read_sheet(sheet)
        write_ledger(results.batches, updated(Ledger(), {listed.slide_id: listed.digest()}, 1))
        slides = {
            "sheet": str(sheet),
            "root": None,
            "case_from": "column",
            "on_slide_error": "stop",
        }
        config = self.config.model_copy(
            update={"slides": self.config.slides.model_copy(update=slides)}
        )
        try:
            for step in steps:
                _call(step, results, config, self.threads)
        except HiptError as error:
            # BatchRun names the setting by which a slide's trouble is to stop a run
            cause = error.__context__
            raise (cause if isinstance(cause, HiptError) else error) from None


def _call(step: str, results: Results, config: Config, threads: int) -> None:
    """One step, as its rule calls it; what it imports is loaded now.

    Raises:
        HiptError: as the step does.
    """
    cfg: Any = step_settings.settings(step, config)
    out = results.index(step, BATCH)
    if step == "segment":
        from hipt.steps import segment

        segment.run(out, cfg)
    elif step == "tile":
        from hipt.steps import tile

        tile.run(results.index("segment", BATCH), out, cfg)
    else:
        with torch_as_it_was():
            _embed(step, results, config, threads)


def _embed(step: str, results: Results, config: Config, threads: int) -> None:
    """One of the embedding steps.

    Raises:
        HiptError: as the step does.
    """
    from hipt.steps import embed_patches, embed_regions

    cfg: Any = step_settings.settings(step, config)
    out, engine = results.index(step, BATCH), config.embed.engine
    if step == "embed_patches":
        granted = Granted(1, config.device)
        reader, tiles = config.slides.reader, results.index("tile", BATCH)
        embed_patches.run(tiles, out, cfg, threads, reader, granted, engine)
    else:
        embed_regions.run(results.index("embed_patches", BATCH), out, cfg, threads, engine)


def _row(
    path: str | Path, slide_id: str | None, mpp: float | None, mask: str | Path | None
) -> _Row:
    """The slide's row of the sheet."""
    file = Path(path).expanduser().absolute()
    outline = None if mask is None else Path(mask).expanduser().absolute()
    return _Row(file, file.stem if slide_id is None else slide_id, mpp, outline)


def _config(name: str, file: str | Path | None, more: Mapping[str, object]) -> Config:
    """The config of a file with other values in place of some of its own.

    Args:
        name: the function that asks.
        file: None: all defaults.
        more: nested values by key.

    Raises:
        HiptError: if there is no such file, or naming the key that is wrong or not read.
    """
    keys = _READ[name]
    for key in more:
        if key in Config.model_fields and key not in keys:
            hint = "; the slide's own resolution is slide_mpp" if key == "mpp" else ""
            raise HiptError(f"hipt.{name}: reads {', '.join(keys)}, and not {key}{hint}")
    values: Values = {}
    if file is not None:
        read = {*_READ["embed"]}  # imported features of `embed` say where tissue and patches lie
        said = resolved(read_config(Path(file).expanduser()))
        values = said.model_dump(exclude_unset=True, include=read)
    return parse(Config, merged(values, more), f"hipt.{name}")


def merged(values: Mapping[str, Any], more: Mapping[str, Any]) -> Values:
    """Nested values with others in place of those of the same keys."""
    out = dict(values)
    for key, value in more.items():
        inside = isinstance(value, Mapping) and isinstance(out.get(key), Mapping)
        out[key] = merged(out[key], value) if inside else value
    return out
