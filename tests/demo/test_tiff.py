import numpy as np
import openslide
import pytest

from hipt.demo.tiff import write_slide


@pytest.fixture(scope="module")
def picture():
    down, right = np.mgrid[:700, :900]
    waves = [127 + 90 * np.sin(down / a + right / b) for a, b in ((40, 60), (70, 35), (55, 90))]
    return np.stack(waves, axis=2).astype(np.uint8)


@pytest.fixture(scope="module")
def slide(picture, tmp_path_factory):
    path = tmp_path_factory.mktemp("tiff") / "s.svs"
    write_slide(path, picture, mpp=0.2525, objective=40, downsamples=(4, 16))
    with openslide.OpenSlide(path) as slide:
        yield slide


def test_openslide_takes_it_for_an_aperio_slide(slide):
    assert slide.properties["openslide.vendor"] == "aperio"
    assert float(slide.properties["openslide.mpp-x"]) == 0.2525
    assert float(slide.properties["openslide.mpp-y"]) == 0.2525
    assert slide.properties["openslide.objective-power"] == "40"
    assert slide.level_dimensions == ((900, 700), (225, 175), (56, 43))
    assert list(slide.associated_images) == ["thumbnail"]


def test_pixels_come_back_at_every_level(slide, picture):
    def read(level):
        region = slide.read_region((0, 0), level, slide.level_dimensions[level])
        return np.asarray(region.convert("RGB")).astype(float)

    assert np.abs(read(0) - picture).mean() < 3
    quarter = picture.reshape(175, 4, 225, 4, 3).mean(axis=(1, 3))
    assert np.abs(read(1) - quarter).mean() < 3
    assert np.asarray(slide.associated_images["thumbnail"].convert("RGB")).mean() == pytest.approx(
        picture.mean(), abs=2
    )


def test_nothing_half_written_is_left(slide, tmp_path, picture):  # noqa: ARG001
    write_slide(tmp_path / "s.svs", picture[:64, :64], 0.5, 20, ())

    assert [file.name for file in tmp_path.iterdir()] == ["s.svs"]
