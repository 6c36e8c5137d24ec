"""What the page says of models and features: training, nearest neighbours, the probe."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file

from hipt.config.config import Config
from hipt.config.pretraining import recipe
from hipt.config.step_settings import ReportSettings
from hipt.config.trained import resolved
from hipt.pretraining.corpus_list import Member, write_corpus_list
from hipt.steps import report
from hipt.store.schemas import METRICS, PROBE, SLIDES
from hipt.store.tables import read_table, write_rows, write_table
from tests.slidemaker import tissue_picture, write_slide
from tests.steps.conftest import Chain
from tests.steps.test_report import Opened

HOSTILE = "<img src=x onerror=alert(1)>\"'&{{7*7}}"
SECTIONS = ("training", "neighbours", "probe")


@pytest.fixture
def ready(chain: Chain) -> Chain:
    """Three slides of two cases with embeddings."""
    for seed, name in enumerate("abc"):
        write_slide(chain.folder / f"{name}.svs", tissue_picture(1024, 768, seed))
    chain.sheet("slide_id,path,case_id\na,a.svs,one\nb,b.svs,one\nc,c.svs,two\n")
    chain.upto("embed_regions")
    chain.table()
    return chain


def page(chain: Chain) -> Path:
    values = {**chain.values, "results": str(chain.results.root)}
    settings = ReportSettings(config=resolved(Config.model_validate(values)))
    report.run(chain.results.slides, chain.results.report, settings)
    return chain.results.report


def has(text: str) -> list[str]:
    return [name for name in SECTIONS if f'id="{name}"' in text]


def model(chain: Chain, change: Any = None) -> Path:
    """A model in the results folder that the config uses."""
    chain.values["embed"]["patches"] |= {"random": None, "weights": "pretrain"}
    config = Config.model_validate(chain.values)
    recorded = recipe("pretrain.patches", config.pretrain.patches, config.embed.patches.vit_shape)
    if change:
        change(recorded)
    path = chain.results.model("vit256")
    path.parent.mkdir(exist_ok=True)
    write_corpus_list(path.with_suffix(".corpus.csv"), [Member(n, "f", 3, 40) for n in "abc"])
    columns = {field.name: np.full(1000, 0.5) for field in METRICS}
    columns |= {"iteration": np.arange(1000), "loss": np.linspace(12, 6, 1000)}
    columns["teacher_entropy"] = np.full(1000, 0.75 * np.log(65536))
    write_table(path.with_suffix(".metrics.parquet"), columns, METRICS)
    facts = {"recipe": json.dumps(recorded), "corpus": "0123456789abcdef" * 4, "iterations": "1000"}
    save_file({"a": np.zeros(1)}, path, {"hipt": json.dumps(facts)})
    return path


def probe(chain: Chain, task: str) -> None:
    facts = {"level": "patch", "task": task, "chance": 0.25, "items": 1234, "classes": 4}
    facts |= {"cases": 9}
    interval = {"low": 0.4, "high": 0.7}
    behind = {"difference": 0.125, "difference_low": -0.01, "difference_high": 0.2, "p": 0.08}
    neighbours = facts | {"method": "knn", "fraction": 1.0}
    linear = facts | {"method": "linear", "fraction": 0.1} | interval
    rows = [
        {**neighbours, "features": "trained", "balanced_accuracy": 0.625},
        {**neighbours, "features": HOSTILE, "balanced_accuracy": 0.5, "difference": 0.125},
        {**linear, "features": "trained", "balanced_accuracy": 0.75},
        {**linear, **behind, "features": HOSTILE, "balanced_accuracy": 0.625},
    ]
    chain.values["probe"] = {"column": "class"}
    write_rows(chain.results.probe, rows, PROBE)


def rename(chain: Chain, old: str, new: str) -> None:
    """Another id for a slide, as no sheet would let it be."""
    table = read_table(chain.results.slides, SLIDES).to_pylist()
    for row in table:
        row["slide_id"] = new if row["slide_id"] == old else row["slide_id"]
    write_rows(chain.results.slides, table, SLIDES)
    for step in ("embed_patches", "embed_regions"):
        chain.results.shard(step, old).rename(chain.results.shard(step, new))


def test_nothing_is_shown_where_nothing_is_known(ready: Chain):
    ready.sheet("slide_id,path,case_id\na,a.svs,one\nb,b.svs,one\nc,c.svs,one\n")
    ready.table()
    assert has(page(ready).read_text()) == []


def test_a_trained_model_its_corpus_and_its_curves(ready: Chain):
    model(ready)
    text = page(ready).read_text()
    assert "1,000 steps on 120 patches of 3 slides" in text
    assert "<code title" in text.split('id="training"')[1]
    assert "0123456789abcdef</code>" in text
    description = re.search(r"Training of vit256: [^<]+", text)
    assert description
    assert "loss from 12 to 6.03," in description[0]
    assert "entropy from 75 % to 75 % of log K, over 1,000 steps" in description[0]
    for name in ("figures/training-vit256.pdf", "figures/training-vit256.svg"):
        assert f'href="{name}"' in text
        assert (ready.results.root / name).stat().st_size > 1000
    assert "the model is kept" not in text


def test_a_model_of_another_recipe_is_named_with_its_keys(ready: Chain):
    model(ready, lambda recorded: recorded["dino"].update(lr=0.002, old_key=HOSTILE))
    sentence = page(ready).read_text().split("Trained with ")[1].split("</p>")[0]
    assert "<code>pretrain.patches.dino.lr</code> 0.002, the config says 0.0005;" in sentence
    assert "<code>pretrain.patches.dino.old_key</code>" in sentence
    assert "<img" not in sentence
    assert "<code>hipt retrain vit256</code> trains it anew." in sentence
    assert sentence.count("the config says") == 2


@pytest.mark.parametrize("lost", [".safetensors", ".corpus.csv", ".metrics.parquet"])
def test_a_damaged_model_is_logged(ready: Chain, caplog: pytest.LogCaptureFixture, lost: str):
    model(ready).with_suffix(lost).write_text("damaged")
    assert "training" not in has(page(ready).read_text())
    assert f"vit256{lost}" in caplog.text


def test_a_model_that_the_config_does_not_use_is_not_shown(ready: Chain):
    model(ready)
    ready.values["embed"]["patches"] |= {"random": 1, "weights": None}
    assert "training" not in has(page(ready).read_text())


def test_neighbours_are_of_other_cases(ready: Chain):
    text = page(ready).read_text()
    assert has(text) == ["neighbours"]
    rows = text.split('<ol class="similar">', 1)[1].split("<li>")[1:]
    case = {"a": "one", "b": "one", "c": "two"}
    assert len(rows) == 6  # a patch and a region of each slide
    for row in rows:
        query, *near = re.findall(r'alt="A (?:patch|region) of slide (\w)', row)
        assert len(near) == 5
        assert case[query] not in {case[other] for other in near}


def test_the_picture_is_of_a_tissue_patch(ready: Chain):
    data = page(ready).read_text().split('<figure class="query"><img src="')[1].split('"')[0]
    jpeg = base64.b64decode(data.removeprefix("data:image/jpeg;base64,"))
    shown = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB).astype(int)
    picture = tissue_picture(1024, 768, 0)
    table = pl.read_parquet(ready.results.shard("tile", "a"))
    inside = table.filter((pl.col("x") <= 960) & (pl.col("y") <= 704))
    errors = [
        np.abs(picture[y : y + 64, x : x + 64] - shown).mean()
        for x, y in inside.select("x", "y").iter_rows()
    ]
    assert min(errors) < 6 < np.median(errors)
    assert inside["tissue"][int(np.argmin(errors))] >= 0.5


def test_slides_that_cannot_be_opened_are_left_out(ready: Chain, caplog: pytest.LogCaptureFixture):
    (ready.folder / "a.svs").unlink()
    text = page(ready).read_text()
    assert "of slide a" not in text.split('id="neighbours"')[1]
    assert "1 slides are left out" in caplog.text
    (ready.folder / "b.svs").write_bytes(b"")
    assert has(page(ready).read_text()) == []  # one case is left


def test_the_probe_beside_chance(ready: Chain):
    probe(ready, "class")
    part = page(ready).read_text().split('id="probe"')[1].split("</section>")[0]
    assert "Patch: class. 1,234 items of 9 cases, 4 classes." in part
    values = ["0.625", "0.5", "0.75", "0.625", "0.25"]
    assert re.findall(r'<meter min="0" max="1" value="([\d.]+)"', part) == values
    ways = re.findall(r'<th scope="rowgroup" colspan="4">([^<]+)</th>', part)
    assert ways == ["Nearest neighbours", "Linear model, 10 % of the training part"]
    cells = [re.sub("<[^>]+>", "", c) for c in re.findall(r'<td class="end">(.*?)</td>', part)]
    assert cells == [
        *("62.5 %", "", "50 %", "+12.5"),
        *("75 % (40 % to 70 %)", ""),
        *("62.5 % (40 % to 70 %)", "+12.5 (\N{MINUS SIGN}1.0 to +20.0, p 0.080)"),
        "25 %",
    ]


@pytest.mark.browser
def test_hostile_names_are_text_and_nothing_complains(ready: Chain, browser: Any):
    model(ready, lambda recorded: recorded.update(stage=HOSTILE))
    probe(ready, HOSTILE)
    rename(ready, "a", HOSTILE)
    it = Opened(browser, page(ready))
    assert all(it.page.locator(f"#{name}").count() == 1 for name in SECTIONS)
    assert HOSTILE in it.page.locator("#neighbours").inner_text()
    assert HOSTILE in it.page.locator("#probe").inner_text()
    pictures = it.page.locator("#neighbours img")
    assert pictures.evaluate_all("all => all.every(i => i.complete && i.naturalWidth > 0)")
    assert it.page.locator("img[src=x]").count() == 0
    assert it.complaints == []
    it.page.close()
