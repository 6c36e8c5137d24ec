"""`python -m hipt.demo --out demo`: paint the demo cohort."""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2

from hipt.demo.cohort import Slide, plan, sheet
from hipt.demo.scene import LABELS
from hipt.demo.slide import TRUTH_UM, make_slide
from hipt.errors import HiptError

log = logging.getLogger("hipt.demo")


def run(slides: Sequence[Slide], out: Path, workers: int) -> None:
    """Paint slides into a folder, with their sheet and truth table.

    Args:
        slides: what to paint, in the sheet's order.
        out: the folder; slides that are there already are painted over.
        workers: processes; the files do not depend on their number.
    """
    start = time.monotonic()
    listing = out / "slides.csv"
    listing.unlink(missing_ok=True)  # a folder with a sheet is a whole cohort
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, spawn, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        rows = list(pool.map(make_slide, slides, [out] * len(slides)))
    truth = {"mpp": TRUTH_UM, "labels": dict(enumerate(LABELS)), "slides": rows}
    table = json.dumps(truth, indent=1) + "\n"
    (out / "truth" / "truth.json").write_text(table, encoding="utf-8")
    listing.write_text(sheet(slides), encoding="utf-8")
    area, seconds = sum(row["tissue_mm2"] for row in rows), time.monotonic() - start
    log.info("%s: %d slides, %.1f mm2 of tissue, %.0f s", out, len(rows), area, seconds)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    args = argparse.ArgumentParser(prog="python -m hipt.demo", description=__doc__)
    args.add_argument("--out", type=Path, required=True, help="folder for slides, sheet and truth")
    args.add_argument("--slides", type=int, default=20, help="how many (default 20)")
    args.add_argument("--seed", type=int, default=7, help="another number, another cohort")
    a = args.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        run(plan(a.slides, a.seed), a.out, len(os.sched_getaffinity(0)))
    except HiptError as error:
        log.error("hipt.demo: %s", error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
