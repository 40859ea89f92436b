"""The metadata index of a shard, which is read from the store in the background.

Indexing a metadata object of ten fields takes about 95 us of CPU, a minute and a half
for a million, and searches without a filter need none of it: the shard opens
without, and filtered queries wait.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import numpy as np
import orjson

from lookalike.wire.errors import Reason, Unavailable
from search_service.filters.ast import Equals, Filter, Scalar
from search_service.filters.ast import Path as FieldPath
from search_service.filters.bitmaps import bitmap_of, ordinals_of
from search_service.filters.index import MetadataIndex
from search_service.filters.spread import Spread
from search_service.shard.effects import Added, Effect, Killed
from search_service.shard.plan import Matches
from search_service.shard.refusals import closed
from search_service.shard.schema import open_reader
from search_service.shard.segment_api import I64
from search_service.shard.types import Metadata

_log = logging.getLogger(__name__)

# About 20 ms, for which the writer may have to wait.
ROWS_PER_READ = 1_000


class FilterIndex:
    """Which live ordinals meet a filter.

    The writer holds `commit_lock` from before a commit until `apply` is done, and
    so does the loader around each read: what it has passed, the writer keeps in
    step; what is ahead of it, it will read as it is then.
    """

    def __init__(self, store_path: Path, vfs: str) -> None:
        self.commit_lock = threading.Lock()
        self._store_path = store_path
        self._vfs = vfs
        self._index = MetadataIndex()
        self._passed = 0
        self._loaded = False
        self._failed = False
        self._stop = threading.Event()
        self._waiting: list[Callable[[], None]] = []
        self._waiting_lock = threading.Lock()
        self._thread = threading.Thread(target=self._load, name="filter-index", daemon=True)

    def start(self) -> None:
        """Begin to read the store."""
        self._thread.start()

    def when_ready(self, call: Callable[[], None]) -> None:
        """Call `call`, now or on the loader's thread, once filters can be evaluated.

        Also when that has failed: then `matches` raises.
        """
        with self._waiting_lock:
            if not (self._loaded or self._failed):
                self._waiting.append(call)
                return
        call()

    def admit(self, metadata: Metadata) -> None:
        """Check that `metadata` can be indexed.

        Raises:
            LimitExceeded: it has too many new field names.
        """
        self._index.admit(metadata)

    def apply(self, effects: Sequence[Effect]) -> None:
        """Follow a committed group; `commit_lock` is held."""
        for effect in effects:
            if not self._loaded and effect.ordinal > self._passed:
                continue
            if isinstance(effect, Added):
                self._index.add(effect.ordinal, effect.metadata)
            elif isinstance(effect, Killed):
                self._index.remove(effect.ordinal, effect.metadata)
            else:
                self._index.remove(effect.ordinal, effect.before)
                self._index.add(effect.ordinal, effect.after)

    def matches(self, filter: Filter | None, upto: int, having: FieldPath | None = None) -> Matches:
        """Evaluate a filter over the live ordinals below `upto`; after `when_ready`.

        `having` leaves out items without that field.

        Raises:
            FilterInvalid: it passes a limit.
            Unavailable: the metadata could not be read.
        """
        self._check()
        found = self._index.all if filter is None else self._index.evaluate(filter)
        if having is not None:
            found &= self._index.present(having)
        ordinals = np.frombuffer(found.to_array(), dtype=np.uint32).astype(np.int64)
        allowed = np.zeros(upto, dtype=np.bool_)
        allowed[ordinals] = True
        return Matches(ordinals, allowed)

    def holders(self, field: FieldPath, value: Scalar, matches: Matches) -> int:
        """Count the items of `matches` that hold `value`; after `when_ready`."""
        found = ordinals_of(self._index.evaluate(Equals(field, value)))
        return int(np.count_nonzero(matches.allowed[found[found < len(matches.allowed)]]))

    def spread(self, field: FieldPath, ordinals: I64) -> Spread:
        """Say which values of `field` live items hold; after `when_ready`.

        Raises:
            Unavailable: the metadata could not be read.
        """
        self._check()
        return self._index.spread(field, bitmap_of(ordinals))

    def close(self) -> None:
        """Stop reading; who waits is called."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._finish(failed=not self._loaded)

    def _check(self) -> None:
        if self._stop.is_set():
            raise closed()
        if self._failed:
            raise Unavailable(
                "filters cannot be used: the collection's metadata could not be read",
                reason=Reason.STORE_FAILED,
            )

    def _load(self) -> None:
        try:
            with closing(open_reader(self._store_path, self._vfs)) as db:
                while not self._stop.is_set():
                    with self.commit_lock:
                        if not self._read_some(db):
                            self._loaded = True
                            break
                    self._stop.wait(0.001)  # a lock is not fair: let the writer in
        except (apsw.Error, orjson.JSONDecodeError):
            _log.exception("the metadata index cannot be loaded")
        self._finish(failed=not self._loaded)

    def _read_some(self, db: apsw.Connection) -> bool:
        rows: list[Any] = db.execute(
            "SELECT ordinal, metadata FROM details WHERE ordinal > ? ORDER BY ordinal LIMIT ?",
            (self._passed, ROWS_PER_READ),
        ).fetchall()
        for ordinal, metadata in rows:
            self._index.add(ordinal, orjson.loads(metadata))
        if rows:
            self._passed = rows[-1][0]
        return bool(rows)

    def _finish(self, *, failed: bool) -> None:
        with self._waiting_lock:
            self._failed = failed
            waiting, self._waiting = self._waiting, []
        for call in waiting:
            call()
