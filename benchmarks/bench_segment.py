"""segment + tile against decoding the thumbnail's level once, per slide, in CPU seconds.

The first slide is done once before, so that imports do not count; slides without a resolution get
0.5 um/px.

python benchmarks/bench_segment.py SLIDE...
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from cohort import Cohort

from hipt.config.step_settings import settings
from hipt.slides.slide import Slide, open_slide
from hipt.steps import segment, tile
from hipt.store.schemas import INDICES
from hipt.store.tables import read_table

BLOCK_PX = 1024


def decoded_s(slide: Slide, reduction: float) -> float:
    """CPU seconds to read every pixel of the level that the thumbnail is made from."""
    level = slide.coarsest(reduction)
    downsample = slide.factor(level)
    width, height = (round(s / downsample) for s in (slide.info.width_px, slide.info.height_px))
    start = time.process_time()
    for y in range(0, height, BLOCK_PX):
        for x in range(0, width, BLOCK_PX):
            place = round(x * downsample), round(y * downsample)
            slide.read(level, *place, min(BLOCK_PX, width - x), min(BLOCK_PX, height - y))
    return time.process_time() - start


def main() -> None:
    """Print a table, a row per slide and one for all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("slides", nargs="+", type=Path)
    args = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print("| slide | decode, CPU s | segment + tile, CPU s | ratio |\n|---|---|---|---|")
    total = [0.0, 0.0]
    for warm, path in enumerate([args.slides[0], *args.slides]):
        with tempfile.TemporaryDirectory() as name:
            cohort = Cohort(Path(name), [path])
            with open_slide(path) as slide:
                reduction = 1.1 * 8 / (slide.info.mpp or (0.5, 0.5))[0]
                decoded_s(slide, reduction)  # into the disk's cache
            with open_slide(path) as slide:
                bound = decoded_s(slide, reduction)
            start = time.process_time()
            segment.run(cohort.index("segment"), settings("segment", cohort.config))
            tile.run(cohort.index("segment"), cohort.index("tile"), settings("tile", cohort.config))
            spent = time.process_time() - start
            status = read_table(cohort.index("tile"), INDICES["tile"])["status"][0].as_py()
        if not warm:
            continue
        total = [total[0] + bound, total[1] + spent]
        print(f"| {path.stem} ({status}) | {bound:.2f} | {spent:.2f} | {spent / bound:.1f} |")
    print(f"| all | {total[0]:.2f} | {total[1]:.2f} | {total[1] / total[0]:.2f} |")


if __name__ == "__main__":
    main()
