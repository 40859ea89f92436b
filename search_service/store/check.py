"""Reads a store through, to find damage before a user meets it.

Rows of every table are read through SQLite, so that each page in use is held to its
checksum and its structure, and then to what was written: keys that ascend, vectors of
unit length, metadata that is JSON, a vector and metadata for each ordinal in use. The
layer of checksums takes a page of zeros for a whole one, and a page that was copied over
another too. The transactions are short and leave the log free. Pages of no use (the
free list) are not looked at: what they hold counts for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import apsw

from search_service.limits import MAX_ITEM_VECTORS
from search_service.store.damage import RowDamaged, is_damage
from search_service.store.further import has_several, live_between
from search_service.store.named import count_names, vectors_table
from search_service.store.rows_read import checked_rows
from search_service.store.schema import one_moment

# What a row costs beside its values.
_ROW_BYTES = 64
# A value longer than this may end on a page of its own (a tenth of a page of ours is
# less than what SQLite keeps beside the key of any table).
_LONG_BYTES = 1_600
_TAIL_BYTES = 32
# Of the greatest dimension, 1 MiB.
_NAMED_ROWS = 64


@dataclass(frozen=True, slots=True)
class _Part:
    """A table or index. `values` yields what is read of a row, `wrong` says of a row that
    it is not what was written. `each_live`: there is a row for each ordinal in use, of
    further vectors too with `further`."""

    what: str
    keys: tuple[str, ...]
    source: str
    values: str
    rows: int
    wrong: str = "0"
    where: str = "1"
    each_live: bool = False
    further: bool = False
    vectors: bool = False


_FURTHER = _Part(
    "further vectors",
    ("ordinal",),
    "further_vectors",
    "item",
    2_000,
    wrong=f"NOT (item < ordinal AND ordinal < item + {MAX_ITEM_VECTORS}"  # noqa: S608 - built from constants
    " AND EXISTS (SELECT 1 FROM items INDEXED BY items_by_ordinal"
    " WHERE items.ordinal = further_vectors.item))",
)


def read_through(
    db: apsw.Connection,
    dimension: int,
    note: Callable[[BaseException, str], None],
    spend: Callable[[int], bool],
) -> None:
    """Read all rows; `spend` hears of bytes that were read and says whether to go on.

    Each part is read up to its first damage, of which `note` hears, and of the part's name.

    Raises:
        apsw.Error: reading fails otherwise than by damage.
    """
    for part in (*_parts(dimension, several=has_several(db)), *_named_parts(count_names(db))):
        try:
            if not _read_part(db, part, spend):
                return
        except (apsw.Error, RowDamaged) as error:
            if not is_damage(error):
                raise
            note(error, part.what)


def _parts(dimension: int, *, several: bool) -> tuple[_Part, ...]:
    return (
        *(_FURTHER for _ in range(several)),
        _Part("settings", ("key",), "meta", "length(value)", 100),
        _Part("ids", ("id",), "items NOT INDEXED", "length(id)", 2_000),
        _Part(
            "the index of ids",
            ("ordinal",),
            "items INDEXED BY items_by_ordinal",
            "length(id)",
            2_000,
            where="ordinal IS NOT NULL",
        ),
        _Part(
            "vectors",
            ("ordinal",),
            "vectors",
            "vector",
            max(1, (1 << 20) // (4 * dimension)),
            each_live=True,
            further=True,
            vectors=True,
        ),
        _Part(
            "metadata",
            ("ordinal",),
            "details",
            "length(facts) + length(metadata)",
            500,
            wrong=f"NOT json_valid(CAST(metadata AS TEXT)) OR {_tail('facts')}",
            each_live=True,
        ),
        _Part(
            "thumbnails",
            ("ordinal",),
            "thumbnails",
            "length(thumbnail)",
            64,
            wrong=_tail("thumbnail"),
        ),
        _Part(
            "waiting metadata",
            ("id",),
            "pending_metadata",
            "length(metadata)",
            500,
            wrong="NOT json_valid(CAST(metadata AS TEXT))",
        ),
        _Part("rejections", ("id", "version"), "rejections", "length(id)", 2_000),
    )


def _named_parts(count: int) -> Iterator[_Part]:
    for number in range(1, count + 1):
        table = vectors_table(number)
        in_items = f"{table}.item IN (SELECT ordinal FROM items WHERE ordinal IS NOT NULL)"  # noqa: S608 - a number
        span = f"item <= ordinal AND ordinal < item + {MAX_ITEM_VECTORS}"
        yield _Part(
            f"named vectors {number}",
            ("ordinal",),
            table,
            "vector",
            _NAMED_ROWS,
            wrong=f"NOT ({span} AND {in_items})",
            vectors=True,
        )
        yield _Part(
            f"the index of named vectors {number}",
            ("item", "ordinal"),
            f"{table} INDEXED BY {table}_by_item",
            "item",
            2_000,
        )


def _tail(column: str) -> str:
    """Say in SQL that the last page of a long value holds zeros; no encoder ends so."""
    return (
        f"(length({column}) > {_LONG_BYTES}"
        f" AND substr({column}, -{_TAIL_BYTES}) = zeroblob({_TAIL_BYTES}))"
    )


def _read_part(db: apsw.Connection, part: _Part, spend: Callable[[int], bool]) -> bool:
    after: tuple[Any, ...] = ()
    while True:
        with one_moment(db):  # one moment of the store for a table and the ordinals in use
            rows: list[Any] = db.execute(_query(part, begun=bool(after)), after).fetchall()
            if part.each_live:
                _check_each_live(db, part, rows, after)
        _check(part, rows, after)
        if not spend(sum(_nbytes(row[0]) for row in rows)):
            return False
        if len(rows) < part.rows:
            return True
        after = tuple(rows[-1][2:])


def _query(part: _Part, *, begun: bool) -> str:
    keys = ", ".join(part.keys)
    condition = part.where
    if begun:
        places = ", ".join("?" * len(part.keys))
        condition += f" AND ({keys}) > ({places})" if len(part.keys) > 1 else f" AND {keys} > ?"
    return (
        f"SELECT {part.values}, {part.wrong}, {keys} FROM {part.source}"  # noqa: S608 - built from constants
        f" WHERE {condition} ORDER BY {keys} LIMIT {part.rows}"
    )


def _check(part: _Part, rows: list[Any], after: tuple[Any, ...]) -> None:
    """Raises:
    RowDamaged: a row is not what was written, or not where it was written.
    """
    if any(row[1] for row in rows):
        raise RowDamaged(f"a row of {part.what} is not what was written")
    last = after
    kinds = [type(value) for value in last or (rows[0][2:] if rows else ())]
    for row in rows:
        key = tuple(row[2:])
        if last and ([type(value) for value in key] != kinds or not key > last):
            raise RowDamaged(f"rows of {part.what} are out of order")
        last = key
    if part.vectors:
        checked_rows([(row[2], row[0]) for row in rows])


def _check_each_live(
    db: apsw.Connection, part: _Part, rows: list[Any], after: tuple[Any, ...]
) -> None:
    """Raises:
    RowDamaged: an ordinal in use has no row, or a row is of none in use.
    """
    upto = rows[-1][2] if len(rows) == part.rows else 2**62
    further = part.further and has_several(db)
    found = live_between(db, after[0] if after else -1, upto, -1, further=further)
    if found != [row[2] for row in rows]:
        raise RowDamaged(f"{part.what} are not there for just the items that are")


def _nbytes(value: bytes | int | None) -> int:
    length = len(value) if isinstance(value, bytes) else value or 0
    return _ROW_BYTES + length
