"""The site of docs/: built strictly, with every page; whole by itself, in a real browser too."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag

import pytest

from tests.once import made_once

ROOT = Path(__file__).parent.parent
LOADED = {("link", "href"), ("script", "src"), ("img", "src"), ("source", "srcset")}
"""What a browser loads by itself; an `a` it does not."""


def build(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """As `make docs-site` does."""
    recipe = re.search(r"python (-m sphinx .*)", (ROOT / "Makefile").read_text())
    assert recipe
    arguments = recipe[1].replace("build/", f"{target}/").split()
    return subprocess.run(
        [sys.executable, *arguments], cwd=source, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""

    def make(folder: Path) -> None:
        done = build(ROOT, folder)
        assert done.returncode == 0, done.stdout + done.stderr

    return made_once(tmp_path_factory, "site", make) / "site"


class Page(HTMLParser):
    """What a page is made of: its ids, what it links to, what it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids, self.links, self.loaded = set[str](), set[str](), set[str]()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            elif (tag, name) in LOADED and value:
                self.loaded.add(value)
            elif (tag, name) == ("a", "href") and value:
                self.links.add(value)


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    """Every page by its file."""
    return {path.resolve(): Page(path) for path in site.rglob("*.html")}


def test_every_page_is_there(site: Path):
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        assert (site / path.relative_to(ROOT)).with_suffix(".html").is_file(), path


def test_links_lead_somewhere(site: Path, pages: dict[Path, Page]):
    seen = 0
    for path, page in pages.items():
        for link in page.links | page.loaded:
            if re.match(r"https?://|mailto:|data:", link):
                continue
            name, anchor = urldefrag(link)
            target = (path.parent / unquote(name.partition("?")[0])).resolve() if name else path
            assert target.is_file(), f"{path.relative_to(site)}: no {link}"
            if anchor and target in pages:
                assert unquote(anchor) in pages[target].ids, f"{path.relative_to(site)}: no {link}"
            seen += 1
    assert seen > 1000


def test_files_of_the_repository_are_pages(site: Path):
    page = (site / "docs" / "config.html").read_text()
    assert 'href="../files/config/config.yaml.html"' in page
    text = re.sub(r"<[^>]+>", "", (site / "files/config/config.yaml.html").read_text())
    assert "every setting" in text.lower() or "embed:" in text
    listing = (site / "files" / "workflow" / "profiles" / "slurm.html").read_text()
    assert 'href="slurm/partitions.yaml.html"' in listing
    assert (site / "files/workflow/profiles/slurm/partitions.yaml.html").is_file()


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[Path, Page]):
    for path, page in pages.items():
        assert not [at for at in page.loaded if "//" in at], path
    for path in site.rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        assert not re.findall(r"(?:url\(|@import)\s*['\"]?\s*(?:https?:)?//", text), path


def test_the_build_is_strict(tmp_path: Path):
    """A lost page, a link without a file, one without its heading, one without its picture."""
    shutil.copytree(ROOT / "docs" / "site", tmp_path / "docs" / "site")
    shutil.copytree(ROOT / "hipt", tmp_path / "hipt")
    pages = {
        "README": "# Start\n\n- [Listed](listed.md)\n",
        "listed": "# Listed\n",
        "lost": "# Lost\n\n[a](absent.md) [b](listed.md#absent) ![c](pictures/absent.png)\n",
    }
    for name, text in pages.items():
        (tmp_path / "docs" / f"{name}.md").write_text(text)
    done = build(tmp_path, tmp_path / "build")
    assert done.returncode == 1
    for said in (
        "lost.md: WARNING: document isn't included in any toctree",
        "target not found: 'absent.md'",
        "local id not found in doc 'docs/listed': 'absent'",
        "image file not readable: docs/pictures/absent.png",
    ):
        assert said in done.stderr, done.stderr
    assert done.stderr.count("WARNING") == 4, done.stderr


@pytest.mark.browser
def test_a_reader_finds_the_way(site: Path, browser: Any):
    """Without a network: no foreign request, no error; navigation, search, a phone."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.set_default_timeout(120_000)
    asked, errors = list[str](), list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.goto((site / "index.html").as_uri())
    page.wait_for_url("**/docs/README.html")
    page.get_by_role("link", name="Read heatmaps").first.click()
    page.wait_for_url("**/docs/heatmaps.html")
    assert page.locator("article img").first.evaluate("image => image.naturalWidth") > 100
    page.get_by_role("textbox", name="Search").first.fill("preemption")
    page.keyboard.press("Enter")
    page.locator("ul.search a[href*='docs/cluster.html']").first.click()
    page.wait_for_url("**/docs/cluster.html**")
    page.set_viewport_size({"width": 360, "height": 740})
    for name in ("README", "config", "tutorials/survival", "cluster"):
        page.goto((site / "docs" / f"{name}.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, name
    page.close()
    assert asked
    assert all(url.startswith(("file://", "data:")) for url in asked)
    assert errors == []
