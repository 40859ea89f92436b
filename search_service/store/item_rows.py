"""Items from rows of the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import apsw
import numpy as np

from search_service.domain.arrays import F32
from search_service.domain.items import Fields, StoredItem
from search_service.domain.metadata import decode_metadata, encode_metadata
from search_service.store.damage import RowDamaged
from search_service.store.further import vectors_of
from search_service.store.named import named_vectors_of
from search_service.store.picking import pick
from search_service.store.rows_read import are_unit

# Where a row has the ordinal.
_ORDINAL = 5
_COLUMNS = (
    "i.id, max(i.vector_version, i.metadata_version), i.update_time_us,"
    " CASE WHEN i.near_flagged THEN i.near_id ELSE '' END, i.vector_version, i.ordinal"
)


def select_items(fields: Fields) -> str:
    """Return a query, without conditions, of the items `i` with these fields."""
    columns, joins = _COLUMNS, ""
    columns += ", d.metadata" if fields.metadata else ", NULL"
    columns += ", d.facts" if fields.facts else ", NULL"
    columns += ", t.thumbnail" if fields.thumbnail else ", NULL"
    columns += ", v.vector" if fields.vector else ", NULL"
    if fields.metadata or fields.facts:
        joins += " LEFT JOIN details d ON d.ordinal = i.ordinal"
    if fields.thumbnail:
        joins += " LEFT JOIN thumbnails t ON t.ordinal = i.ordinal"
    if fields.vector:
        joins += " LEFT JOIN vectors v ON v.ordinal = i.ordinal"
    return f"SELECT {columns} FROM items i{joins}"  # noqa: S608 - built from constants


def items_of(
    db: apsw.Connection, rows: Sequence[Any], fields: Fields, names: Sequence[str]
) -> list[StoredItem]:
    """Make items of rows of `select_items`; their other vectors, by `names` too, are read
    with `db`.

    Raises:
        RowDamaged: a row is not what was written.
    """
    ordinals = [row[_ORDINAL] for row in rows]
    further = vectors_of(db, ordinals) if fields.vector else {}
    items = [_item(row, fields, further.get(row[_ORDINAL], ())) for row in rows]
    if not fields.vector or not names:
        return items
    named = [(name, named_vectors_of(db, number, ordinals)) for number, name in enumerate(names, 1)]
    return [
        replace(item, named={name: found[at] for name, found in named if at in found})
        for at, item in zip(ordinals, items, strict=True)
    ]


def _read_metadata(metadata: bytes, fields: Fields) -> bytes:
    read = decode_metadata(metadata)  # what is no JSON is damaged
    if not fields.metadata_paths:
        return metadata
    return encode_metadata(pick(read, fields.metadata_paths))


def _vector(data: bytes) -> F32:
    vector: F32 = np.frombuffer(data, dtype="<f4")
    return vector


def _item(
    row: tuple[str, int, int, str, int, int, bytes, bytes, bytes, bytes],
    fields: Fields,
    further: tuple[F32, ...],
) -> StoredItem:
    """Make an item of a row.

    Raises:
        RowDamaged: the row is not what was written.
    """
    id, version, time_us, near_id, vector_version, _, metadata, facts, thumbnail, vector = row
    if fields.vector and (vector is None or not are_unit(_vector(vector)[np.newaxis])):
        raise RowDamaged("an item's vector is not what was written")
    try:
        return StoredItem(
            id=id,
            version=version,
            update_time_us=time_us,
            metadata_json=_read_metadata(metadata, fields) if fields.metadata else None,
            facts=facts or b"",
            thumbnail=thumbnail or b"",
            vector=_vector(vector) if fields.vector else None,
            near_duplicate_of=near_id or "",
            vector_version=vector_version,
            further=further,
        )
    except (ValueError, TypeError) as error:  # no row of details, no JSON
        raise RowDamaged("an item's metadata is not what was written") from error
