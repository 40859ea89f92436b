"""The metadata index of a shard: brought up in the background, followed, kept in a file.

Indexing a metadata object of ten fields takes about 95 us of CPU: the shard opens
without, and filtered queries wait. So that they wait for less, a start reads the last
saved file, then what has changed since (`filter_log.py`), or all where no file fits.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path

import apsw
import numpy as np
import orjson
from pyroaring import BitMap

from lookalike.wire.errors import LookalikeError
from search_service.domain.arrays import I64
from search_service.domain.conditions import Equals, FieldPath, Filter, Scalar
from search_service.domain.effects import Added, Effect, Killed
from search_service.domain.metadata import Metadata
from search_service.filters.bitmaps import bitmap_of, ordinals_of
from search_service.filters.index import Frozen, MetadataIndex
from search_service.filters.index_file import save_index
from search_service.filters.spread import Spread
from search_service.priority import lower_priority
from search_service.shard.live.matches import Matches
from search_service.shard.metadata import filter_start
from search_service.shard.metadata.filter_log import FilterLog, Save
from search_service.shard.options import ShardOptions
from search_service.shard.refusals import closed, metadata_unreadable
from search_service.store.damage import StoreHealth
from search_service.store.schema import open_reader, read_meta

_log = logging.getLogger(__name__)

FILE = "filters.idx"
# Of the time, what saving may take in the background.
_DUTY = 0.05
# Changes by which the file lags behind, as a share of the items: that many are read
# again after a crash. A save costs the time of about a hundredth of all items.
_LAG, _LAG_AT_CLOSE = 0.05, 0.01

# Runs something in the writer's thread, in a transaction of its own.
RunErrand = Callable[
    [Callable[[apsw.Connection], "tuple[Save, Frozen]"]], "Future[tuple[Save, Frozen]]"
]


class FilterIndex:
    """Which live ordinals meet a filter.

    The writer holds `commit_lock` from before a commit until `apply` is done, and
    so does the loader around each read: what it has passed, the writer keeps in
    step; what is ahead of it, it will read as it is then. While a saved index is
    brought up to date, the writer says which ordinals it touches.
    """

    def __init__(
        self,
        directory: Path,
        store_name: str,
        uid: str,
        log: FilterLog,
        options: ShardOptions,
        health: StoreHealth,
    ) -> None:
        """Index the store of that name in `directory`, whose collection is `uid`."""
        self.commit_lock = threading.Lock()
        self._file = directory / FILE
        self._store_path = directory / store_name
        self._uid = uid
        self._log = log
        self._options = options
        self._health = health
        self._note_damage = health.reader_of("metadata")
        self._index = MetadataIndex()
        self._passed = 0
        self._touched = BitMap()
        self._changes = 0  # since the latest save
        self._loaded = False
        self._failed = False
        self._stop = threading.Event()
        self._waiting: list[Callable[[], None]] = []
        self._waiting_lock = threading.Lock()
        self._live = BitMap()
        self._run_errand: RunErrand | None = None
        self._thread = threading.Thread(target=self._run, name="filter-index", daemon=True)

    def start(self, live: I64, run_errand: RunErrand) -> None:
        """Begin, before the writer does; `live` are the ordinals in the store, int64 [n]."""
        self._live = bitmap_of(live)
        self._run_errand = run_errand
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

    def record(self, db: apsw.Connection, effects: Sequence[Effect]) -> None:
        """Note in the open transaction what a later start must know of a group."""
        self._log.record(db, effects)

    def apply(self, effects: Sequence[Effect]) -> None:
        """Follow a committed group; `commit_lock` is held."""
        self._changes += len(effects)
        for effect in effects:
            if not self._loaded and effect.ordinal > self._passed:
                self._touched.add(effect.ordinal)
                continue
            if isinstance(effect, Added):
                self._index.add(effect.ordinal, effect.metadata)
            elif isinstance(effect, Killed):
                self._index.remove(effect.ordinal, effect.metadata)
            else:
                self._index.remove(effect.ordinal, effect.before)
                self._index.add(effect.ordinal, effect.after)

    def prepare(self, filter: Filter) -> None:
        """Do what takes long of `matches`, and raise as it does, before a lock is taken."""
        self._check()
        self._index.prepare(filter)

    def matches(self, filter: Filter | None, upto: int, having: FieldPath | None = None) -> Matches:
        """Evaluate a filter over the live ordinals below `upto`; after `when_ready`.

        `having` leaves out items without that field.

        Raises:
            FilterInvalid: it passes a limit.
            Unavailable: the metadata could not be read.
        """
        found = self.meeting(filter)
        if having is not None:
            found &= self._index.present(having)
        ordinals = np.frombuffer(found.to_array(), dtype=np.uint32).astype(np.int64)
        ordinals = ordinals[: np.searchsorted(ordinals, upto)]  # vectors by a name may end before
        allowed = np.zeros(upto, dtype=np.bool_)
        allowed[ordinals] = True
        return Matches(ordinals, allowed)

    def meeting(self, filter: Filter | None) -> BitMap:
        """Return the live ordinals that meet a filter, as a new bitmap; raises as `matches`."""
        self._check()
        return self._index.all if filter is None else self._index.evaluate(filter)

    def holders(self, field: FieldPath, value: Scalar) -> I64:
        """Return the ordinals that hold `value`, int64 [n] ascending; after `when_ready`."""
        return ordinals_of(self._index.evaluate(Equals(field, value))).astype(np.int64)

    def values(self, field: FieldPath, most: int) -> list[Scalar] | None:
        """List the values of `field` over all items; None where there are more than `most`."""
        return self._index.values(field, most)

    def remarks(self, filter: Filter) -> list[str]:
        """See `remarks_on`; after `when_ready`."""
        return self._index.remarks(filter)

    def spread(self, field: FieldPath, ordinals: I64) -> Spread:
        """Say which values of `field` live items hold; raises as `matches`."""
        self._check()
        return self._index.spread(field, bitmap_of(ordinals))

    def close(self) -> None:
        """Stop reading and save, before the writer stops; who waits is called."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        if self._lags(_LAG_AT_CLOSE):
            self._save()
        self._finish(failed=not self._loaded)

    def _check(self) -> None:
        if self._stop.is_set():
            raise closed()
        if self._failed:
            raise metadata_unreadable()

    def _run(self) -> None:
        try:
            with closing(open_reader(self._store_path, self._options.vfs)) as db:
                self._load(db)
        except (apsw.Error, orjson.JSONDecodeError):
            _log.exception("the metadata index cannot be loaded")
        self._finish(failed=not self._loaded)
        lower_priority()
        wait_s = self._options.filters_save_s
        while self._loaded and not self._stop.wait(wait_s):
            if self._lags(_LAG):
                begun_s = time.monotonic()
                self._save()
                took_s = time.monotonic() - begun_s
                wait_s = max(self._options.filters_save_s, took_s / _DUTY)

    def _load(self, db: apsw.Connection) -> None:
        saved = filter_start.read_saved(self._file, db, self._uid, self._live)
        if saved is not None:
            self._take(db, saved)
        while not self._stop.is_set():
            with self.commit_lock:
                upto = int(read_meta(db, "next_ordinal")) - 1
                before = len(self._index)
                self._passed = filter_start.read_some(
                    db, self._index, self._note_damage, after=self._passed, upto=upto
                )
                self._changes += len(self._index) - before
                if self._passed >= upto:
                    self._loaded = True
                    break
            self._stop.wait(0.001)  # a lock is not fair: let the writer in

    def _take(self, db: apsw.Connection, saved: filter_start.Saved) -> None:
        """Bring a saved index up to date and go on from it.

        What is touched while it is read is read again, until little is left.
        """
        stale = saved.stale
        while not self._stop.is_set():
            with self.commit_lock:
                stale |= self._touched & saved.covered
                self._touched = BitMap()
                self._changes += len(stale)
                if len(stale) <= filter_start.ROWS_PER_READ:
                    filter_start.refresh(db, saved.index, stale, self._note_damage)
                    self._index = saved.index
                    self._passed = saved.save.next_ordinal - 1
                    self._log.saved = saved.save.token
                    return
            filter_start.refresh(db, saved.index, stale, self._note_damage, self._stop)
            stale = BitMap()

    def _lags(self, share: float) -> bool:
        """Whether the file is so far behind that it should be written anew."""
        items = len(self._index)
        if items < self._options.filters_save_items:
            if self._changes > 2 * items or (self._changes > 0 and self._is_old()):
                self._withdraw()
            return False
        if self._health.damage:  # nothing is written, and what the index lacks must not stay
            return False
        behind = self._changes > share * items or (self._changes > 0 and self._is_old())
        return self._loaded and behind

    def _withdraw(self) -> None:
        """Remove the file of more items than there are now, deleted ones among them."""
        if self._loaded and self._file.exists():
            self._log.saved = ""
            self._file.unlink(missing_ok=True)

    def _is_old(self) -> bool:
        """Whether what was deleted has been in the file for long enough."""
        after_s = self._options.erase_after_s
        try:
            return bool(after_s) and time.time() - self._file.stat().st_mtime > after_s
        except FileNotFoundError:
            return False

    def _save(self) -> None:
        """Save the index of one moment; the writer waits while it is copied."""
        assert self._run_errand is not None, "started"
        try:
            save, frozen = self._run_errand(self._freeze).result()
            save_index(frozen, self._file, collection_uid=self._uid, token=save.token)
        except (LookalikeError, OSError) as error:
            _log.warning("the metadata index is not saved: %s", error)
        else:
            self._log.saved = save.token

    def _freeze(self, db: apsw.Connection) -> tuple[Save, Frozen]:
        save = self._log.begin(db)
        self._changes = 0
        return save, self._index.frozen_copy()

    def _finish(self, *, failed: bool) -> None:
        with self._waiting_lock:
            self._failed = failed
            waiting, self._waiting = self._waiting, []
        for call in waiting:
            call()
