"""The report in a browser, with hostile texts wherever a slide, a sheet or a config can put one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hipt.config.config import Config
from hipt.config.step_settings import ReportSettings
from hipt.layout import Results
from hipt.steps import report
from hipt.store.images import write_jpeg
from tests import taskmaker
from tests.slidemaker import tissue_picture
from tests.steps.test_report import Opened, cohort, row

PAYLOADS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "</script><script>alert(1)</script>",
    "</title></style><script>alert(1)</script>",
    "javascript:alert(1)",
    "<a href='javascript:alert(1)'>look</a>",
    "<!--<script>",
    "]]><script>alert(1)</script>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<meta http-equiv=refresh content='0;url=https://example.org'>",
    "<base href=https://example.org/><link rel=stylesheet href=//example.org/x>",
    "{{7*7}}{% raw %}${7*7}`",
    "\u202e<b>\u2028\u2029</b>",
    "<style>*{display:none}</style>",
    "&lt;script&gt;&#x3c;",
)
"""What would run, load, or change the page, were it more than text."""

INJECTED = """() => ({
    handlers: [...document.querySelectorAll('*')].filter(
        e => [...e.attributes].some(a => a.name.startsWith('on'))).length,
    scripts: document.querySelectorAll('script').length,
    odd: document.querySelectorAll('iframe, object, embed, base, link, meta').length,
    sources: [...document.querySelectorAll('[src]')].filter(
        e => !e.getAttribute('src').startsWith('data:image/jpeg;base64,')).length,
    links: [...document.querySelectorAll('[href]')].map(e => e.getAttribute('href')).filter(
        h => /^(javascript|data|https?|file|\\/)/i.test(h.trim())).length,
})"""


def page(folder: Path, text: str | None) -> Path:
    """A report in which every text that comes from outside is the payload; None: a harmless one."""
    bad = text or "plain"
    made = taskmaker.classes(
        folder, "grade", ["a", bad], {"linear": 1.0}, 24,
        {f"{kind}{i:03}": f"{bad} {kind}{i}" for kind in "sc" for i in range(24)},
    )  # fmt: skip
    texts = dict.fromkeys(
        ("case_id", "site", "path", "reason", "note", "vendor", "mpp_source"), bad
    )
    slides = [row(n, **(texts | {"slide_id": f"{bad} {n}"})) for n in range(4)]
    slides += [row(9, **(texts | {"slide_id": bad, "status": "unreadable", "tissue_mm2": None}))]
    if "/" not in bad:  # else no file has that name
        write_jpeg(Results(folder).overview("tile", f"{bad} 1"), tissue_picture(64, 48))
    told = {
        "report": {"title": bad},
        "slides": {"sheet": bad, "root": bad},
        "embed": {"patches": {"encoder": bad, "encoder_args": {bad: bad}, "weights": bad}},
        "probe": {"column": bad, "labels": bad},
        "tasks": {made.name: made.task | {"label": bad, "classes": ["a", bad], "labels": bad}},
    }
    out = folder / "report.html"
    report.run(cohort(folder, slides), out, ReportSettings(config=Config.model_validate(told)))
    return out


@pytest.fixture(scope="module")
def harmless(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    opened = Opened(browser, page(tmp_path_factory.mktemp("plain"), None))
    found: dict[str, int] = opened.page.evaluate(INJECTED)
    opened.page.close()
    return found


@pytest.mark.browser
@pytest.mark.parametrize("text", PAYLOADS)
def test_a_text_is_a_text(browser: Any, harmless: dict[str, int], tmp_path: Path, text: str):
    opened = Opened(browser, page(tmp_path, text))
    opened.page.wait_for_timeout(50)  # what an injected element would start
    assert opened.page.evaluate(INJECTED) == harmless
    assert harmless["handlers"] == harmless["sources"] == 0
    shown = opened.page.locator("#table tbody th").all_inner_texts()
    assert len(shown) == 5
    plain = text.replace("\u2028", "").replace("\u2029", "")
    assert any(plain in one.replace("\u2028", "").replace("\u2029", "") for one in shown)
    assert opened.page.locator("h1").inner_text().strip()
    assert opened.complaints == []
    asked = [url for url in opened.requests if not url.startswith(("data:", "blob:"))]
    assert asked == [(tmp_path / "report.html").as_uri()]
    opened.page.close()
