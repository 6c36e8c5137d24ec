"""Slides whose pixels lie beside the named file are told apart by these."""

from __future__ import annotations

import shutil
from pathlib import Path

from hipt.slides.companions import companions, with_companions
from hipt.slides.identity import identity


def content(path: Path) -> str:
    return with_companions(path, identity(path))


def mirax(folder: Path, name: str, slide: str) -> Path:
    """A MIRAX slide whose stub says nothing, as anonymous exports have it."""
    (folder / name).mkdir(parents=True)
    (folder / name / "Slidedat.ini").write_text(f"[GENERAL]\nSLIDE_ID = {slide}\n")
    for number in range(3):
        (folder / name / f"Data000{number}.dat").write_bytes(f"{slide}{number}".encode())
    (folder / f"{name}.mrxs").write_bytes(b"stub")
    return folder / f"{name}.mrxs"


def test_stubs_of_different_slides_are_different_slides(tmp_path: Path):
    one, other = mirax(tmp_path / "x", "a", "1"), mirax(tmp_path / "x", "b", "2")
    assert identity(one) == identity(other)
    assert content(one) != content(other)


def test_a_copy_is_the_same_slide_wherever_it_lies(tmp_path: Path):
    one = mirax(tmp_path / "x", "a", "1")
    shutil.copytree(tmp_path / "x", tmp_path / "y")
    shutil.move(tmp_path / "y/a", tmp_path / "y/renamed")
    shutil.move(tmp_path / "y/a.mrxs", tmp_path / "y/renamed.mrxs")
    assert content(tmp_path / "y/renamed.mrxs") == content(one)


def test_hamamatsu_slides_with_the_scanners_names(tmp_path: Path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        text = "[Specimen]\r\nImageFile=image.jpg\r\nImageFile(1,0)=dir\\1.jpg\r\n"
        (tmp_path / name / "slide.vms").write_text(text)
        (tmp_path / name / "image.jpg").write_text(name)
        (tmp_path / name / "1.jpg").write_text("same")
    assert [p.name for p in companions(tmp_path / "a/slide.vms")] == ["image.jpg", "1.jpg"]
    assert content(tmp_path / "a/slide.vms") != content(tmp_path / "b/slide.vms")


def test_a_file_that_holds_its_pixels_is_itself(tmp_path: Path):
    path = tmp_path / "a.svs"
    path.write_bytes(b"pixels")
    assert content(path) == identity(path)


def test_files_that_are_not_there(tmp_path: Path):
    path = mirax(tmp_path, "a", "1")
    shutil.rmtree(tmp_path / "a")
    assert content(path) == identity(path)
    lost = tmp_path / "a.vms"
    lost.write_text("ImageFile=gone.jpg\n")
    assert content(lost) == ""
