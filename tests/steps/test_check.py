"""`hipt check`: what it says before a long run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm

from hipt.cohort import survey
from hipt.cohort.sheet import SlideRow
from hipt.cohort.survey import Header, grid_of
from hipt.config.config import Config, ViTShape
from hipt.embedding.weights_files import write_weights
from hipt.errors import HiptError
from hipt.geometry.grid import Grid
from hipt.nn.vit import vit256
from hipt.slides.slide import SlideInfo
from hipt.steps import check
from tests.slidemaker import tissue_picture, write_slide

SHAPE = {"depth": 1, "dim": 16, "heads": 2}


def config(folder: Path, **patches: object) -> list[str]:
    values = {
        "slides": {"sheet": str(folder / "slides.csv")},
        "results": str(folder / "not" / "there" / "yet"),
        "tile": {"region_px": 256, "patch_px": 64},
        "embed": {
            "patches": {"shape": SHAPE, **(patches or {"random": 1})},
            "regions": {"shape": SHAPE, "random": 2},
        },
    }
    return ["--cfg", json.dumps(values), "--threads", "2"]


@pytest.fixture(autouse=True)
def moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "MEASURED_S", 0.1)


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    picture = tissue_picture(1024, 768)
    write_slide(tmp_path / "a.svs", picture)
    write_slide(tmp_path / "b.svs", picture, mpp=0.25)
    write_slide(tmp_path / "c.svs", picture, mpp=None)
    write_slide(tmp_path / "d.svs", picture, mpp=4.0)
    ids = [*"abcd", "gone", "out"]
    lines = [f"{i},{i}.svs,case-{n // 2},{'x' if i == 'out' else ''}" for n, i in enumerate(ids)]
    (tmp_path / "slides.csv").write_text("\n".join(["slide_id,path,case_id,exclude", *lines]))
    return tmp_path


def test_every_header_is_counted_and_troubled_ones_are_named(
    cohort: Path, capsys: pytest.CaptureFixture[str]
):
    check.main(config(cohort))
    said = capsys.readouterr().out
    assert "6 slides, 3 cases, 0 sites" in said
    assert "headers   2 ok" in said
    assert "1 missing\n            gone: " in said
    assert "1 no_mpp\n            c: " in said
    assert "1 too_coarse\n            d: " in said
    assert "1 excluded" in said
    assert "1 x 0.5 um/px, read at 0.5 um/px" in said
    assert "1 x 0.25 um/px, read at 0.5 um/px" in said


def test_ids_that_clam_would_misread_are_said_where_it_gets_them(
    cohort: Path, capsys: pytest.CaptureFixture[str]
):
    (cohort / "slides.csv").write_text("slide_id,path\n0012,a.svs\nb,b.svs\n")
    arguments = config(cohort)
    check.main(arguments)
    assert "dataset.csv" not in capsys.readouterr().out
    values = json.loads(arguments[1]) | {"export": {"formats": ["clam"]}}
    check.main(["--cfg", json.dumps(values), "--threads", "2"])
    assert "export    clam: dataset.csv: ids of 1 slides (0012) are" in capsys.readouterr().out


def test_patches_are_those_of_the_tissue(cohort: Path, capsys: pytest.CaptureFixture[str]):
    (cohort / "slides.csv").write_text("slide_id,path\na,a.svs\n")
    check.main(config(cohort))
    said = capsys.readouterr().out
    # an ellipse of 819 x 614 px: its box holds 4 x 3 regions of 256 px, all of them hit
    assert "to do     1 x slide, about 192 patches" in said
    assert "patches/s" in said
    assert "tried on 1 of them, 1 decoded directly" in said
    assert "on this machine" in said
    assert " MB to write, " in said
    assert not (cohort / "not").exists()


def test_hours_count_what_is_computed(cohort: Path, capsys: pytest.CaptureFixture[str]):
    """Of the regions around an ellipse a tenth of the patches and more hold no tissue."""
    write_slide(cohort / "a.svs", tissue_picture(2048, 1536))
    (cohort / "slides.csv").write_text("slide_id,path\na,a.svs\n")
    values = json.loads(config(cohort)[1])
    found = {}
    for background in ("embed", "sample"):
        values["embed"]["patches"]["background"] = background
        check.main(["--cfg", json.dumps(values), "--threads", "2"])
        counts = re.findall(r"about (\d+) patches, (\d+) of", capsys.readouterr().out)[0]
        found[background] = [int(count) for count in counts]
    patches, computed = found["embed"]
    assert found["sample"][0] == patches >= computed
    assert 0.5 * patches < found["sample"][1] < 0.9 * computed


def test_finished_slides_are_not_counted_again(cohort: Path, capsys: pytest.CaptureFixture[str]):
    done = cohort / "not/there/yet/embed_regions"
    done.mkdir(parents=True)
    (done / "a.parquet").touch()
    check.main(config(cohort))
    said = capsys.readouterr().out
    assert "1 have embeddings already" in said
    assert "to do     1 x slide" in said


def test_slides_without_tissue_take_no_hours(cohort: Path, capsys: pytest.CaptureFixture[str]):
    write_slide(cohort / "a.svs", np.full((768, 1024, 3), 243, np.uint8))
    (cohort / "slides.csv").write_text("slide_id,path\na,a.svs\n")
    check.main(config(cohort))
    said = capsys.readouterr().out
    assert "to do     1 x slide; no tissue was found on those that were tried" in said
    assert "time" not in said.splitlines()[-1]


def with_tasks(folder: Path, **tasks: object) -> list[str]:
    _, text, *rest = config(folder)
    return ["--cfg", json.dumps(json.loads(text) | {"tasks": tasks}), *rest]


LABELLED = """slide_id,path,case_id,exclude,grade,m,e
a,a.svs,a1,,hi,0,0:LIVING
b,b.svs,b1,,lo,2,1:DECEASED
c,c.svs,c1,,hi,3,1:DECEASED
d,d.svs,d1,,lo,4,0:LIVING
gone,gone.svs,e1,,NA,5,1:DECEASED
out,out.svs,f1,x,lo,6,1:DECEASED
more,a.svs,NA,,NA,7,0:LIVING
"""


def test_tasks_are_counted_before_the_first_job(cohort: Path, capsys: pytest.CaptureFixture[str]):
    (cohort / "slides.csv").write_text(LABELLED)
    grade = {"kind": "classification", "label": "grade", "folds": 2}
    outcome = {"kind": "survival", "time": "m", "event": "e", "folds": 2}
    check.main(with_tasks(cohort, grade=grade, outcome=outcome))
    said = capsys.readouterr().out
    assert "case_id: 1 'NA' of 7 count as empty (the slide is a case of its own)" in said
    assert "task      grade: 4 of 6 slides have a label: hi 2 (2 cases), lo 2 (2 cases)" in said
    assert "2 of 6 slides have no label, left out: 2 'NA'" in said
    assert "task      outcome: 5 of 6 slides have time and event: event seen 3 (3 cases)" in said
    assert "1 of 6 slides has a time of 0, left out" in said
    assert "e: '1:DECEASED' is event seen (3), '0:LIVING' is event not seen (2)" in said


def test_faults_of_all_tasks_are_said(cohort: Path, capsys: pytest.CaptureFixture[str]):
    (cohort / "slides.csv").write_text(LABELLED)
    task = {"kind": "classification", "label": "gade", "folds": 2}
    files = task | {"label": "grade", "split": "files", "split_files": "no"}
    with pytest.raises(HiptError, match=r"column 'gade' is missing.*\(at fault too: tasks.b"):
        check.main(with_tasks(cohort, a=task, b=files))
    assert (
        "task      b: cannot run: no: no such folder or file of splits" in capsys.readouterr().out
    )


def test_masks_that_are_not_there_are_said(cohort: Path, capsys: pytest.CaptureFixture[str]):
    write_slide(cohort / "m.png", tissue_picture(64, 64))
    rows = ["slide_id,path,mask", "a,a.svs,m.png", "b,b.svs,gone.geojson"]
    (cohort / "slides.csv").write_text("\n".join(rows))
    check.main(config(cohort))
    said = capsys.readouterr().out
    assert "1 of 2 masks are not there, and their slides will end as unreadable: b (" in said


def test_weights_alone(cohort: Path, capsys: pytest.CaptureFixture[str]):
    write_weights(cohort / "w.safetensors", vit256(ViTShape(**SHAPE)).state_dict(), {})
    check.main([*config(cohort, weights=str(cohort / "w.safetensors")), "--weights"])
    said = capsys.readouterr().out
    assert "w.safetensors (sha256 " in said
    assert "headers" not in said


def test_what_stage_1_takes_and_gives_is_printed(cohort: Path, capsys: pytest.CaptureFixture[str]):
    check.main([*config(cohort), "--weights"])
    said = capsys.readouterr().out
    assert (
        "input     embed.patches: 64 px patches as they are; mean 0.5 0.5 0.5, std 0.5 0.5 0.5 "
        "(HIPT's own)" in said
    )
    assert "vectors   embed.patches: 16 numbers for a painted patch, all finite: " in said


def test_normalisation_by_timm_default_and_enlarged_patches_are_noted(
    cohort: Path, capsys: pytest.CaptureFixture[str]
):
    network = timm.create_model("test_resnet")
    write_weights(cohort / "w.safetensors", network.state_dict(), {})
    named = {"encoder": "test_resnet", "weights": str(cohort / "w.safetensors")}
    check.main([*config(cohort, **named), "--weights"])
    said = capsys.readouterr().out
    assert "patches of 160 px from 64 px (timm's config); mean 0.5 0.5 0.5, std 0.5" in said
    assert "NOTE: mean and std are timm's test_resnet.r160_in1k, timm's default for" in said
    assert "NOTE: patches are enlarged from 64 to 160 px" in said
    assert "96 numbers for a painted patch, all finite: " in said


def test_a_card_is_printed_with_what_it_is_given(cohort: Path, capsys: pytest.CaptureFixture[str]):
    small = {"encoder_args": {"depth": 1, "embed_dim": 24, "num_heads": 2}, "random": 1}
    arguments = config(cohort, encoder="kaiko-s16", random=1)
    check.main([*arguments, "--weights"])
    text = capsys.readouterr().out
    assert "input     embed.patches: patches of 224 px from 64 px (kaiko-s16's card); " in text
    assert (
        "card      kaiko-s16: asks for 0.5 um/px, 224 px bilinear, mean 0.5 0.5 0.5, std 0.5 0.5 "
        "0.5, cls; it is given that\n" in text
    )
    assert "vectors   embed.patches: 384 numbers" in text
    values = json.loads(config(cohort, encoder="virchow2", **small)[1]) | {"mpp": 0.4}
    check.main(["--cfg", json.dumps(values), "--weights"])
    text = capsys.readouterr().out
    assert "cls+mean; see the notes\n" in text
    assert (
        "NOTE: virchow2's card asks for 2 or 1 or 0.5 or 0.25 um/px, and patches have 0.4" in text
    )
    assert "NOTE: encoder_args.embed_dim is 24, where virchow2's card has none" in text
    assert "48 numbers for a painted patch" in text


def test_without_stage_2_none_is_loaded(cohort: Path, capsys: pytest.CaptureFixture[str]):
    values = json.loads(config(cohort)[1])
    values["embed"]["regions"] = {"pool": "mean"}
    check.main(["--cfg", json.dumps(values), "--threads", "2"])
    said = capsys.readouterr().out
    assert "embed.regions: none, the mean of a region's patch vectors by their tissue" in said
    assert "patches/s" in said


def test_a_side_that_nobody_stated_is_refused(cohort: Path):
    args = {"dynamic_img_size": True, "depth": 1, "embed_dim": 24, "num_heads": 2}
    named = {"encoder": "vit_small_patch14_dinov2", "encoder_args": args, "random": 1}
    with pytest.raises(HiptError, match=r"takes pictures of any side .* would have 518 px for"):
        check.main([*config(cohort, **named), "--weights"])
    check.main([*config(cohort, **named, input_px=224), "--weights"])


@pytest.mark.parametrize(
    ("patches", "sentence"),
    [
        ({"encoder_args": {"global_pool": ""}}, "gives 101 x 64 numbers for a patch, where one"),
        ({"encoder_args": {"act_layer": "os.system"}}, "act_layer: knows no layer 'os.system'"),
        ({"encoder_args": {"img_size": [96, 160]}}, "img_size: patches are squares"),
    ],
)
def test_what_no_run_would_end_with_is_refused_before_it(
    cohort: Path, patches: dict[str, object], sentence: str
):
    with pytest.raises(HiptError, match=sentence):
        check.main([*config(cohort, encoder="test_vit", random=0, **patches), "--weights"])


def test_weights_that_give_no_numbers_are_refused(cohort: Path):
    state = vit256(ViTShape(**SHAPE)).state_dict()
    state["norm.bias"] = state["norm.bias"] * float("nan")
    write_weights(cohort / "w.safetensors", state, {})
    with pytest.raises(HiptError, match=r"16 of the 16 numbers .* are not finite; the weights are"):
        check.main([*config(cohort, weights=str(cohort / "w.safetensors")), "--weights"])


def test_weights_of_another_architecture(cohort: Path):
    other = vit256(ViTShape(depth=2, dim=16, heads=2))
    write_weights(cohort / "w.safetensors", other.state_dict(), {})
    with pytest.raises(HiptError, match=r"w\.safetensors.*blocks\.1\."):
        check.main([*config(cohort, weights=str(cohort / "w.safetensors")), "--weights"])


def test_weights_that_the_run_trains_are_no_missing_files(
    cohort: Path, capsys: pytest.CaptureFixture[str]
):
    check.main(config(cohort, weights="pretrain"))
    said = capsys.readouterr().out
    assert "embed.patches: trained from the slides first, for which no time is counted" in said
    path = cohort / "not" / "there" / "yet" / "models" / "vit256.safetensors"
    write_weights(path, vit256(ViTShape(**SHAPE)).state_dict(), {})
    check.main([*config(cohort, weights="pretrain"), "--weights"])
    assert f"embed.patches: {path} (sha256 " in capsys.readouterr().out


def test_what_a_folder_holds_and_what_is_left_out(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.svs").symlink_to(cohort / "a.svs")
    (folder / "b.svs").symlink_to(cohort / "unmounted.svs")
    (folder / "notes.txt").touch()
    (folder / "c.isyntax").touch()
    results = cohort / "not/there/yet"
    results.mkdir(parents=True)
    (results / "batches.csv").write_text("slide_id,batch,row_digest\na,b0000,0\nold,b0000,0\n")
    argv = config(cohort)
    argv[1] = argv[1].replace("slides.csv", "folder")
    check.main(argv)
    said = capsys.readouterr().out
    assert "folder: 2 slides, 2 cases" in said
    assert "left out 1 .txt\n" in said
    assert "left out 1 .isyntax: of a format that OpenSlide does not open" in said
    assert "slides of earlier runs that are not in the folder any more: 1 (old)" in said
    assert "b: " + str(folder / "b.svs") + ": no such file (a link to" in said


def test_a_slide_that_fails_ends_no_check(
    cohort: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def broken(header: Header, config: Config) -> Grid:
        if header.row.slide_id == "a":
            raise ZeroDivisionError("nobody foresaw this")
        return grid_of(header, config)

    monkeypatch.setattr(check, "grid_of", broken)
    check.main(config(cohort))
    said = capsys.readouterr().out
    assert "trial     a: failed: ZeroDivisionError: nobody foresaw this\n" in said
    assert "tried on 1 of them" in said
    assert "to do     2 x slide, about " in said
    (cohort / "slides.csv").write_text("slide_id,path\na,a.svs\n")
    check.main(config(cohort))
    said = capsys.readouterr().out
    assert "to do     1 x slide; none of those that were tried can be read" in said


def test_a_header_that_fails_is_a_line(
    cohort: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    (cohort / "slides.csv").write_text("slide_id,path\na,a.svs\nb,b.svs\n")
    mpp = survey.slide_mpp

    def broken(info: SlideInfo, row: SlideRow, default: float | None) -> Any:
        if row.slide_id == "b":
            raise KeyError("openslide.odd")
        return mpp(info, row, default)

    monkeypatch.setattr(survey, "slide_mpp", broken)
    check.main(config(cohort))
    said = capsys.readouterr().out
    assert "          1 failed\n            b: KeyError: 'openslide.odd'\n" in said
    assert "to do     1 x slide, about " in said
