"""The columns of what the steps write: Arrow schemas of tables, indices and embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

TEXT, INT, REAL = pa.string(), pa.int64(), pa.float64()


def schema_of(**columns: pa.DataType) -> pa.Schema:
    """A schema of columns that are never null."""
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns.items()])


def _index(**facts: pa.DataType) -> pa.Schema:
    """An index's schema: every slide's verdict, then facts that only slides in order have."""
    head = [pa.field(name, TEXT, nullable=False) for name in ("slide_id", "status", "reason")]
    rest = [pa.field(name, kind) for name, kind in ({"fingerprint": TEXT} | facts).items()]
    return pa.schema(head + rest)


MANIFEST = schema_of(
    slide_id=TEXT,
    region=pa.int32(),
    patch=pa.int16(),
    region_x=INT,
    region_y=INT,
    x=INT,
    y=INT,
    read_px=INT,
    tissue=pa.float32(),
    region_tissue=pa.float32(),
    inside=pa.float32(),
)
"""results/tile/<slide>.parquet: one row per patch, region-major, row-major inside the region."""

INDICES = {
    "segment": _index(
        note=TEXT,
        content=TEXT,
        vendor=TEXT,
        objective=REAL,
        mpp=REAL,
        mpp_source=TEXT,
        width_px=INT,
        height_px=INT,
        downsamples=pa.list_(REAL),
        bounds=pa.list_(INT),
        mask_source=TEXT,
        mask_mpp=REAL,
        tissue_mm2=REAL,
        tissue_fraction=REAL,
        ink_fraction=REAL,
    ),
    "tile": _index(
        read_level=INT,
        downsample=REAL,
        read_mpp=REAL,
        read_px=INT,
        regions=INT,
        patches=INT,
        tissue_patches=INT,
        tissue_in_regions=REAL,
    ),
    "embed_patches": _index(
        regions=INT,
        patches=INT,
        computed_patches=INT,
        unreadable_patches=INT,
        dim=INT,
        reader=TEXT,
        precision=TEXT,
    ),
    "embed_regions": _index(regions=INT, dim=INT, region_precision=TEXT),
    "attend": _index(
        regions=INT, patches=INT, heads=INT, maps=pa.list_(TEXT), closer=pa.list_(INT)
    ),
}
"""results/<step>/index/<batch>.parquet: one row per slide; nothing in it varies between runs."""

SLIDES = pa.schema(
    [
        *(pa.field(c, TEXT, nullable=False) for c in ("slide_id", "case_id", "site", "path")),
        *(pa.field(c, TEXT, nullable=False) for c in ("batch", "status", "reason", "note")),
        pa.field("content", TEXT),
        pa.field("vendor", TEXT),
        pa.field("objective", REAL),
        pa.field("mpp", REAL),
        pa.field("mpp_source", TEXT),
        pa.field("width_px", INT),
        pa.field("height_px", INT),
        pa.field("bounds", pa.list_(INT)),
        pa.field("levels", INT),
        pa.field("read_level", INT),
        pa.field("downsample", REAL),
        pa.field("read_mpp", REAL),
        pa.field("tissue_mm2", REAL),
        pa.field("tissue_fraction", REAL),
        pa.field("ink_fraction", REAL),
        pa.field("tissue_in_regions", REAL),
        pa.field("regions", INT),
        pa.field("patches", INT),
        pa.field("tissue_patches", INT),
        pa.field("computed_patches", INT),
        pa.field("unreadable_patches", INT),
        pa.field("reader", TEXT),
        pa.field("precision", TEXT),
        pa.field("region_precision", TEXT),
    ]
)
"""results/slides.parquet: one row per slide of the sheet."""


METRICS = schema_of(
    iteration=INT,
    loss=REAL,
    teacher_entropy=REAL,
    gradient_norm=REAL,
    lr=REAL,
    weight_decay=REAL,
    teacher_momentum=REAL,
)
"""results/models/<name>.metrics.parquet: one row per step of training."""


PROBE = pa.schema(
    [
        *schema_of(level=TEXT, task=TEXT, features=TEXT, balanced_accuracy=REAL, chance=REAL),
        *schema_of(items=INT, classes=INT, cases=INT, method=TEXT, fraction=REAL),
        *(pa.field(name, REAL) for name in ("low", "high")),
        *(
            pa.field(name, REAL)
            for name in ("difference", "difference_low", "difference_high", "p")
        ),
    ]
)
"""results/probe.parquet: one row per level, task, method with its fraction of the training part,
and kind of features; `difference` is trained features minus these."""


AGREEMENT = schema_of(
    slide_id=TEXT,
    case_id=TEXT,
    map=TEXT,
    auc=REAL,
    positive=INT,
    patches=INT,
)
"""results/agreement.parquet: one row per slide and map; `auc` of its values among the slide's
patches, those positive that are mostly of the target's classes."""

EXPORT = schema_of(
    slide_id=TEXT,
    status=TEXT,
    reason=TEXT,
    note=TEXT,
    files=pa.list_(TEXT),
    patches=INT,
    regions=INT,
    fingerprint=TEXT,
)
"""results/export/<format>.parquet: one row per slide in the tree beside it, or that failed."""


def patch_embeddings_schema(dim: int) -> pa.Schema:
    """results/embed_patches/<slide>.arrow for vectors of `dim` numbers."""
    return schema_of(
        slide_id=TEXT,
        region=pa.int32(),
        patch=pa.int16(),
        x=INT,
        y=INT,
        tissue=pa.float32(),
        readable=pa.bool_(),
        computed=pa.bool_(),
        embedding=pa.list_(pa.field("item", pa.float16(), nullable=False), dim),
    )


def region_embeddings_schema(dim: int) -> pa.Schema:
    """results/embed_regions/<slide>.parquet for vectors of `dim` numbers."""
    return schema_of(
        slide_id=TEXT,
        region=pa.int32(),
        x=INT,
        y=INT,
        tissue=pa.float32(),
        embedding=pa.list_(pa.field("item", pa.float32(), nullable=False), dim),
    )


def attention_schema(heads: int, maps: Sequence[str]) -> pa.Schema:
    """results/attend/<slide>.parquet: one row per patch, as in the manifest.

    Args:
        heads: of stage 2; `heads` has the attention of each. 0: there is no stage 2, and no column.
        maps: further columns, each a map.
    """
    vector = pa.list_(pa.field("item", pa.float32(), nullable=False), heads)
    return schema_of(
        slide_id=TEXT,
        region=pa.int32(),
        patch=pa.int16(),
        x=INT,
        y=INT,
        read_px=INT,
        tissue=pa.float32(),
        computed=pa.bool_(),
        **({"heads": vector} if heads else {}),
        **dict.fromkeys(maps, pa.float32()),
    )
