"""Small tables, HDF5 files and slides that are in order, made on the spot; and odd ones."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz.mutations import Seed
from tests.slide2vecmaker import write_slide2vec

SHAPE, DIM = (3, 4), 4


def _written(name: str, write: Callable[[Path], object]) -> bytes:
    """The bytes of a file that has to be written to disk."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path)
        return path.read_bytes()


# --- HDF5


def h5(
    attributes: Mapping[str, Any] | None = None,
    made: Callable[[Any], object] | None = None,
    **data: Any,
) -> bytes:
    """An HDF5 file; `made` adds what a dataset from an array cannot be."""
    import h5py

    held = io.BytesIO()
    with h5py.File(held, "w") as file:
        for name, values in data.items():
            file[name] = values
        if made is not None:
            made(file)
        if attributes:
            file["coords"].attrs.update(attributes)
    return held.getvalue()


COORDS = np.array([[0, 0], [128, 0], [0, 128]])
FEATURES = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
SIDE = {"patch_size_level0": 128}
SLIDE = {**SIDE, "level0_width": 2048, "level0_height": 1536, "level0_magnification": 40}


def trident() -> Sequence[Seed]:
    def chunked(file: Any) -> None:
        file.create_dataset("features", data=FEATURES, chunks=(1, 4), compression="gzip")

    made = [h5(SLIDE, features=FEATURES, coords=COORDS), h5(SIDE, chunked, coords=COORDS)]
    return [Seed(data, ((0, min(3000, len(data))),)) for data in made]


def clam_coords() -> Sequence[Seed]:
    data = h5(
        {"patch_size": 64, "downsample": [2.0, 2.0], "downsampled_level_dim": (600, 500)},
        coords=COORDS,
    )
    return [Seed(data, ((0, len(data)),))]


def clam_vectors(folder: Path) -> None:
    (folder / "h5_files").mkdir()
    (folder / "h5_files" / "a.h5").write_bytes(h5(features=FEATURES, coords=COORDS))


def slide2vec(ending: str) -> Callable[[], Sequence[Seed]]:
    """Its files of that ending."""

    def made() -> Sequence[Seed]:
        with tempfile.TemporaryDirectory() as folder:
            slide2vec_files(Path(folder))
            (path,) = Path(folder).rglob(f"a{ending}")
            return [Seed(path.read_bytes())]

    return made


def slide2vec_files(folder: Path) -> None:
    write_slide2vec(folder, "a", FEATURES, COORDS, 128)


def odd_h5() -> Sequence[bytes]:
    import h5py

    text = np.array(["a", "b", "c"], dtype=h5py.string_dtype())
    pairs = np.zeros(3, dtype=[("x", "i4"), ("y", "f4")])
    features = [FEATURES.astype(complex), text, pairs, np.float32(1), FEATURES[:2], FEATURES[:0]]
    features += [np.full((3, 4), np.nan), np.full((3, 4), 1e9), FEATURES > 0, FEATURES[:, :0]]
    features += [np.array([b"abc"] * 12).reshape(3, 4), h5py.Empty("f4")]
    coords: list[Any] = [text, pairs, COORDS + 0.5, COORDS * np.inf, COORDS * np.nan, COORDS[:0]]
    coords += [COORDS * 2**52, COORDS * -(2**40), COORDS * 1e30, COORDS + np.array([2**62, 0])]
    coords += [COORDS.astype(np.uint64) + np.uint64(2**63), COORDS.T, COORDS * 0, h5py.Empty("i4")]
    sides: list[Any] = [0, -5, np.nan, np.inf, 1e30, 2**62, "x", b"x", [1, 2], [], np.zeros((2, 2))]
    sides += [h5py.Empty("f4"), True, 1 + 2j]
    pieces: list[Any] = [{"patch_size": s, "downsample": 2.0} for s in sides]
    pieces += [{"patch_size": 64, "downsample": s} for s in sides]

    def linked(kind: Any) -> Callable[[Any], None]:
        def add(file: Any) -> None:
            file["coords"] = COORDS
            file["features"] = kind

        return add

    def huge(**options: Any) -> Callable[[Any], None]:
        def add(file: Any) -> None:
            file.create_dataset(
                "features", shape=(3, 2**34), dtype="f4", chunks=(1, 2**20), **options
            )

        return add

    def packed(file: Any) -> None:
        shape = (1_500_000, 512)
        made = file.create_dataset("features", shape, "f4", chunks=(2**14, 512), compression="gzip")
        made[:1] = 0

    def group(file: Any) -> None:
        file.create_group("features")

    def elsewhere(file: Any) -> None:
        outside = [("/etc/passwd", 0, h5py.h5f.UNLIMITED)]
        file.create_dataset("features", (3, 4), "u1", external=outside)

    return [
        *(h5(SIDE, features=values, coords=COORDS) for values in features),
        *(h5(SIDE, features=FEATURES, coords=values) for values in coords),
        *(h5({"patch_size_level0": s}, features=FEATURES, coords=COORDS) for s in sides),
        *(h5(one, features=FEATURES, coords=COORDS) for one in pieces),
        h5(SIDE, linked(h5py.ExternalLink("/etc/passwd", "/x"))),
        h5(SIDE, linked(h5py.SoftLink("/features"))),
        h5(SIDE, linked(h5py.SoftLink("/nothing"))),
        h5(SIDE, group, coords=COORDS),
        h5(SIDE, huge(), coords=COORDS),
        h5(SIDE, huge(compression="gzip"), coords=COORDS),
        h5(SIDE, packed, coords=COORDS),
        h5(SIDE, elsewhere, coords=COORDS),
    ]


# --- Parquet and Arrow


def parquet(table: Any, **options: Any) -> bytes:
    """A table as the bytes of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    held = io.BytesIO()
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), held, **options)
    return held.getvalue()


def _footed(*made: bytes) -> Sequence[Seed]:
    """Hit where a Parquet or Arrow file describes itself."""
    return [Seed(d, ((0, 60), (max(0, len(d) - 1800), len(d)))) for d in made]


def task_features() -> Sequence[Seed]:
    columns = {"slide_id": ["a", "a", "b"], "x": [0, 1, 0], "y": [0, 0, 0]}
    columns["embedding"] = FEATURES.tolist()
    return _footed(parquet(columns), parquet(columns, compression="none"))


def odd_task_features() -> Sequence[bytes]:
    import pyarrow as pa

    rows: dict[str, Any] = {"slide_id": ["a", "a", "b"], "embedding": FEATURES.tolist()}
    vectors: list[Any] = [
        *([1.0, 2.0, 3.0], ["x", "y", "z"], [[1.0], [1.0, 2.0], []], [[], [], []], [None] * 3),
        *([["a"], ["b"], ["c"]], [[None], [1.0], [2.0]], [[[1.0]], [[2.0]], [[3.0]]]),
        *([[True], [False], [True]], [{"a": 1}] * 3, [[float("nan")], [1.0], [2.0]]),
        pa.array([[1], [2], [3]], pa.list_(pa.timestamp("s"))),
        pa.array([[1], [2], [3]], pa.list_(pa.decimal128(5))),
        pa.array([[1], [2], [3]], pa.large_list(pa.float32())),
        pa.array([[1.0]] * 3, pa.list_(pa.float32(), 1)),
        pa.array([[]] * 3, pa.list_(pa.float32(), 0)),
        pa.array([["a"]] * 3, pa.list_(pa.string(), 1)),
        pa.array([[None]] * 3, pa.list_(pa.float64(), 1)),
        pa.array([[1e300]] * 3, pa.list_(pa.float64(), 1)),
    ]
    ids: list[Any] = [
        *([1, 2, 3], [None, "a", "b"], [["a"], ["b"], ["c"]], [{"a": 1}] * 3, [1.5, 2.5, 1.5]),
        *([b"a", b"\xff", b"c"], [True, False, True], ["", "", "a"], ["../x", "a\nb", "\0"]),
        pa.array(["a", "b", "a"]).dictionary_encode(),
    ]
    places: list[Any] = [
        *(["a", "b", "c"], [None, 1, 2], [1.5, float("nan"), 2.0], [[1], [2], [3]], [2**62, 0, 1]),
        *([True, False, True], [float("inf"), 0.0, 1.0], pa.array([1, 2, 3], pa.timestamp("s"))),
    ]
    return [
        *(parquet(rows | {"embedding": values}) for values in vectors),
        *(parquet(rows | {"slide_id": values}) for values in ids),
        *(parquet(rows | {"x": values, "y": [0, 1, 2]}) for values in places),
        parquet(pa.table(rows).slice(0, 0)),
        parquet(pa.table([[1], [2]], names=["slide_id", "slide_id"])),
        parquet(pa.table({})),
    ]


def labels_parquet() -> Sequence[Seed]:
    columns = {"case_id": ["c1", "c2", "c3", "c4"], "grade": ["a", "b", "a", "b"]}
    return _footed(parquet(columns), parquet(columns, compression="none"))


def odd_labels() -> Sequence[bytes]:
    import pyarrow as pa

    rows: dict[str, Any] = {"case_id": ["c1", "c2", "c3", "c4"]}
    grades: list[Any] = [
        *([1, 2, 1, 2], [[1], [2], [1], [2]], [{"a": 1}] * 4, [None] * 4, ["a"] * 4),
        pa.array([2**50, 1, 2**50, 1], pa.timestamp("ms")),
        pa.array([1, 2, 1, 2], pa.timestamp("ns", tz="Nowhere/Atall")),
        pa.array([2**62, -(2**62), 0, 1], pa.duration("us")),
        pa.array([2**31 - 1, 1, 2**31 - 1, 1], pa.date32()),
        pa.array([b"\xff", b"a", b"\xff", b"a"]),
        pa.Array.from_buffers(pa.string(), 4, pa.array([b"\xff", b"a", b"\xff", b"a"]).buffers()),
    ]
    many = pa.DictionaryArray.from_arrays(pa.array(np.zeros(60_000_000, np.int8)), ["c1"])
    wide = pa.table({"case_id": many, "grade": many})
    return [
        *(parquet(rows | {"grade": values}) for values in grades),
        parquet(pa.table([["c1"], ["a"], ["b"]], names=["case_id", "grade", "grade"])),
        parquet(wide),
        parquet({f"c{i}": [1] for i in range(5000)}),
    ]


def odd_tables() -> Sequence[bytes]:
    """Parquet files that are none of ours."""
    import pyarrow as pa

    return [
        parquet(pa.table({})),
        parquet({"a": [1]}),
        parquet({"slide_id": ["a"], "embedding": [1]}),
        parquet({"slide_id": [["a"]], "heads": ["x"], "p_0": ["x"], "x": ["a"], "y": [None]}),
        parquet(pa.table({"x\x1b[31m" * 2000: [1]})),
    ]


def _ours(write: Callable[[Path], object], name: str = "a.parquet") -> Sequence[Seed]:
    return _footed(_written(name, write))


def _provenance(**facts: Any) -> Any:
    from hipt.store.provenance import Provenance

    return Provenance("tile", 1, "f", {}, {"weights": "random:1"}, facts)


def _columns(schema: Any, rows: int, **given: Any) -> dict[str, Any]:
    """Some values for every column of a schema."""
    import pyarrow as pa

    made: dict[str, Any] = {}
    for field in schema:
        if field.name in given:
            made[field.name] = given[field.name]
        elif pa.types.is_string(field.type):
            made[field.name] = ["a"] * rows
        elif pa.types.is_list(field.type):
            made[field.name] = [[0, 1]] * rows
            if pa.types.is_string(field.type.value_type):
                made[field.name] = [["attention"]] * rows
        elif pa.types.is_fixed_size_list(field.type):
            made[field.name] = [[np.float16(0.5)] * field.type.list_size] * rows
        else:
            made[field.name] = pa.array(np.arange(rows) % 2).cast(field.type)
    return made


def manifest() -> Sequence[Seed]:
    from hipt.store.schemas import MANIFEST
    from hipt.store.tables import write_table

    return _ours(lambda p: write_table(p, _columns(MANIFEST, 16), MANIFEST, _provenance(regions=1)))


def index() -> Sequence[Seed]:
    from hipt.store.schemas import INDICES
    from hipt.store.tables import write_table

    schema = INDICES["segment"]
    return _ours(lambda p: write_table(p, _columns(schema, 3, status=["ok"] * 3), schema))


def patch_embeddings() -> Sequence[Seed]:
    import pyarrow as pa

    from hipt.store.schemas import patch_embeddings_schema
    from hipt.store.tables import patch_embeddings_writer

    schema = patch_embeddings_schema(DIM)

    def write(path: Path) -> None:
        with patch_embeddings_writer(path, schema, _provenance(regions=2)) as writer:
            for _ in range(2):
                writer.write_batch(pa.record_batch(_columns(schema, 4), schema=schema))

    data = _ours(write, "a.arrow")[0].data
    return [Seed(data, ((0, len(data)),))]


def region_embeddings() -> Sequence[Seed]:
    from hipt.store.schemas import region_embeddings_schema
    from hipt.store.tables import write_table

    schema = region_embeddings_schema(DIM)
    return _ours(lambda p: write_table(p, _columns(schema, 3), schema, _provenance(regions=3)))


def slide_table(folder: Path) -> None:
    from hipt.store.schemas import SLIDES
    from hipt.store.tables import write_table

    write_table(folder / "slides.parquet", _columns(SLIDES, 1, status=["ok"]), SLIDES)


def maps() -> Sequence[Seed]:
    from hipt.store.schemas import attention_schema
    from hipt.store.tables import write_table

    schema = attention_schema(2, ["attention"])
    facts = _provenance(maps=["attention"], closer=[0])
    return _ours(lambda p: write_table(p, _columns(schema, 4), schema, facts))


def folds() -> Sequence[Seed]:
    from hipt.store.tables import write_table
    from hipt.tasks.schemas import FOLDS

    names = {"slide_id": list("abc"), "unit": list("abc"), "parts": [[0, 2], [2, 0], [1, 1]]}
    return _ours(lambda p: write_table(p, _columns(FOLDS, 3, **names), FOLDS))


def predictions() -> Sequence[Seed]:
    from hipt.store.tables import write_table
    from hipt.tasks.schemas import predictions_schema

    schema = predictions_schema("classification", 2)
    return _ours(lambda p: write_table(p, _columns(schema, 3, unit=list("abc")), schema))


# --- slides


def aperio() -> Sequence[Seed]:
    from tests.slidemaker import tissue_picture, write_slide

    picture = tissue_picture(640, 512)
    return [_tagged(_written("a.svs", lambda p: write_slide(p, picture, quality=60)))]


def generic_tiff() -> Sequence[Seed]:
    from tests.slidemaker import tissue_picture, write_slide

    picture = tissue_picture(640, 512)
    write = lambda p: write_slide(p, picture, kind="generic", quality=60)  # noqa: E731
    return [_tagged(_written("a.tif", write))]


def _tagged(data: bytes) -> Seed:
    """Hit where a TIFF has its tags."""
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as tif:
        tables = [(p.offset, p.offset + 2 + 12 * len(p.tags)) for p in tif.pages]
        said = [
            (t.valueoffset, t.valueoffset + 40) for p in tif.pages for t in p.tags if t.count > 9
        ]
    return Seed(data, ((0, 16), *tables, *tables, *said))
