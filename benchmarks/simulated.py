"""A simulated cohort as the steps before the slide table would leave it: small, in real files.

    python benchmarks/simulated.py FOLDER SLIDES

Sheet, ledger, indices and shards have the schemas of the workflow and are written by its writers.
Regions are of 4 x 4 patches, patch vectors 32 wide, and every slide is one tiny file under many
names: what grows with the cohort is as in a real one, what grows with a slide's area is small.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from hipt.cohort.ledger import Ledger, updated, write_ledger  # noqa: E402
from hipt.cohort.sheet import read_sheet  # noqa: E402
from hipt.layout import Results  # noqa: E402
from hipt.registry import EVERY_SLIDE  # noqa: E402
from hipt.store.images import write_jpeg, write_mask  # noqa: E402
from hipt.store.provenance import Provenance, fingerprint  # noqa: E402
from hipt.store.schemas import INDICES, MANIFEST, patch_embeddings_schema, region_embeddings_schema  # noqa: E402
from hipt.store.tables import patch_embeddings_writer, vectors, write_rows, write_table  # noqa: E402
from tests.slidemaker import tissue_picture, write_slide  # noqa: E402

PATCH_PX, GRID, MPP = 256, 4, 0.5
PATCH_WIDTH, REGION_WIDTH = 32, 192
MOST_REGIONS = 6
BATCH_SIZE = 16
SITES = 40
SLIDE_PX = 1024, 768

Row = dict[str, Any]


def config() -> dict[str, Any]:
    """The config of the cohort, relative to its folder."""
    task = {"folds": 2, "fit": {"epochs": 1, "batch": 32}, "models": ["linear", "abmil"]}
    shape = {"depth": 1, "dim": 32, "heads": 2}
    return {
        "slides": {"sheet": "slides.csv", "batch_size": BATCH_SIZE},
        "tile": {"region_px": PATCH_PX * GRID, "patch_px": PATCH_PX},
        "embed": {
            "patches": {"shape": shape, "random": 1},
            "regions": {"random": 2, "shape": shape | {"dim": REGION_WIDTH}},
        },
        "tasks": {
            "subtype": {"kind": "classification", "label": "subtype", **task},
            "death": {"kind": "survival", "time": "months", "event": "died", **task},
        },
        "attend": {"slides": "all", "examples": 0},
        "export": {"formats": ["hipt"]},
    }


@dataclass(frozen=True)
class Slide:
    """One slide of the sheet, and what its vectors know."""

    number: int
    row: Row
    """Cells of the sheet."""
    signal: tuple[float, float]
    """Of its class and of its risk."""

    @property
    def name(self) -> str:
        """Its id."""
        return str(self.row["slide_id"])


def slides(count: int) -> Iterator[Slide]:
    """Five slides of every four cases, ids as long as those of TCGA."""
    for number in range(count):
        case = number - (number + 1) // 5
        rng = np.random.default_rng([0, case])
        subtype, danger = int(rng.integers(2)), float(rng.normal())
        months = float(rng.exponential(40 * np.exp(-danger)))
        end = float(rng.uniform(6, 120))
        case_id = f"TCGA-{case:06d}"
        row = {
            "slide_id": f"{case_id}-01Z-{number:06d}-{fingerprint(number=number)}",
            "path": f"slides/{number:06d}.svs",
            "case_id": case_id,
            "site": f"S{case % SITES}",
            "subtype": ("LUAD", "LUSC")[subtype],
            "months": f"{min(months, end) + 0.1:.1f}",
            "died": int(months < end),
        }
        yield Slide(number, row, (2.0 * subtype - 1, danger))


def write_sheet(folder: Path, count: int) -> None:
    """The sheet, the config, and the slides: links to one file, since nobody looks at pixels."""
    (folder / "config.yaml").write_text(json.dumps(config()))
    write_slide(folder / "slide.svs", tissue_picture(*SLIDE_PX))
    (folder / "slides").mkdir()
    rows = [one.row for one in slides(count)]
    for row in rows:
        (folder / row["path"]).symlink_to("../slide.svs")
    with (folder / "slides.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


class Writer:
    """Writes what every step would have left of a slide."""

    def __init__(self, results: Results) -> None:
        self._results = results
        mask = np.zeros((96, 128), bool)
        mask[20:70, 30:100] = True
        write_mask(results.root / "mask.png", mask, {})
        write_jpeg(results.root / "overview.jpg", tissue_picture(*SLIDE_PX))
        for step in EVERY_SLIDE:
            (results.root / step).mkdir(exist_ok=True)

    def write(self, slide: Slide) -> dict[str, Row]:
        """A slide's files; its row of every step's index."""
        rng = np.random.default_rng([1, slide.number])
        regions = int(rng.integers(1, MOST_REGIONS + 1))
        head = {"slide_id": slide.name, "status": "ok", "reason": ""}
        patches = regions * GRID**2
        rows = {
            "segment": {
                **{"note": "", "vendor": "aperio", "objective": 20.0, "mpp": MPP},
                **{"mpp_source": "header", "width_px": SLIDE_PX[0], "height_px": SLIDE_PX[1]},
                **{"downsamples": [1.0, 4.0], "bounds": [0, 0, *SLIDE_PX], "mask_source": "found"},
                **{"mask_mpp": 8.0, "tissue_mm2": 4.0 * regions, "tissue_fraction": 0.3},
            },
            "tile": {
                **{"read_level": 0, "downsample": 1.0, "read_mpp": MPP, "read_px": PATCH_PX},
                **{"regions": regions, "patches": patches, "tissue_patches": patches},
                "tissue_in_regions": 0.9,
            },
            "embed_patches": {
                **{"regions": regions, "patches": patches, "computed_patches": patches},
                **{"unreadable_patches": 0, "dim": PATCH_WIDTH},
            },
            "embed_regions": {"regions": regions, "dim": REGION_WIDTH},
            "attend": {
                **{"regions": regions, "patches": patches, "heads": 2},
                **{"maps": ["attention"], "closer": []},
            },
        }
        marks = {step: fingerprint(step=step, slide=slide.name) for step in rows}
        rows = {step: head | {"fingerprint": marks[step]} | row for step, row in rows.items()}
        self._pictures(slide.name)
        made = {
            step: Provenance(step, 1, marks[step], {}, {"weights": "random:1"}, row)
            for step, row in rows.items()
        }
        grid = self._manifest(slide.name, regions, made["tile"])
        self._patches(slide.name, grid, rng, made["embed_patches"])
        self._regions(slide, grid, rng, made["embed_regions"])
        return rows

    def _pictures(self, name: str) -> None:
        """Mask and overviews, the same for all: links."""
        for source, path in (
            ("mask.png", self._results.shard("segment", name)),
            ("overview.jpg", self._results.overview("segment", name)),
            ("overview.jpg", self._results.overview("tile", name)),
        ):
            os.link(self._results.root / source, path)

    def _manifest(self, name: str, regions: int, made: Provenance) -> pa.Table:
        """The slide's patches."""
        region, patch = (a.ravel() for a in np.indices((regions, GRID**2)))
        side = GRID * PATCH_PX
        columns = {
            "slide_id": [name] * len(region),
            "region": region.astype(np.int32),
            "patch": patch.astype(np.int16),
            "region_x": region * side,
            "region_y": np.zeros_like(region),
            "x": region * side + patch % GRID * PATCH_PX,
            "y": patch // GRID * PATCH_PX,
            "read_px": np.full(len(region), PATCH_PX),
            **{
                column: np.full(len(region), 0.9, np.float32)
                for column in ("tissue", "region_tissue", "inside")
            },
        }
        table = pa.table(columns, schema=MANIFEST)
        write_table(self._results.shard("tile", name), table, MANIFEST, made)
        return table

    def _patches(
        self, name: str, grid: pa.Table, rng: np.random.Generator, made: Provenance
    ) -> None:
        """A vector per patch, a record batch per region."""
        schema = patch_embeddings_schema(PATCH_WIDTH)
        path = self._results.shard("embed_patches", name)
        with patch_embeddings_writer(path, schema, made) as writer:
            for start in range(0, len(grid), GRID**2):
                rows = grid.slice(start, GRID**2).to_batches()[0]
                drawn = rng.normal(size=(GRID**2, PATCH_WIDTH)).astype(np.float16)
                columns: Mapping[str, Any] = {
                    **{
                        column: rows[column]
                        for column in schema.names
                        if column in grid.schema.names
                    },
                    **dict.fromkeys(("readable", "computed"), np.ones(GRID**2, bool)),
                    "embedding": vectors(drawn),
                }
                writer.write_batch(
                    pa.record_batch([columns[column] for column in schema.names], schema=schema)
                )

    def _regions(
        self, slide: Slide, grid: pa.Table, rng: np.random.Generator, made: Provenance
    ) -> None:
        """A vector per region; two of its numbers know something."""
        corners = grid.take(np.arange(0, len(grid), GRID**2))
        drawn = rng.normal(size=(len(corners), REGION_WIDTH)).astype(np.float32)
        drawn[:, :2] += slide.signal
        columns = {column: corners[column] for column in ("slide_id", "region", "x", "y", "tissue")}
        columns |= {"embedding": vectors(drawn)}
        schema = region_embeddings_schema(REGION_WIDTH)
        write_table(self._results.shard("embed_regions", slide.name), columns, schema, made)


def write_results(folder: Path, count: int) -> None:
    """The ledger, and every slide's files and rows."""
    results = Results(folder / "results")
    digests = {row.slide_id: row.digest() for row in read_sheet(folder / "slides.csv")}
    ledger = updated(Ledger(), digests, BATCH_SIZE)
    write_ledger(results.batches, ledger)
    writer = Writer(results)
    rows: dict[str, dict[str, list[Row]]] = {}
    for slide in slides(count):
        batch = rows.setdefault(ledger.batch_of[slide.name], {})
        for step, row in writer.write(slide).items():
            batch.setdefault(step, []).append(row)
    for name, steps in rows.items():
        for step, of_batch in steps.items():
            write_rows(results.index(step, name), of_batch, INDICES[step])
            lines = [f"{row['slide_id']},{row.get('regions', 1)}" for row in of_batch]
            seconds = results.seconds(step, name)
            seconds.parent.mkdir(parents=True, exist_ok=True)
            seconds.write_text("\n".join(["slide_id,seconds", *lines]) + "\n")


def main() -> None:
    """Write the sheet, or what the steps would make of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("slides", type=int)
    parser.add_argument("--sheet-only", action="store_true")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    os.chdir(args.folder)  # the ledger's digests are over the paths that Snakemake sees
    make = write_sheet if args.sheet_only else write_results
    make(Path(), args.slides)


if __name__ == "__main__":
    main()
