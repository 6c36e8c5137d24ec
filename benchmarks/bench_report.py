"""The report of a large cohort: time, memory, size, and how long a browser needs to open it.

python benchmarks/bench_report.py [--slides 10678]
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from hipt.config.config import Config
from hipt.config.step_settings import ReportSettings
from hipt.store.images import write_jpeg
from hipt.store.schemas import SLIDES
from hipt.store.tables import write_rows


def slide(number: int, rng: np.random.Generator) -> dict[str, object]:
    """One slide's row."""
    regions = int(rng.integers(1, 120))
    broken = number % 50 == 0
    return {
        "slide_id": f"TCGA-{number:06d}-01Z-00-DX1.{rng.bytes(16).hex()}",
        "case_id": f"TCGA-{number:06d}",
        "site": f"S{number % 40}",
        "path": f"slides/{number // 100}/TCGA-{number:06d}.svs",
        "batch": f"b{number // 16:04d}",
        "status": "unreadable" if broken else "ok",
        "reason": "OpenSlide says: cannot read the directory of the file" if broken else "",
        "note": "",
        "vendor": "aperio",
        "mpp": 0.2525,
        "mpp_source": "header",
        "tissue_mm2": regions * 3.1,
        "regions": None if broken else regions,
        "patches": 256 * regions,
    }


def main() -> None:
    """Make the slide table and overviews, then the page; open it; print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slides", type=int, default=10678)
    count = parser.parse_args().slides
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        results = Path(name)
        rows = [slide(number, rng) for number in range(count)]
        write_rows(results / "slides.parquet", rows, SLIDES)
        noise = rng.integers(0, 255, (12, 16, 3), np.uint8)
        picture = np.kron(noise, np.ones((100, 100, 1), np.uint8))
        (results / "tile").mkdir()
        write_jpeg(results / "one.jpg", picture)
        for row in rows:
            (results / "tile" / f"{row['slide_id']}.jpg").hardlink_to(results / "one.jpg")
        page, cfg = results / "report.html", ReportSettings(config=Config()).model_dump_json()
        command = [sys.executable, "-m", "hipt", "report", "--cfg", cfg, "--out", str(page)]
        start = time.monotonic()
        subprocess.run([*command, "--slides", str(results / "slides.parquet")], check=True)
        made_s = time.monotonic() - start
        peak_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        size_mb = page.stat().st_size / 1e6
        opened_s = opened(page)
    print("| slides | made, s | peak MiB | size, MB | opened and drawn, s |\n|---|---|---|---|---|")
    print(f"| {count} | {made_s:.1f} | {peak_mib:.0f} | {size_mb:.1f} | {opened_s:.2f} |")


def opened(page: Path) -> float:
    """Seconds until headless Chromium has the table; NaN without Chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        return float("nan")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page()
        start = time.monotonic()
        tab.goto(page.as_uri())
        tab.wait_for_selector("#table tbody tr")
        seconds = time.monotonic() - start
        browser.close()
    return seconds


if __name__ == "__main__":
    main()
