"""Watches the live queries of every collection; searches only put them in a line."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lookalike.wire.errors import Exhausted, LookalikeError, Reason
from search_service.catalog.catalog import Catalog
from search_service.catalog.collection import Collection
from search_service.domain.queries import QueryOutcome, QueryRequest
from search_service.drift import files
from search_service.drift.monitor import Alarm, DriftState, Monitor, Sample
from search_service.drift.view import DriftView, view_of
from search_service.metrics import SearchMetrics

_log = logging.getLogger(__name__)

# Of 2,048 components: 8 MiB.
_MOST_WAITING = 1_024
# Of a request with more queries so many are taken, at random, while others wait.
_MOST_PER_REQUEST = 16
_PER_STEP = 64
# The share of one processor's time that watching may take: 0.12 ms a query were measured
# at 512 components and 0.17 at 1,280, so that some 100 a second are watched, and more are sampled.
_DUTY = 0.02
_SAVE_EVERY_S = 30.0
_TENTH = 10


@dataclass(frozen=True, slots=True)
class _Waiting:
    collection: Collection
    sample: Sample


class DriftWatcher:
    """Keeps a monitor for each collection; `offer` and the rest are used on the event loop.

    `offer` never waits: past a bound queries are dropped and counted.
    """

    def __init__(
        self,
        catalog: Catalog,
        metrics: SearchMetrics,
        *,
        share: float,
        mean_queries: float,
        seed: int | None = None,
    ) -> None:
        """Watch a `share` of the queries; a false alarm takes `mean_queries` or more."""
        self._catalog = catalog
        self._metrics = metrics
        self._share = share
        self._mean_queries = mean_queries
        # Not for secrets: which queries are sampled is no secret.
        self._random = random.Random(seed)  # noqa: S311
        self._waiting: asyncio.Queue[_Waiting] = asyncio.Queue(_MOST_WAITING)
        self._monitors: dict[str, Monitor] = {}
        self._changed: set[str] = set()
        # A monitor is used by one thread at a time.
        self._turn = threading.Lock()

    def offer(
        self,
        collection: Collection,
        request: QueryRequest,
        outcomes: Sequence[QueryOutcome],
        new: Sequence[int],
    ) -> None:
        """Perhaps take queries of an answered request; `new` are the places of those that
        are vectors or images, rather than stored items."""
        if not self._is_on or not new:
            return
        if len(new) > _MOST_PER_REQUEST and not self._waiting.empty():
            new = self._random.sample(new, _MOST_PER_REQUEST)
        # Scores of queries that see but a part of the collection are others.
        whole = not (
            request.filter is not None
            or request.group_by is not None
            or request.min_score is not None
            or request.reranked
        )
        for place in new:
            if self._share < 1.0 and self._random.random() >= self._share:
                continue
            hits = outcomes[place].hits if whole else ()
            sample = Sample(
                vector=request.vectors[place].copy(),
                top_score=hits[0].score if hits else math.nan,
                tenth_score=hits[_TENTH - 1].score if len(hits) >= _TENTH else math.nan,
                items=outcomes[place].plan.items,
                time_s=time.time(),
            )
            try:
                self._waiting.put_nowait(_Waiting(collection, sample))
            except asyncio.QueueFull:
                self._metrics.drift_dropped.inc()

    @property
    def _is_on(self) -> bool:
        return self._share > 0.0

    async def run(self) -> None:
        """Work on queries until cancelled; then call `close`."""
        saved_s = time.monotonic()
        while True:
            taken = await self._take(_SAVE_EVERY_S if self._changed else None)
            started_s = time.monotonic()
            await asyncio.to_thread(self._watch, taken)
            if self._changed and started_s - saved_s >= _SAVE_EVERY_S:
                await asyncio.to_thread(self.close)
                saved_s = time.monotonic()
            await asyncio.sleep((time.monotonic() - started_s) / _DUTY)

    async def _take(self, wait_s: float | None) -> list[_Waiting]:
        try:
            # Not `wait_for`: in Python 3.11 it loses a cancellation that comes with a query.
            async with asyncio.timeout(wait_s):
                first = await self._waiting.get()
        except TimeoutError:
            return []
        return [first, *self._at_hand(_PER_STEP - 1)]

    def _at_hand(self, most: int) -> list[_Waiting]:
        taken: list[_Waiting] = []
        while len(taken) < most and not self._waiting.empty():
            taken.append(self._waiting.get_nowait())
        return taken

    async def look(self, collection: Collection) -> DriftView:
        """Say what is known of the queries of a collection, those that wait included.

        Raises:
            Unavailable, StoreDamaged: the collection could not be opened.
        """
        return await asyncio.to_thread(self._look, collection, self._at_hand(_MOST_WAITING))

    async def reset(self, collection: Collection, *, keep_reference: bool) -> DriftView:
        """End the alarm of a collection; learn a new reference unless it is to be kept.

        Raises:
            Unavailable, StoreDamaged: the collection could not be opened.
            Exhausted: the disk is full.
        """
        taken = self._at_hand(_MOST_WAITING)
        return await asyncio.to_thread(self._reset, collection, taken, keep_reference)

    def close(self) -> None:
        """Write what was learnt since the last time; may be called from any thread."""
        with self._turn:
            for uid in sorted(self._changed):
                path = self._path(uid)
                if not path.parent.is_dir():  # deleted meanwhile
                    self._monitors.pop(uid, None)
                    continue
                try:
                    files.save(path, self._monitors[uid])
                except OSError as error:
                    _log.warning("%s cannot be written: %s", path, error.strerror)
            self._changed.clear()

    def _look(self, collection: Collection, taken: Sequence[_Waiting]) -> DriftView:
        self._watch(taken)
        with self._turn:
            return view_of(self._monitor(collection), is_on=self._is_on)

    def _reset(
        self, collection: Collection, taken: Sequence[_Waiting], keep_reference: bool
    ) -> DriftView:
        self._watch(taken)
        with self._turn:
            monitor = self._monitor(collection)
            monitor.reset(keep_reference=keep_reference)
            try:
                files.save(self._path(collection.uid), monitor)
            except OSError as error:
                raise Exhausted(
                    f"the reset cannot be written to the disk: {error.strerror}",
                    reason=Reason.DISK_FULL,
                    retry_delay_s=5.0,
                ) from error
            self._publish(collection, monitor)
            return view_of(monitor, is_on=self._is_on)

    def _watch(self, taken: Sequence[_Waiting]) -> None:
        with self._turn:
            there: dict[str, Collection] = {}
            for each in taken:
                collection = each.collection
                try:
                    monitor = self._monitor(collection)
                except LookalikeError as error:
                    _log.debug("a query is not watched", extra={"reason": error.reason.name})
                    continue
                if not self._path(collection.uid).parent.is_dir():  # deleted meanwhile
                    self._monitors.pop(collection.uid)
                    self._changed.discard(collection.uid)
                    there.pop(collection.uid, None)
                    continue
                there[collection.uid] = collection
                self._changed.add(collection.uid)
                alarm = monitor.add(each.sample)
                if alarm is not None:
                    _tell(collection, alarm)
            for uid, collection in there.items():
                self._publish(collection, self._monitors[uid])

    def _monitor(self, collection: Collection) -> Monitor:
        spec = collection.shard.spec
        monitor = self._monitors.get(collection.uid)
        if monitor is None or monitor.fingerprint != spec.model_fingerprint:
            path = self._path(collection.uid)
            monitor = files.load(path, spec.model_fingerprint, spec.dimension, self._mean_queries)
            self._monitors[collection.uid] = monitor
        return monitor

    def _publish(self, collection: Collection, monitor: Monitor) -> None:
        self._metrics.set_drift(
            collection.name,
            drifted=monitor.state is DriftState.DRIFTED,
            evidence=float(monitor.evidence.max()),
            queries=monitor.queries,
        )

    def _path(self, uid: str) -> Path:
        return self._catalog.directory(uid) / files.FILE


def _tell(collection: Collection, alarm: Alarm) -> None:
    _log.warning(
        "the queries of a collection are no longer what they were: another model, another "
        "way of preparing pictures, or other pictures",
        extra={
            "event": "drift",
            "collection": collection.name,
            "measures": ", ".join(alarm.measures),
            "queries": alarm.queries,
        },
    )
