"""A slide's heatmaps on disk: results/attend/<slide>.parquet, and the files beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hipt.errors import HiptError
from hipt.pictures.drawing import RGB
from hipt.store.provenance import Provenance
from hipt.store.schemas import attention_schema
from hipt.store.shard import read_provenance
from hipt.store.tables import (
    list_size,
    matrix,
    read_table,
    refuse_other_schema,
    vectors,
    write_table,
)

COMPONENTS = ("component1", "component2", "component3")
"""Maps of what a slide's patch vectors tell apart, where there is no stage 2."""

HEAD = "head "
"""What the names of maps of single heads begin with."""

Floats = npt.NDArray[np.float32]

COLUMNS = ("slide_id", "region", "patch", "x", "y", "read_px", "tissue", "computed")
"""What a slide's table says of each patch, before `heads` and the maps."""


BELOW, ABOVE = b"below", b"above"
"""Metadata of a signed map's column: what values below and above 0 speak for."""


class CellMaps(NamedTuple):
    """One region: its picture, and maps of its G*E cells along each side."""

    picture: RGB
    cells: npt.NDArray[np.float64]
    """[G*E, G*E] stage 1's attention of each patch to its cells, mean of heads."""
    patches: npt.NDArray[np.float64]
    """[G*E, G*E] stage 2's attention to patches, mean of heads; equal inside a patch."""
    product: npt.NDArray[np.float64]
    """[G*E, G*E] the share of stage 2's attention that falls on each cell."""


@dataclass(frozen=True)
class SlideMaps:
    """All maps of one slide: N patches, H heads."""

    slide_id: str
    manifest: pa.Table
    """One row per patch, with COLUMNS at least: the manifest, and whose vectors were computed."""
    attention: Floats
    """(N, H) of stage 2; without it H is 0."""
    maps: Mapping[str, Floats]
    """(N,) each; `<task>.<model>.<kind>`, and `attention`, the mean of heads, or without stage 2
    `component<k>`."""
    ends: Mapping[str, tuple[str, str]]
    """Of the signed maps, what values below and above 0 speak for."""

    @property
    def corners(self) -> npt.NDArray[np.int64]:
        """(N, 2) x, y of patches, level-0 pixels."""
        return np.stack([self.manifest[axis].to_numpy() for axis in "xy"], 1)

    @property
    def side_px(self) -> int:
        """Side of a patch, level-0 pixels."""
        return int(self.manifest["read_px"][0].as_py())

    @property
    def heads(self) -> dict[str, Floats]:
        """(N,) the map of each head of stage 2."""
        return {f"{HEAD}{k}": values for k, values in enumerate(self.attention.T)}

    @property
    def layers(self) -> dict[str, Floats]:
        """(N,) every map by its name, those of single heads too."""
        return {**self.maps, **self.heads}


def write_maps(shard: Path, slide: SlideMaps, provenance: Provenance) -> None:
    """Write a slide's table, whole or not at all."""
    columns: dict[str, Any] = {name: slide.manifest[name] for name in COLUMNS}
    heads = slide.attention.shape[1]
    columns |= ({"heads": vectors(slide.attention)} if heads else {}) | dict(slide.maps)
    schema = attention_schema(heads, list(slide.maps))
    for name, ends in slide.ends.items():
        meaning = dict(zip((BELOW, ABOVE), ends, strict=True))
        field = schema.field(name).with_metadata(meaning)
        schema = schema.set(schema.get_field_index(name), field)
    write_table(shard, columns, schema, provenance)


def read_maps(shard: Path) -> SlideMaps:
    """The maps in a slide's table.

    Raises:
        HiptError: if the table is absent or damaged.
    """
    table = read_table(shard)
    schema, headed = table.schema, "heads" in table.column_names
    names = table.column_names[len(COLUMNS) + headed :]
    heads = list_size(schema, "heads") if headed else 0
    refuse_other_schema(shard, schema, attention_schema(heads, names))
    meanings = {name: schema.field(name).metadata or {} for name in names}
    signed = {name: meaning for name, meaning in meanings.items() if BELOW in meaning}
    try:
        ends = {name: (m[BELOW].decode(), m[ABOVE].decode()) for name, m in signed.items()}
    except (LookupError, ValueError) as error:
        raise HiptError(f"{shard}: is damaged ({error}); delete it, and it is made again") from None
    maps = {name: table[name].to_numpy() for name in names}
    attention = matrix(table["heads"]) if headed else np.empty((len(table), 0), np.float32)
    return SlideMaps(shard.stem, table, attention, maps, ends)


def companions(shard: Path, facts: Mapping[str, Any]) -> Iterator[Path]:
    """The files beside a slide's table: pictures first, in the order of the maps.

    Args:
        shard: the table.
        facts: `maps`, `heads`: how many stage 2 has, and `closer`: the regions that were looked at
            closer.
    """
    folder = shard.with_suffix("")
    yield from (folder / f"{name}.png" for name in facts["maps"])
    if facts["heads"]:
        yield folder / "heads.png"
    yield from (folder / f"region_{region}.png" for region in facts["closer"])
    yield from (folder / f"{name}.tif" for name in facts["maps"])
    yield folder / "qupath.geojson"


def listed(shard: Path) -> list[Path]:
    """The files beside a slide's table, as the table lists them; none where there is no table."""
    try:
        named = list(companions(shard, read_provenance(shard).facts))
    except (HiptError, KeyError, TypeError):
        return []
    return [path for path in named if path.parent == shard.with_suffix("")]
