"""Collections as Parquet files: id, vector, metadata, facts, version.

    id        string
    vector    fixed-size list of float32, unit length, the stored bytes
    metadata  string: a JSON object
    facts     struct, null where an item has none; the thumbnail is part of it
    version   uint64, for information: an import gives versions of its own
    further_vectors
              list of vectors as `vector`, those besides it; null where an item has one

The file's own metadata says the dimension and the model's fingerprint, so that
vectors never end up among those of another model, and the settings of the
collection. Needs pyarrow, which the extra `parquet` brings. Writing streams: a few tens
of megabytes are held. `lookalike_client.tables` reads such files, and others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lookalike.wire.errors import LookalikeError, Precondition, Reason
from lookalike_client import archive_files, types
from lookalike_client.tables.binding import (
    DIMENSION,
    FINGERPRINT,
    FORMAT,
    FORMAT_VERSION,
    FURTHER_VECTORS,
    SETTINGS,
)

if TYPE_CHECKING:
    from lookalike_client import Client

# A page of items with the largest thumbnails, metadata and vectors the contract
# allows (288 KiB an item) stays below the largest message, 64 MiB.
_PAGE_ITEMS = 200
_GROUP_ROWS = 4_096
_GROUP_BYTES = 32 << 20
_EVERYTHING = types.Fields(metadata=True, facts=True, thumbnail=True, vector=True)


def export_collection(client: Client, collection: str, path: str | Path) -> int:
    """Write a collection to a Parquet file; return how many items.

    Items are read page by page by id: what is written meanwhile may or may not be
    in the file. Take a snapshot and export a restored copy for one moment's state.
    The file is there, whole, or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    import pyarrow.parquet as pq

    described = client.collections.get(collection)
    if described.vectors:
        raise Precondition(
            f'collection "{described.name}" has vectors by name, which a Parquet file does not '
            "hold: take a snapshot, which holds all",
            reason=Reason.UNSUPPORTED,
            field="collection",
        )
    settings = {
        "index": asdict(described.index),
        "duplicates": asdict(described.duplicates),
        "thumbnail_side_px": described.thumbnail_side_px,
    }
    schema = _schema(
        described.dimension,
        described.model_fingerprint,
        {SETTINGS: json.dumps(settings).encode()},
    )
    items = client.list(described.uid, fields=_EVERYTHING, page_size=_PAGE_ITEMS)
    count = 0
    with archive_files.whole_file(Path(path)) as file, pq.ParquetWriter(file, schema) as writer:
        for group in _groups(items):
            writer.write_table(_table(group, schema), row_group_size=len(group))
            count += len(group)
    return count


def _schema(dimension: int, fingerprint: str, more: dict[bytes, bytes] | None = None) -> Any:
    import pyarrow as pa

    facts = pa.struct(
        [
            ("width_px", pa.uint32()),
            ("height_px", pa.uint32()),
            ("size_bytes", pa.uint64()),
            ("sha256", pa.string()),
            ("perceptual_hash", pa.string()),
            ("sharpness", pa.float64()),
            ("format", pa.string()),
            ("thumbnail_webp", pa.binary()),
            ("truncated", pa.bool_()),
            ("blank", pa.bool_()),
            ("pixel_sha256", pa.string()),
            ("grey_webp", pa.binary()),
            ("pdq_hash", pa.string()),
            ("pdq_quality", pa.uint32()),
        ]
    )
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("vector", pa.list_(pa.float32(), dimension), nullable=False),
            pa.field("metadata", pa.string(), nullable=False),
            pa.field("facts", facts),
            pa.field("version", pa.uint64(), nullable=False),
            pa.field(FURTHER_VECTORS, pa.list_(pa.list_(pa.float32(), dimension))),
        ],
        metadata={
            FORMAT: FORMAT_VERSION.encode(),
            DIMENSION: str(dimension).encode(),
            FINGERPRINT: fingerprint.encode(),
            **(more or {}),
        },
    )


def _groups(items: Iterator[types.Item]) -> Iterator[list[types.Item]]:
    group: list[types.Item] = []
    nbytes = 0
    for item in items:
        group.append(item)
        nbytes += 1_024 + (item.vector.nbytes if item.vector is not None else 0)
        nbytes += sum(vector.nbytes for vector in item.further_vectors)
        nbytes += len(item.facts.thumbnail_webp) if item.facts is not None else 0
        if len(group) >= _GROUP_ROWS or nbytes >= _GROUP_BYTES:
            yield group
            group, nbytes = [], 0
    if group:
        yield group


def _table(items: Sequence[types.Item], schema: Any) -> Any:
    import pyarrow as pa

    if any(item.vector is None for item in items):
        raise LookalikeError("the service sent an item without a vector", reason=Reason.INTERNAL)
    flat = np.concatenate([item.vector for item in items if item.vector is not None])
    vectors = pa.FixedSizeListArray.from_arrays(
        pa.array(flat, pa.float32()), type=schema.field("vector").type
    )
    facts = [None if item.facts is None else _facts_row(item.facts) for item in items]
    columns = [
        pa.array([item.id for item in items], pa.string()),
        vectors,
        pa.array([json.dumps(item.metadata, ensure_ascii=False) for item in items], pa.string()),
        pa.array(facts, schema.field("facts").type),
        pa.array([item.version for item in items], pa.uint64()),
        pa.array(
            [list(item.further_vectors) or None for item in items],
            schema.field(FURTHER_VECTORS).type,
        ),
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _facts_row(facts: types.ImageFacts) -> dict[str, object]:
    names = types.ImageFacts.__dataclass_fields__
    return {name: getattr(facts, name) for name in names}
