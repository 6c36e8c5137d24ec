"""The readers as steps call them, each from the path of one file."""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path

import numpy as np

SIZE = (64, 96)
"""Height and width of masks."""

ROOT = Path(__file__).parents[2]


def sheet(path: Path) -> object:
    from hipt.cohort.sheet import read_sheet
    from hipt.errors import SlideError
    from hipt.slides.slide import open_slide

    rows = read_sheet(path)
    for row in rows:
        row.digest()
        with contextlib.suppress(SlideError):
            open_slide(row.path)
    return rows


def dicom(path: Path) -> object:
    from hipt.cohort.dicom_series import dicom_header

    return dicom_header(path)


def _sheet_rows(names: str = "abcd") -> list:
    from hipt.cohort.sheet import SlideRow

    return [SlideRow(name, Path(f"{name}.svs"), f"c{i}") for i, name in enumerate(names, 1)]


def config(path: Path) -> object:
    from hipt.config.command_line import read_config
    from hipt.config.step_settings import settings as told
    from hipt.config.trained import resolved

    found = resolved(read_config(path))
    return told("report", found).model_dump_json()


def settings(path: Path) -> object:
    from hipt.config.command_line import read_settings
    from hipt.config.step_settings import SegmentSettings

    # a command line cannot hold a NUL, and what Python makes of other bytes are surrogates
    text = path.read_bytes().replace(b"\0", b"").decode("utf-8", "surrogateescape")
    return read_settings("segment", SegmentSettings, "{" + text.lstrip()[1:])


def mask(path: Path) -> object:
    from hipt.exchange.annotations import read_outside_mask

    return read_outside_mask(path, SIZE, 8.0).mask


def outlines(path: Path) -> object:
    from hipt.exchange.annotations import read_contours

    return read_contours(path).wkt


def label_names(path: Path) -> object:
    from hipt.tasks.labels.label_maps import class_names

    return class_names(str(path.parent))


def label_map(path: Path) -> object:
    from hipt.store.images import read_labels

    return np.unique(read_labels(path))


def shard(path: Path) -> object:
    from hipt.cohort.batch_run import kept_facts
    from hipt.heatmaps.table import listed

    return kept_facts(path, "f", listed(path) if path.suffix == ".parquet" else ())


def classes(path: Path) -> object:
    return _labels(path, kind="classification", label="grade")


def survival(path: Path) -> object:
    return _labels(path, kind="survival", time="months", event="died")


def _labels(path: Path, **task: object) -> object:
    from hipt.config.tasks import TaskConfig
    from hipt.tasks.labels.of_task import task_labels

    cfg = TaskConfig.model_validate({"labels": str(path), "folds": 2, **task})
    return task_labels("one", cfg, _sheet_rows(), None)


def clam_splits(path: Path) -> object:
    from hipt.tasks.labels.split_files import read_splits

    return read_splits(path.parent, "abcd")


def table_splits(path: Path) -> object:
    from hipt.tasks.labels.split_files import read_splits

    return read_splits(path, "abcd")


def members(path: Path) -> object:
    from hipt.tasks.members import read_members

    return read_members(path, 5)


def ledger(path: Path) -> object:
    from hipt.cohort.ledger import read_ledger, updated

    return updated(read_ledger(path), {"new": "2d"}, 16).members()


def corpus_list(path: Path) -> object:
    from hipt.pretraining.corpus_list import read_corpus_list

    return read_corpus_list(path)


def corpus_choice(path: Path) -> object:
    from hipt.pretraining.corpus_choice import chosen

    return chosen(_sheet_rows(), str(path))


def seconds(path: Path) -> object:
    from hipt.cohort.batch_run import read_seconds

    return read_seconds(path)


def jobs(path: Path) -> object:
    from hipt.report.costs import per_rule, read_jobs

    return per_rule(read_jobs(path.parents[1]))


def digests(path: Path) -> object:
    from hipt.embedding import weights_identity

    weights_identity._seen.clear()  # so that the file is asked
    return weights_identity.weights_sha256(ROOT / "docs" / "pictures" / "heatmaps.jpg", path)


def engines(path: Path) -> object:
    from hipt.embedding.engines.record import read_record

    record = read_record(path)
    return record and [record.verdict(trial) + trial.text() for trial in record.trials]


def export_note(path: Path) -> object:
    """The tree forgets a slide; nothing outside the tree may go."""
    from hipt.exchange.tree import ExportTree

    tree = path.parents[1]
    outside = tree.parent / "outside"
    outside.write_bytes(b"abc")
    found = ExportTree(tree).kept("a", "f")
    ExportTree(tree).remove("a")
    assert outside.exists(), "a file outside the tree was deleted"
    return found


@functools.cache
def _shape() -> object:
    from hipt.config.config import ViTShape

    return ViTShape(depth=1, dim=8, heads=1)


def weights(path: Path) -> object:
    from hipt.config.config import PatchEncoderConfig
    from hipt.embedding.weights_files import load_patch_encoder

    return load_patch_encoder(PatchEncoderConfig(shape=_shape(), weights=str(path)))


def state(path: Path) -> object:
    from hipt.pretraining.state import read_state

    return read_state(path, "settings")


def fold(path: Path) -> object:
    from hipt.tasks.fold_files import read_fold

    return read_fold(path)


def provenance(path: Path) -> object:
    from hipt.store.shard import read_provenance

    return read_provenance(path)


def trained_model(path: Path) -> object:
    from hipt.config.config import Config
    from hipt.config.trained import resolved
    from hipt.layout import Results
    from hipt.report.training import trainings

    told = {"results": str(path.parents[1]), "embed": {"patches": {"weights": "pretrain"}}}
    cfg = resolved(Config.model_validate(told))
    return list(trainings(cfg, Results(path.parents[1])))


def features(path: Path) -> object:
    from hipt.config.config import TileConfig
    from hipt.exchange.feature_files import FeatureFiles
    from hipt.exchange.foreign_features import (
        features_identity,
        features_width,
        read_patches,
        read_slide,
    )
    from hipt.exchange.foreign_vectors import read_features
    from hipt.geometry.imported_grid import imported_grid

    files = FeatureFiles.named(str(path.parent))
    features_identity(files, "a")
    features_width(files)
    read_slide(files, "a")
    patches = read_patches(files, "a")
    if len(patches.coords):
        cfg = TileConfig(region_px=256, patch_px=64)
        imported_grid(patches.coords, patches.side_px, (0, 0, 2048, 2048), cfg)
    return read_features(files, "a")


def clam_features(path: Path) -> object:
    from hipt.exchange.feature_files import FeatureFiles
    from hipt.exchange.foreign_features import read_patches, read_slide

    files = FeatureFiles.named(str(path.parents[1]))
    return read_slide(files, "a"), read_patches(files, "a")


def slide2vec(path: Path) -> object:
    from hipt.exchange.feature_files import FeatureFiles
    from hipt.exchange.foreign_features import (
        features_identity,
        features_width,
        read_patches,
        read_slide,
    )
    from hipt.exchange.foreign_vectors import read_features

    files = FeatureFiles.named(str(path.parents[1]))
    features_identity(files, "a")
    features_width(files)
    assert isinstance(files.encoder, str)
    read_slide(files, "a")
    return read_patches(files, "a"), read_features(files, "a")


def task_features(path: Path) -> object:
    from hipt.tasks.features import FileFeatures, bag

    found = FileFeatures(path)
    slides = found.slides()
    return [found.source(slide) for slide in slides], slides and bag(found, slides)


def slide(path: Path) -> object:
    from hipt.cohort.headers import slide_mpp, slide_plan
    from hipt.cohort.sheet import SlideRow
    from hipt.slides.identity import identity
    from hipt.slides.slide import UnreadableTileError, open_slide

    with open_slide(path) as found:
        mpp = slide_mpp(found.info, SlideRow("a", path, "a"), None)
        identity(path)
        pixels = found.info.width_px * found.info.height_px
        if pixels < 1 << 28 or pixels > 1 << 40:  # between them, reading just takes its time
            found.thumbnail(max(1.0, 8 / mpp.value))
        plan = slide_plan(mpp, found.info.downsamples, 0.5, 0.1, 64)
        with contextlib.suppress(UnreadableTileError):
            found.read(plan.level, 0, 0, 64, 64)
        return plan


def manifest(path: Path) -> object:
    from hipt.store.schemas import MANIFEST
    from hipt.store.tables import read_table

    shard(path)
    table = read_table(path, MANIFEST)
    return table.to_pylist(), [table[name].to_numpy() for name in table.column_names]


def index(path: Path) -> object:
    from hipt.cohort.batch_run import read_index

    return read_index(path)


def patch_embeddings(path: Path) -> object:
    from hipt.store.tables import PatchEmbeddings

    shard(path)
    found = PatchEmbeddings(path)
    columns = ("x", "y", "tissue", "readable", "computed")
    return [
        (found.grid(i), [found.region(i)[c].to_pylist() for c in columns])
        for i in range(len(found))
    ]


def region_embeddings(path: Path) -> object:
    from hipt.tasks.features import OwnFeatures

    shard(path)
    found = OwnFeatures(path.parents[1] / "slides.parquet")
    return found.source("a"), found.regions("a")


def maps(path: Path) -> object:
    from hipt.heatmaps.table import read_maps

    shard(path)
    return read_maps(path)


def units(path: Path) -> object:
    from hipt.tasks.units import read_units

    return read_units(path)


def predictions(path: Path) -> object:
    from hipt.tasks.predictions import read_predictions

    return read_predictions(path, "classification")
