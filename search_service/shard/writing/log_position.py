"""How far the log of a partition is in a shard's store; only a cluster's shards have one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

import apsw

from search_service.store import schema

_KEY = "log_position"


class LogPosition:
    """The position that was noted last; 0: none was."""

    def __init__(
        self,
        db: apsw.Connection,
        run: Callable[[Callable[[apsw.Connection], None]], Future[None]],
    ) -> None:
        """`run` has the writer do something in a transaction, after what was submitted."""
        self._run = run
        self.value = int(schema.read_meta(db, _KEY) or 0)

    def note(self, position: int) -> Future[None]:
        """Note that the entries up to `position`, submitted before, are stored."""

        def save(db: apsw.Connection) -> None:
            schema.write_meta(db, _KEY, position)
            self.value = position

        return self._run(save)
