"""Files of slide2vec as they come: what is read, and what is said of broken ones."""

from __future__ import annotations

import io
import itertools
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from hipt.errors import HiptError, SlideError
from hipt.exchange.feature_files import FeatureFiles
from hipt.exchange.foreign_features import (
    features_identity,
    features_width,
    read_header,
    read_patches,
    read_slide,
)
from hipt.exchange.foreign_values import ForeignSlide
from hipt.exchange.foreign_vectors import read_features
from tests.slide2vecmaker import write_slide2vec

COORDS = np.array([[0, 0], [0, 128], [128, 0]])
FEATURES = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)


@pytest.mark.parametrize("kind", ["pt", "npz"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("annotation", ["", "tumor"])
def test_vectors_places_and_names(tmp_path: Path, kind: str, dtype: type, annotation: str):
    made = FEATURES.astype(dtype)
    folder = write_slide2vec(tmp_path, "a", made, COORDS, 128, kind=kind, annotation=annotation)
    files = FeatureFiles.named(str(folder))
    patches, header = read_patches(files, "a"), read_header(files, "a")
    np.testing.assert_array_equal(patches.coords, COORDS)
    assert (patches.side_px, files.encoder, features_width(files)) == (128, "uni2", 5)
    assert (header.patches, header.dim, header.side_px) == (3, 5, 128)
    np.testing.assert_array_equal(read_features(files, "a"), FEATURES.astype(np.float16))
    assert files.slide_ids() == ["a"]


def test_the_folder_above_and_a_relative_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = write_slide2vec(tmp_path, "a", FEATURES, COORDS, 128)
    assert FeatureFiles.named(str(tmp_path)) == FeatureFiles(folder)
    monkeypatch.chdir(folder)
    assert read_patches(FeatureFiles.named("."), "a").side_px == 128


def test_the_format_that_was_written_last_counts(tmp_path: Path):
    folder = write_slide2vec(tmp_path, "a", FEATURES, COORDS, 128, kind="pt")
    write_slide2vec(tmp_path, "a", FEATURES + 1, COORDS, 128, kind="npz")
    result = read_features(FeatureFiles.named(str(folder)), "a")
    np.testing.assert_array_equal(result, (FEATURES + 1).astype(np.float16))


def test_a_slide_without_tissue_has_no_vectors(tmp_path: Path):
    write_slide2vec(tmp_path, "a", FEATURES[:0], COORDS[:0], 128)
    files = FeatureFiles.named(str(tmp_path))
    assert read_header(files, "a").patches == len(read_patches(files, "a").coords) == 0
    assert features_width(files) is None
    assert features_identity(files, "a")


def test_identity_and_digest_follow_all_files(tmp_path: Path):
    files = FeatureFiles.named(str(write_slide2vec(tmp_path, "a", FEATURES, COORDS, 128)))
    marks, digests = {features_identity(files, "a")}, [files.digests(["a", "b"])]
    for features, coords, side in (
        (FEATURES + 1, COORDS, 128),
        (FEATURES, COORDS + 1, 128),
        (FEATURES, COORDS, 256),
    ):
        write_slide2vec(tmp_path, "a", features, coords, side)
        marks.add(features_identity(files, "a"))
        digests.append(files.digests(["a", "b"]))
    assert len(marks) == 4
    assert all(before != after for before, after in itertools.pairwise(digests))
    assert digests[0]["b"] == [None] * 5


def test_the_slide_s_size_and_resolution(tmp_path: Path):
    write_slide2vec(tmp_path, "a", FEATURES, COORDS, 128, size_px=(2000, 1000), mpp=0.26)
    files = FeatureFiles.named(str(tmp_path))
    assert read_slide(files, "a") == ForeignSlide(2000, 1000, 0.26)
    path = tmp_path / "tiles" / "a.coordinates.meta.json"
    for slide in (None, {}, {"dimensions": [1]}, {"dimensions": ["x", 1]}, {"dimensions": 5}):
        path.write_text(json.dumps({"slide": slide}))
        assert read_slide(files, "a") is None
    path.write_text(json.dumps({"slide": {"dimensions": [9, 9], "base_spacing_um": None}}))
    assert read_slide(files, "a") == ForeignSlide(9, 9, None)
    path.write_text("[]")
    with pytest.raises(SlideError, match="holds a list, not an object"):
        read_slide(files, "a")
    path.unlink()
    assert read_slide(files, "a") is None


def test_regions_of_slide2vec_are_no_patches(tmp_path: Path):
    (tmp_path / "hierarchical_embeddings").mkdir()
    for named in (tmp_path, tmp_path / "hierarchical_embeddings"):
        with pytest.raises(HiptError, match="hierarchical_embeddings are not read"):
            FeatureFiles.named(str(named))


def _without(folder: Path, ending: str) -> None:
    next(folder.rglob(f"a{ending}")).unlink()


def _stating(**values: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "tile_embeddings" / "a.meta.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def _holding(name: str, make: Callable[[], bytes]) -> Callable[[Path], None]:
    return lambda folder: next(folder.rglob(name)).write_bytes(make())


def _saved(value: object, **options: bool) -> bytes:
    held = io.BytesIO()
    torch.save(value, held, **options)
    return held.getvalue()


def _bomb() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"")
        with archive.open("a/data/0", "w", force_zip64=True) as file:
            for _ in range(300):
                file.write(bytes(1 << 20))
    return held.getvalue()


def _arrays(**arrays: np.ndarray) -> bytes:
    held = io.BytesIO()
    np.savez_compressed(held, **arrays)
    return held.getvalue()


NONE = np.zeros(0)
BROKEN = {
    "no tensor": (lambda f: _without(f, ".pt"), "missing", "a.pt: no such file"),
    "no statement": (lambda f: _without(f, ".meta.json"), "missing", "a.meta.json: no such file"),
    "no places": (lambda f: _without(f, ".coordinates.npz"), "missing", "npz: no such file"),
    "no JSON": (_holding("a.meta.json", lambda: b"{"), "unreadable", "is no JSON that can be read"),
    "a slide's": (
        _stating(artifact_type="slide_embeddings"),
        "unreadable",
        "does not say that it is of slide2vec's tile_embeddings",
    ),
    "other count": (_stating(num_tiles=4), "unreadable", "for 4 vectors"),
    "other width": (_stating(num_tiles=3, feature_dim="5"), "unreadable", "feature_dim ('5')"),
    "no side": (_stating(tile_size_lv0=0), "unreadable", "a patch's side 0, which is no number"),
    "format": (_stating(format="zarr"), "unreadable", "names the format 'zarr'"),
    "fewer vectors": (
        _holding("a.pt", lambda: _saved(torch.zeros(2, 5))),
        "unreadable",
        "has features of shape (2, 5) for 3 coords",
    ),
    "a table": (
        _holding("a.pt", lambda: _saved({"features": torch.zeros(3, 5)})),
        "unreadable",
        "holds a dict, not a bare tensor of numbers",
    ),
    "complex": (
        _holding("a.pt", lambda: _saved(torch.zeros(3, 5, dtype=torch.complex64))),
        "unreadable",
        "holds a tensor of type torch.complex64",
    ),
    "expanded": (
        _holding("a.pt", lambda: _saved(torch.zeros(1, 1).expand(3, 1 << 28))),
        "unreadable",
        "which nothing packs so small",
    ),
    "packed": (_holding("a.pt", _bomb), "unreadable", "which nothing packs so small"),
    "old torch": (
        _holding("a.pt", lambda: _saved(torch.zeros(3, 5), _use_new_zipfile_serialization=False)),
        "unreadable",
        "is no file that torch.save writes",
    ),
    "nan": (
        _holding("a.pt", lambda: _saved(torch.full((3, 5), torch.nan))),
        "unreadable",
        "3 with nan; the first is row 1 of features",
    ),
    "half pixels": (
        _holding("a.coordinates.npz", lambda: _arrays(x=COORDS[:, 0] + 0.5, y=COORDS[:, 1])),
        "unreadable",
        "whole level-0 pixels",
    ),
    "no y": (
        _holding("a.coordinates.npz", lambda: _arrays(x=COORDS[:, 0])),
        "unreadable",
        "has no array y (found: x)",
    ),
    "no npz": (_holding("a.coordinates.npz", lambda: b"text"), "unreadable", "is no npz file"),
    "packed places": (
        _holding("a.coordinates.npz", lambda: _arrays(x=np.zeros(1 << 26, np.int64), y=NONE)),
        "unreadable",
        "which nothing packs so small",
    ),
}


def both(files: FeatureFiles) -> None:
    """What the two steps read of a slide."""
    read_patches(files, "a")
    read_features(files, "a")


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_ends_its_slide_in_one_sentence(tmp_path: Path, name: str):
    write_slide2vec(tmp_path, "a", FEATURES, COORDS, 128)
    damage, status, sentence = BROKEN[name]
    damage(tmp_path)
    files = FeatureFiles.named(str(tmp_path))
    with pytest.raises(SlideError) as error:
        both(files)
    assert error.value.status == status
    assert error.value.reason.startswith(f"its imported features: {tmp_path}")
    assert sentence in error.value.reason
    assert "\n" not in error.value.reason
