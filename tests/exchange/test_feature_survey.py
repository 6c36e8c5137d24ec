"""`hipt check` with imported features: what the run will say of each slide, from headers alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from hipt.config.config import Config
from hipt.steps import check
from tests.slidemaker import tissue_picture, write_slide
from tests.steps.conftest import Chain

GRID = np.stack(np.meshgrid(np.arange(8), np.arange(8)), -1).reshape(-1, 2) + 2  # (64, 2)


def write(folder: Path, slide_id: str, side: int | None, count: int = 64, dim: int = 6) -> None:
    with h5py.File(folder / f"{slide_id}.h5", "w") as file:
        file["features"] = np.ones((count, dim), np.float32)
        file["coords"] = GRID[:count] * (side or 1)
        if side is not None:
            file["coords"].attrs["patch_size_level0"] = side


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    """Slides whose features fit, lack, are of another size, say no size, or hold nothing."""
    chain = Chain(tmp_path)
    features = tmp_path / "features_x"
    features.mkdir()
    mpps = {"fits": 0.5, "fits40": 0.25, "level0": 0.25, "wide": 0.5}
    names = [*mpps, "lacks", "lacks_too", "sizeless", "empty", "other_count", "text"]
    for name in names:
        mpp = mpps.get(name, 0.5)
        size = (1024, 768) if mpp == 0.5 else (2048, 1536)
        write_slide(tmp_path / f"{name}.svs", tissue_picture(*size), mpp=mpp)
    chain.sheet("\n".join(["slide_id,path", *(f"{name},{name}.svs" for name in names)]))
    write(features, "fits", 64)
    write(features, "fits40", 128)
    write(features, "level0", 64)  # cut out of level 0 at 40x: half the field of view
    write(features, "wide", 64, dim=9)
    write(features, "sizeless", None)
    write(features, "empty", 64, count=0)
    write(features, "other_count", 64)
    with h5py.File(features / "other_count.h5", "a") as file:
        del file["features"]
        file["features"] = np.ones((60, 6), np.float32)
    (features / "text.h5").write_text("no HDF5")
    write(features, "TCGA-01", 64)
    chain.values["embed"]["patches"] = {"features": str(features)}
    return chain


def reasons(chain: Chain, capsys: pytest.CaptureFixture[str]) -> str:
    values = {**chain.values, "results": str(chain.results.root)}
    check.main(["--cfg", Config.model_validate(values).model_dump_json(), "--threads", "1"])
    return capsys.readouterr().out


def test_each_slide_ends_as_the_run_will_end_it(
    chain: Chain, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patch:
        patch.setattr(h5py.Dataset, "__getitem__", refused)  # no value is read
        text = reasons(chain, capsys)
    assert "features  3 of 10 slides have a file that fits, 192 patches" in text
    assert "          2 missing\n" in text
    assert "          4 unreadable\n" in text
    assert "          1 no_tissue\n" in text
    assert "vectors of several widths: 2 x 6, 1 x 9; features of one encoder are needed" in text
    assert "files of no slide of the sheet: 1 (TCGA-01)" in text
    assert "to do     3 x slide; patches are imported, none is computed" in text
    rows = chain.upto("tile") | chain.call("embed_patches")
    for slide_id, row in rows.items():
        assert (f"{slide_id}: {row['reason']}\n" in text) == (row["status"] != "ok"), slide_id
    assert "a patch has a side of 64 px, 16 um; wanted are 32 um" in rows["level0"]["reason"]


def refused(*_: Any) -> None:
    raise AssertionError("a value was read")


def test_a_folder_without_a_file(chain: Chain, capsys: pytest.CaptureFixture[str]):
    for path in Path(chain.values["embed"]["patches"]["features"]).iterdir():
        path.unlink()
    text = reasons(chain, capsys)
    assert "features  0 of 10 slides have a file that fits, 0 patches" in text
    assert "          10 missing\n            fits: its imported features: " in text
    assert "to do     0 x slide" in text


def test_a_slide_of_another_width_is_refused_in_a_sentence(chain: Chain):
    rows = chain.upto("embed_regions")
    assert rows["fits"]["status"] == "ok"
    assert rows["wide"]["status"] == "unreadable"
    assert rows["wide"]["reason"] == (
        "its patch vectors have 9 numbers, those of the batch's other slides 6; import features "
        "of one encoder"
    )
