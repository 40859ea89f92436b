"""Removes from the store what nothing older than a version can need any more."""

from __future__ import annotations

import apsw


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
