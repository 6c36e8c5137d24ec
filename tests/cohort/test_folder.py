"""A folder instead of a sheet: every slide once, nothing left out without a word."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import pytest

from hipt.cohort.folder import departed, folder_slides
from hipt.cohort.sheet import read_sheet, read_with_remarks
from hipt.errors import HiptError
from hipt.slides.slide import open_slide
from tests.dicommaker import CT, header, write_level
from tests.slidemaker import tissue_picture


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def slides(folder: Path) -> dict[str, str]:
    return {row.slide_id: str(row.path.relative_to(folder)) for row in read_sheet(folder)}


def remarks(folder: Path) -> list[str]:
    return read_with_remarks(folder)[1]


def test_linked_folders_are_followed_each_once(tmp_path: Path):
    folder = touch(tmp_path / "slides", "a.svs", "sub/b.svs")
    touch(tmp_path / "nas", "c.svs", "deep/d.svs")
    (folder / "nas").symlink_to(tmp_path / "nas")
    (folder / "again").symlink_to(tmp_path / "nas")
    (folder / "0_sub").symlink_to(folder / "sub")  # a real folder keeps its own path
    (folder / "sub" / "loop").symlink_to(folder)
    (tmp_path / "nas" / "deep" / "up").symlink_to(tmp_path)
    assert slides(folder) == {
        **{"a": "a.svs", "b": "sub/b.svs", "c": "again/c.svs", "d": "again/deep/d.svs"}
    }


def test_a_link_to_a_slide_that_is_gone_is_a_slide(tmp_path: Path):
    folder = touch(tmp_path / "slides", "a.svs")
    (folder / "b.svs").symlink_to(tmp_path / "unmounted" / "b.svs")
    (folder / "c.dcm").symlink_to(tmp_path / "unmounted" / "c.dcm")
    (folder / "d.svs").symlink_to("d.svs")
    (folder / "e.txt").symlink_to(tmp_path / "unmounted" / "e.txt")
    assert list(slides(folder)) == ["a", "b", "c", "d"]
    assert remarks(folder) == ["left out 1 link to nothing"]


def test_a_linked_folder_that_is_not_mounted(tmp_path: Path):
    folder = touch(tmp_path / "slides", "a.svs")
    (folder / "2024").symlink_to(tmp_path / "nas" / "2024")
    with pytest.raises(HiptError) as error:
        read_sheet(folder)
    assert str(error.value) == (
        f"{folder}/2024: is a link to {tmp_path}/nas/2024 and cannot be reached (No such file or "
        "directory); mount its disk, or take it out of the folder"
    )


def test_a_folder_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = touch(tmp_path / "slides", "a.svs", "locked/b.svs", "lost+found/c.svs")
    listed = os.scandir

    def scandir(path: Path) -> object:  # rights do not hold for root
        if Path(path).name in ("locked", "lost+found"):
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(HiptError) as error:
        read_sheet(folder)
    assert str(error.value) == (
        f"{folder}/locked: cannot be listed (Permission denied); see to its rights and its disk, "
        "or list the slides in a sheet"
    )
    (folder / "locked" / "b.svs").unlink()
    (folder / "locked").rmdir()
    assert slides(folder) == {"a": "a.svs"}


def test_what_is_left_out_is_counted(tmp_path: Path):
    folder = touch(tmp_path / "slides", "a.svs", "b.txt", "c/d.TXT", "e", ".f", "g.isyntax")
    touch(folder, "h.ome.zarr/0/0", "h.ome.zarr/0/1", ".hidden/x.txt")
    os.mkfifo(folder / "pipe.svs")
    assert slides(folder) == {"a": "a.svs"}
    assert remarks(folder) == [
        (
            "left out 1 .isyntax, 1 .zarr: of a format that OpenSlide does not open; convert "
            "slides among them to pyramidal TIFF"
        ),
        "left out 2 .txt, 1 .svs, 1 without an ending",
    ]


def test_many_endings_do_not_make_an_endless_sentence(tmp_path: Path):
    folder = touch(tmp_path / "slides", "a.svs", *(f"x.e{n:02}" for n in range(14)))
    (remark,) = remarks(folder)
    assert remark.endswith("1 .e09, 4 of 4 other kinds")


@pytest.mark.parametrize("ending", [".qptiff", ".btf", ".tf8", ".TF2"])
def test_tiff_under_other_endings(tmp_path: Path, ending: str):
    folder = touch(tmp_path / "slides", f"a{ending}")
    assert slides(folder) == {"a": f"a{ending}"}


def test_files_that_belong_to_a_slide_are_no_slides(tmp_path: Path):
    folder = touch(tmp_path / "slides", "m.mrxs", "m/Data0000.dat", "m/Slidedat.ini", "m/x.tif")
    touch(folder, "vms/v.vms", "vms/v.jpg", "vms/v_map2.jpg", "vms/v.opt", "n.ndpi")
    assert list(slides(folder)) == ["m", "n", "v"]
    assert remarks(folder) == []


def dicom(path: Path, series: str, size_px: int = 1024, kind: str = "VOLUME", **more: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header(series, (size_px, size_px), kind, **more))


def test_a_dicom_series_is_one_slide(tmp_path: Path):
    folder = tmp_path / "slides"
    for slide in ("S24-1", "S24-2"):
        dicom(folder / slide / "a.dcm", f"1.{slide}", 512)
        dicom(folder / slide / "b.dcm", f"1.{slide}", 2048)
        dicom(folder / slide / "c.dcm", f"1.{slide}", 4096, "LABEL")
        dicom(folder / slide / "d.dcm", f"1.{slide}", 4096, "OVERVIEW")
    assert slides(folder) == {"S24-1": "S24-1/b.dcm", "S24-2": "S24-2/b.dcm"}
    assert remarks(folder) == [
        "levels of DICOM slides: 4 files of 2 series, each series one slide",
        "left out 4 label, overview or thumbnail (DICOM)",
    ]


def test_series_side_by_side_are_called_by_their_largest_file(tmp_path: Path):
    folder = tmp_path / "slides"
    for where, series in (("", "1.1"), ("pair", "1.2"), ("pair", "1.3")):
        dicom(folder / where / f"{series}_0.dcm", series, 2048)
        dicom(folder / where / f"{series}_1.dcm", series, 1024)
    assert slides(folder) == {
        "1.1_0": "1.1_0.dcm",
        "1.2_0": "pair/1.2_0.dcm",
        "1.3_0": "pair/1.3_0.dcm",
    }


def test_dicom_files_as_archives_name_them(tmp_path: Path):
    folder = tmp_path / "slides"
    dicom(folder / "A" / "IM0001", "1.1", 2048)
    dicom(folder / "A" / "IM0002", "1.1", 1024)
    dicom(folder / "1.2.840.7", "1.2", 2048)
    dicom(folder / "1.2.840.8", "1.3", 2048)
    touch(folder, "README", "1.2.840.9")
    assert slides(folder) == {
        **{"A": "A/IM0001", "1.2.840.7": "1.2.840.7", "1.2.840.8": "1.2.840.8"}
    }
    assert remarks(folder)[1] == "left out 2 without an ending"


def test_dicom_that_is_no_slide_and_dicom_that_is_damaged(tmp_path: Path):
    folder = tmp_path / "slides"
    dicom(folder / "A" / "a.dcm", "1.1")
    dicom(folder / "A" / "ct.dcm", "1.2", sop_class=CT)
    touch(folder, "empty.dcm")
    assert slides(folder) == {"A": "A/a.dcm", "empty": "empty.dcm"}
    assert remarks(folder) == ["left out 1 DICOM file that is no slide"]


def test_the_series_opens_with_all_its_levels(tmp_path: Path):
    picture, folder = tissue_picture(1024, 768), tmp_path / "slides" / "S24-1"
    write_level(folder / "low.dcm", cv2.resize(picture, (256, 192)), "1.2.3", 2.0)
    write_level(folder / "top.dcm", picture, "1.2.3", 0.5)
    write_level(folder / "paper.dcm", cv2.resize(picture, (64, 48)), "1.2.3", 8.0, "LABEL")
    (row,) = read_sheet(tmp_path / "slides")
    assert row.path == folder / "top.dcm"
    with open_slide(row.path) as slide:
        assert (slide.info.width_px, slide.info.downsamples) == (1024, (1.0, 4.0))
        assert slide.info.mpp == (0.5, 0.5)


def series_sheet(folder: Path, rows: str) -> Path:
    for name, series in (("a", "1.1"), ("b", "1.1"), ("c", "1.2")):
        dicom(folder / f"{name}.dcm", series)
    dicom(folder / "copy" / "a.dcm", "1.1")
    sheet = folder / "slides.csv"
    sheet.write_text(f"slide_id,path,exclude\n{rows}")
    return sheet


def test_two_rows_of_one_series_are_refused(tmp_path: Path):
    sheet = series_sheet(tmp_path, "s1,c.dcm,\ns2,a.dcm,\ns3,b.dcm,\n")
    with pytest.raises(HiptError) as error:
        read_sheet(sheet)
    assert str(error.value) == (
        f"{sheet}, row 4, column 'path': b.dcm is of the same DICOM series as a.dcm (row 3), so "
        "that both rows are one slide; keep one of them"
    )


def test_rows_that_are_slides_of_their_own(tmp_path: Path):
    rows = "s1,c.dcm,\ns2,a.dcm,\ns3,b.dcm,yes\ns4,copy/a.dcm,\ns5,absent.dcm,\ns6,a.dcm,\n"
    assert len(read_sheet(series_sheet(tmp_path, rows))) == 6


def test_slides_that_are_not_in_the_folder_any_more(tmp_path: Path):
    touch(tmp_path, "a.svs", "slides.csv")
    (result,) = departed(tmp_path, ["z", "a", "b"], ["a", "new"])
    assert result == (
        "slides of earlier runs that are not in the folder any more: 2 (b, z); they leave the "
        "slide table; see whether a disk is not mounted"
    )
    assert not list(departed(tmp_path, ["a"], ["a"]))
    assert not list(departed(tmp_path / "slides.csv", ["a", "b"], ["a"]))


def test_a_folder_of_the_largest_cohort_is_listed_fast(tmp_path: Path):
    names = [f"{n // 100:03}/TCGA-{n:05}.svs" for n in range(10_678)]
    assert len(folder_slides(touch(tmp_path, *names)).slides) == len(names)
