"""Every reader of what comes from outside, each with files that it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.fuzz import arrays, readers, samples
from tests.fuzz.mutations import Seed, mutated


@dataclass(frozen=True)
class Target:
    """A reader, and what it is given."""

    name: str
    file: str
    """What the damaged file is called."""
    read: Callable[[Path], object]
    make: Callable[[], Sequence[Seed]]
    """Files that are in order."""
    odd: Callable[[], Sequence[bytes]] = tuple
    """Files that are well-formed, but not what is wanted: read as they are."""
    text: bool = False
    tokens: tuple[bytes, ...] = ()
    """Words of the format."""
    named: str = ""
    """What a sentence has to name; empty: the file."""
    prepare: Callable[[Path], object] = id
    """Puts other files beside the damaged one."""
    wrap: Callable[[bytes], bytes] = bytes
    """Makes a file of the damaged text."""
    capped: bool = True
    """Whether address space is limited; OpenSlide asks for some that it never touches."""
    writes: bool = False
    """Whether it is this reader's task to write too."""

    @cached_property
    def seeds(self) -> Sequence[Seed]:
        """Files that are in order."""
        return self.make()

    @cached_property
    def oddities(self) -> Sequence[bytes]:
        """Files that are well-formed, but not what is wanted."""
        return self.odd()

    def input(self, number: int) -> bytes:
        """The input of that number: those in order, the odd ones, then damaged ones."""
        first = len(self.seeds)
        if first <= number < first + len(self.oddities):
            return self.oddities[number - first]
        if number >= first:
            number -= len(self.oddities)
        return self.wrap(mutated(self.name, number, self.seeds, self.text, self.tokens))


def _texts(*texts: str) -> Callable[[], Sequence[Seed]]:
    return lambda: [Seed(text.encode()) for text in texts]


SHEET = (
    "slide_id,path,case_id,site,mpp,mask,exclude,grade\n"
    "0012,a.svs,c1,north,0.25,m.png,no,low\n"
    '"b c",~/b.svs,c1,,,,yes,high\n'
)
LABELS = (
    "slide_id,case_id,site,grade,months,died\n"
    "a.svs,c1,north,low,10.5,1\nb,c2,south,high,3,0\nc,c3,south,low,8,1\nd,c4,south,high,9,0\n"
)

_TEXTS = (
    Target("sheet", "slides.csv", readers.sheet, _texts(SHEET, SHEET.replace(",", ";")), text=True),
    Target(
        "config",
        "config.yaml",
        readers.config,
        samples.configs,
        text=True,
        tokens=samples.YAML_TOKENS,
    ),
    Target(
        "settings as JSON",
        "cfg.json",
        readers.settings,
        samples.settings,
        text=True,
        named="settings",
    ),
    Target(
        "GeoJSON mask",
        "mask.geojson",
        readers.mask,
        samples.geojson,
        text=True,
        odd=samples.odd_geojson,
    ),
    Target(
        "outlines, read back",
        "segment/a.geojson",
        readers.outlines,
        _texts(
            '{"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": '
            '{"type": "Polygon", "coordinates": [[[8, 8], [40, 8], [40, 32], [8, 8]]]}}]}'
        ),
        text=True,
        odd=samples.odd_geojson,
    ),
    Target(
        "label names",
        "truth.json",
        readers.label_names,
        _texts('{"labels": {"0": "nothing", "1": "tumour", "2": "stroma"}}'),
        text=True,
    ),
    Target("labels, CSV", "labels.csv", readers.classes, _texts(LABELS), text=True),
    Target("survival, CSV", "labels.csv", readers.survival, _texts(LABELS), text=True),
    Target(
        "split, CLAM",
        "splits_0.csv",
        readers.clam_splits,
        _texts(",train,val,test\n0,a,b,c.svs\n1,d,,\n"),
        text=True,
    ),
    Target(
        "split, Patho-Bench",
        "k=all.tsv",
        readers.table_splits,
        text=True,
        make=_texts("case_id\tslide_id\tfold_0\tfold_1\nc1\ta\ttrain\ttest\nc2\tb\ttest\ttrain\n"),
        tokens=(b"\tfold_" + b"9" * 5000, b"fold_99999999999"),
    ),
    Target(
        "fold ledger",
        "members.csv",
        readers.members,
        _texts("case_id,fold\nc1,0\nc2,1\nc3,2\nc4,3\nc5,4\n"),
        text=True,
    ),
    Target(
        "batch ledger",
        "batches.csv",
        readers.ledger,
        text=True,
        make=_texts("slide_id,batch,row_digest\na,b0000,0f\nb,b0001,1e\n"),
    ),
    Target(
        "corpus list",
        "vit256.corpus.csv",
        readers.corpus_list,
        text=True,
        make=_texts("slide_id,fingerprint,regions,patches\na,0f,2,512\nb,1e,1,256\n"),
    ),
    Target("corpus choice", "corpus.txt", readers.corpus_choice, _texts("a\nb\n"), text=True),
    Target(
        "seconds",
        "b0000.slides.csv",
        readers.seconds,
        _texts("slide_id,seconds\na,1.5\nb,2.0\n"),
        text=True,
    ),
    Target(
        "benchmarks",
        "tile/b0000.tsv",
        readers.jobs,
        text=True,
        make=_texts("s\th:m:s\tmax_rss\tcpu_time\n1.5\t0:00:01\t100.1\t1.2\n"),
    ),
    Target(
        "digests",
        "digests.json",
        readers.digests,
        text=True,
        make=_texts('{"/a/b|5|6": "0f0f", "/a/c|7|8": "1e1e"}'),
    ),
    Target(
        "engines",
        "engines/embed_patches-0.json",
        readers.engines,
        text=True,
        make=_texts(
            '{"step": "s", "engine": "torch", "precision": "fp32", "inputs": 9, "made_with": {}, '
            '"trials": [{"engine": "torch", "precision": "fp32", "rate": 1.5, "reason": "", '
            '"agreement": {"most_off": 0.0, "least_cosine": 1.0, "kept": 1.0}}]}'
        ),
    ),
    Target(
        "export note",
        "tree/.hipt/a.json",
        readers.export_note,
        text=True,
        writes=True,
        make=_texts('{"fingerprint": "f", "sizes": {"a.h5": 3}, "counts": {"patches": 1}}'),
        tokens=(b"../outside", b"/outside"),
    ),
)

_PICTURES = (
    Target("mask picture", "mask.png", readers.mask, samples.pictures, odd=samples.odd_pictures),
    Target("label map", "map.png", readers.label_map, samples.pictures, odd=samples.odd_pictures),
    Target("mask shard", "a.png", readers.shard, samples.shard_png, odd=samples.odd_pictures),
)

_WEIGHTS = (
    Target("safetensors", "w.safetensors", readers.weights, samples.safetensors),
    Target(
        "safetensors, header",
        "w.safetensors",
        readers.weights,
        samples.safetensors_header,
        text=True,
        wrap=samples.with_header,
    ),
    Target(
        "checkpoint, zip", "w.pth", readers.weights, samples.checkpoint, samples.odd_checkpoints
    ),
    Target("checkpoint, old", "w.pth", readers.weights, samples.old_checkpoint),
    Target(
        "training state",
        "state.pth",
        readers.state,
        samples.training_state,
        samples.odd_checkpoints,
    ),
    Target("fold of a fit", "fold_0.safetensors", readers.fold, samples.fold),
    Target("provenance of a fit", "fold_0.safetensors", readers.provenance, samples.fold),
    Target("provenance of a picture", "examples.jpg", readers.provenance, samples.examples),
    Target(
        "model's facts",
        "models/vit256.safetensors",
        readers.trained_model,
        text=True,
        make=samples.model_facts,
        wrap=samples.with_facts,
        prepare=samples.beside_model,
    ),
)

_FEATURES = (
    Target("features, TRIDENT", "f/a.h5", readers.features, arrays.trident, arrays.odd_h5),
    Target(
        "coordinates, CLAM",
        "patches/a.h5",
        readers.clam_features,
        arrays.clam_coords,
        prepare=arrays.clam_vectors,
    ),
    Target(
        "features, slide2vec",
        "tile_embeddings/a.pt",
        readers.slide2vec,
        arrays.slide2vec(".pt"),
        samples.odd_checkpoints,
        prepare=arrays.slide2vec_files,
    ),
    Target(
        "coordinates, slide2vec",
        "tiles/a.coordinates.npz",
        readers.slide2vec,
        arrays.slide2vec(".coordinates.npz"),
        prepare=arrays.slide2vec_files,
    ),
    Target(
        "tiling, slide2vec",
        "tiles/a.coordinates.meta.json",
        readers.slide2vec,
        arrays.slide2vec(".coordinates.meta.json"),
        text=True,
        prepare=arrays.slide2vec_files,
    ),
    Target(
        "what slide2vec states",
        "tile_embeddings/a.meta.json",
        readers.slide2vec,
        arrays.slide2vec(".meta.json"),
        text=True,
        named="its imported features",
        prepare=arrays.slide2vec_files,
    ),
    Target(
        "features of a task",
        "f.parquet",
        readers.task_features,
        arrays.task_features,
        arrays.odd_task_features,
    ),
    Target(
        "labels, Parquet",
        "labels.parquet",
        readers.classes,
        arrays.labels_parquet,
        arrays.odd_labels,
    ),
    Target(
        "labels, zip",
        "labels.zip",
        readers.classes,
        lambda: samples.zipped(LABELS),
        samples.odd_zips,
    ),
)

_SLIDES = (
    Target("slide, Aperio", "a.svs", readers.slide, arrays.aperio, capped=False),
    Target("DICOM header", "a.dcm", readers.dicom, samples.dicom_headers),
    Target("slide, TIFF", "a.tif", readers.slide, arrays.generic_tiff, capped=False),
)

_OWN = (
    Target("manifest", "a.parquet", readers.manifest, arrays.manifest, arrays.odd_tables),
    Target("index", "segment/index/b0000.parquet", readers.index, arrays.index, arrays.odd_tables),
    Target("patch embeddings", "a.arrow", readers.patch_embeddings, arrays.patch_embeddings),
    Target(
        "region embeddings",
        "embed_regions/a.parquet",
        readers.region_embeddings,
        arrays.region_embeddings,
        arrays.odd_tables,
        prepare=arrays.slide_table,
    ),
    Target("heatmaps' table", "a.parquet", readers.maps, arrays.maps, arrays.odd_tables),
    Target("folds", "folds.parquet", readers.units, arrays.folds, arrays.odd_tables),
    Target(
        "predictions",
        "hipt/1/predictions.parquet",
        readers.predictions,
        arrays.predictions,
        arrays.odd_tables,
    ),
)

TARGETS = {one.name: one for one in (*_TEXTS, *_PICTURES, *_WEIGHTS, *_FEATURES, *_SLIDES, *_OWN)}
