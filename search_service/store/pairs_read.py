"""Reads pairs of ordinals, of vectors and of the items that these are of."""

from __future__ import annotations

from typing import Any

import apsw
import numpy as np
import orjson

from search_service.domain.arrays import I64
from search_service.store.damage import is_damage
from search_service.store.salvage import OnDamage, rows_between

# As tuples, 4 million of them take 700 MB and half a minute; as blocks of JSON, as many
# bytes as they are long and a few seconds.
_PAIRS_PER_READ = 65_536


def ordinal_pairs(
    db: apsw.Connection, blocks: str, ranges: str, upto: int, on_damage: OnDamage
) -> tuple[I64, I64]:
    """Return ordinals of vectors and of their items, int64 [n] both, the first ascending.

    `blocks` selects ordinal and item past an (ordinal, item), in the order of the ordinals,
    up to a limit; `ranges` is for `rows_between`, which reads around damage.
    """
    try:
        found = _in_blocks(db, blocks)
    except apsw.Error as error:
        if not is_damage(error):
            raise
        on_damage(error)
    except (TypeError, ValueError, OverflowError) as error:  # a page of another table
        on_damage(error)
    else:
        return found[:, 0], found[:, 1]
    rows = [row for row in rows_between(db, ranges, 0, upto, on_damage) if _is_pair(row)]
    pairs = np.array(sorted(rows), dtype=np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _in_blocks(db: apsw.Connection, blocks: str) -> I64:
    query = (
        "SELECT json_group_array(ordinal), json_group_array(item)"  # noqa: S608 - our queries
        f" FROM ({blocks} LIMIT {_PAIRS_PER_READ})"
    )
    parts: list[I64] = [np.empty((0, 2), dtype=np.int64)]
    last = (0, 0)
    while True:
        row: Any = db.execute(query, last).fetchone()
        block = np.array([orjson.loads(each) for each in row], dtype=np.int64).T
        if not len(block):
            break
        parts.append(block)
        following = (int(block[-1, 0]), int(block[-1, 1]))
        if following[0] <= last[0]:
            raise ValueError("ordinals of the store are out of order")
        last = following
    found = np.concatenate(parts)
    if (np.diff(found[:, 0]) <= 0).any():
        raise ValueError("ordinals of the store are out of order")
    return found


def _is_pair(row: Any) -> bool:
    return all(isinstance(each, int) and 0 <= each < 2**62 for each in row)
