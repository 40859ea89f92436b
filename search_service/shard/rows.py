"""Upkeep of an id's rows in the store, and the form of what they hold."""

from __future__ import annotations

import apsw
import orjson

from lookalike.wire.errors import InvalidField
from search_service.shard.types import Metadata


def encode_metadata(metadata: Metadata) -> bytes:
    """Return `metadata` as it is stored.

    Raises:
        InvalidField: it is no JSON object.
    """
    try:
        return orjson.dumps(metadata)
    except orjson.JSONEncodeError as error:
        raise InvalidField(
            "metadata", "the metadata is not JSON: use text, numbers up to 64 bits, and lists"
        ) from error


def prune(db: apsw.Connection, below_version: int) -> int:
    """Forget deletions, waiting metadata and rejections older than `below_version`.

    Returns the number of deletions.
    """
    db.execute("DELETE FROM rejections WHERE version < ?", (below_version,))
    db.execute(
        "DELETE FROM pending_metadata WHERE id IN (SELECT id FROM items WHERE ordinal IS NULL"
        " AND metadata_version < ?)",
        (below_version,),
    )
    tombstones: int = db.execute(
        "SELECT count(*) FROM items WHERE ordinal IS NULL AND delete_version > 0"
        " AND delete_version < :v AND metadata_version < :v",
        {"v": below_version},
    ).get
    db.execute(
        "DELETE FROM items WHERE ordinal IS NULL"
        " AND max(vector_version, metadata_version, delete_version) < ?",
        (below_version,),
    )
    return tombstones
