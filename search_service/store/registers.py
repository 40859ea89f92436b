"""Reads the versions of ids: of items, of deletions, of what waits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import apsw
import orjson

from lookalike.wire.errors import Reason, Unavailable
from search_service.store.damage import damaged, is_damage
from search_service.store.rules import Registers
from search_service.store.schema import open_reader

_COLUMNS = "id, vector_version, metadata_version, delete_version"
_PAGE = f"SELECT {_COLUMNS} FROM items WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608 - our names
_OF = f"SELECT {_COLUMNS} FROM items WHERE id IN (SELECT value FROM json_each(?))"  # noqa: S608 - our names


class RegisterReader:
    """Reads from a store beside its writer; any thread may call.

    A connection lasts for one call: those who read thousands of rows ask seldom.
    """

    def __init__(self, store_path: Path, vfs: str) -> None:
        self._store_path = store_path
        self._vfs = vfs

    def page(self, after_id: str, count: int) -> list[tuple[str, Registers]]:
        """Read up to `count` ids after `after_id`, sorted, those of deleted items among them.

        Raises:
            StoreDamaged, Unavailable: the store cannot be read.
        """
        with self._opened() as db:
            rows = db.execute(_PAGE, (after_id, count))
            return [(str(id), Registers(*versions)) for id, *versions in rows]

    def of(self, ids: Sequence[str]) -> dict[str, Registers]:
        """Read those of `ids` that are known.

        Raises:
            StoreDamaged, Unavailable: the store cannot be read.
        """
        with self._opened() as db:
            rows = db.execute(_OF, (orjson.dumps(list(ids)).decode(),))
            return {str(id): Registers(*versions) for id, *versions in rows}

    @contextmanager
    def _opened(self) -> Iterator[apsw.Connection]:
        try:
            with closing(open_reader(self._store_path, self._vfs)) as db:
                yield db
        except apsw.Error as error:
            if is_damage(error):
                raise damaged("the versions of its items") from error
            raise Unavailable(
                "the collection's store cannot be read", reason=Reason.STORE_FAILED
            ) from error
