"""The examples step: pictures of regions of most and least attention."""

from __future__ import annotations

from pathlib import Path

from hipt.config.step_settings import task_settings
from hipt.steps import examples
from hipt.store.images import read_rgb
from tests.steps.conftest import Chain
from tests.steps.mapped import cohort


def test_examples_show_a_region_per_unit_and_end(chain: Chain, made: Path):
    config = cohort(chain, made, fitted=True)
    for task, rows in (("grade", 4), ("death", 4)):
        out = chain.results.task(task, "examples.jpg")
        settings = task_settings("examples", config, task)
        examples.run(chain.results.slides, out, settings)
        height, width = read_rgb(out).shape[:2]
        assert height > rows * 256
        assert width > 3 * 256
        figure = chain.results.figures / f"examples-{task}"
        text = figure.with_suffix(".svg").read_text()
        assert text.count("<image") == rows * 6
        assert text.count("most attention") == text.count("least attention") == rows // 2
        assert figure.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
