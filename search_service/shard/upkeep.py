"""Keeps the segments up with the store: starts builds, adopts what they made."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from pathlib import Path

import numpy as np

from search_service.domain.collection import CollectionSpec
from search_service.segments.api import BuildJob, BuildResult, SegmentSource
from search_service.segments.building.planning import LEAST_GRAPH_VECTORS
from search_service.segments.errors import BuildFailed, SegmentDamaged
from search_service.shard.dead_rows import dead_share, keeps_deleted
from search_service.shard.live.memory import Memory
from search_service.shard.live.sealed import Sealed
from search_service.shard.options import ShardOptions
from search_service.store.damage import StoreHealth
from search_service.store.items import ItemReader

_log = logging.getLogger(__name__)

# How often it is looked at whether a build is due; also how long a segment that
# nothing reads any more stays on the disk.
LOOK_EVERY_S = 0.5
# A build leaves up to 10,000 vectors without a graph, where a scan is as fast;
# more than that were sealed beside it. With nothing else to do, 10,000 are enough.
MOST_WITHOUT_GRAPH = 2 * LEAST_GRAPH_VECTORS
# A head in the compact form of the segments is read faster, so more of it may wait:
# each vector that joins the base at once is inserted into one graph instead of two.
CODED_HEAD_FACTOR = 2


class SegmentUpkeep:
    """One thread that watches the head and runs one build at a time."""

    def __init__(
        self,
        memory: Memory,
        source: SegmentSource,
        reader: ItemReader,
        *,
        store_path: Path,
        segments_path: Path,
        spec: Callable[[], CollectionSpec],
        options: ShardOptions,
        health: StoreHealth,
        space: int = 0,
    ) -> None:
        """`space` is the number of the name whose vectors these are."""
        self._memory = memory
        self._source = source
        self._reader, self._space = reader, space
        self._store_path = store_path
        self._segments_path = segments_path
        self._spec = spec
        self._options = options
        self._health = health
        self._stop = threading.Event()
        self._heal_lock = threading.Lock()
        self._wish = threading.Event()
        self._wake = threading.Event()
        self._retry_after_s = 0.0
        self._retry_delay_s = options.build_retry_s
        self._head_seen = (0, time.monotonic())
        self._needs_rebuild = False
        self.builds = 0
        self.failures = 0
        self.build_s = 0.0
        self.last_error = ""
        self.building = False
        self._thread = threading.Thread(target=self._run, name="shard-upkeep", daemon=True)

    def open_segments(self) -> None:
        """Put into memory what is on the disk and whole, before `start`."""
        segments, problems = self._source.open_current()
        for problem in problems:
            _log.warning("a segment is left out and will be rebuilt: %s", problem)
        if problems:
            self.last_error = "; ".join(problems)
            self._needs_rebuild = True
        self._memory.adopt([Sealed(segment) for segment in segments], covered_upto=0)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def build_now(self) -> None:
        """Index what is in the head soon, whatever its size."""
        self._wish.set()
        self._wake.set()

    def heal(self) -> None:
        """Search the vectors of damaged segments in the head instead."""
        with self._heal_lock:
            for sealed in self._memory.sealed:
                damage = sealed.segment.damage
                if damage is None:
                    continue
                _log.error("a segment is damaged and will be rebuilt: %s", damage)
                self.last_error = damage
                self._needs_rebuild = True
                self._dissolve(sealed)

    def _dissolve(self, sealed: Sealed) -> None:
        """Have the head hold what is left of a segment."""
        ordinals, vectors = self._reader.vectors(np.sort(sealed.ordinals), self._space)
        if not len(ordinals):
            vectors = np.empty((0, self._spec().dimension), dtype=np.float32)
        self._memory.readmit(sealed, ordinals, vectors)
        self._source.discard(sealed.segment.path)

    def close(self) -> None:
        """End a running build and let go of the segments; after all readers."""
        self._stop.set()
        self._wake.set()
        self._source.close()
        if self._thread.ident is not None:
            self._thread.join()
        self._memory.adopt([], covered_upto=0)
        for sealed in self._memory.take_retired():
            sealed.segment.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(LOOK_EVERY_S)
            self._wake.clear()
            try:
                self._look()
            except Exception as error:  # noqa: BLE001 - without this thread the head fills up
                _log.exception("the upkeep of segments failed")
                self._note_failure(error)

    def _look(self) -> None:
        self._release()
        if any(sealed.segment.damage for sealed in self._memory.sealed):
            self.heal()
        if self._is_left_by_most():
            with self._heal_lock:
                for sealed in self._memory.sealed:
                    self._dissolve(sealed)
        if not self._stop.is_set() and self._is_due():
            self._build_all()

    def _is_left_by_most(self) -> bool:
        """Whether so few vectors are left that a fresh collection of them had no segment."""
        few = self._memory.vectors <= min(LEAST_GRAPH_VECTORS, self._options.head_limit) // 2
        if not few or self._health.damage:
            return False
        return dead_share(self._memory) > max(0.5, self._options.max_dead_share)

    def _is_due(self) -> bool:
        now_s = time.monotonic()
        unindexed = len(self._memory.head)
        if unindexed != self._head_seen[0]:
            self._head_seen = (unindexed, now_s)
        # A segment of what a damaged store still gives would leave out the rest for good.
        if now_s < self._retry_after_s or self._health.damage:
            return False
        idle = now_s - self._head_seen[1] >= self._options.idle_build_s
        flat = self._flat()
        return (
            self._wish.is_set()
            or self._needs_rebuild
            or unindexed > self._most_in_head()
            or flat > MOST_WITHOUT_GRAPH
            or (idle and flat >= LEAST_GRAPH_VECTORS)
            or (
                idle and bool(self._memory.sealed) and unindexed >= self._options.idle_build_vectors
            )
            or dead_share(self._memory) > self._options.max_dead_share
            or keeps_deleted(self._memory, self._options.erase_after_s)
        )

    def _most_in_head(self) -> int:
        """Return how many vectors may wait in the head before a build starts."""
        limit = self._options.head_limit
        if self._memory.head.codec is None:
            return limit
        # Writes must not be refused before one has started.
        return max(limit, min(CODED_HEAD_FACTOR * limit, self._options.unindexed_limit // 2))

    def _flat(self) -> int:
        """Count live vectors in segments without a graph."""
        with self._memory.view() as live:
            flat = [one.ordinals for one in live.sealed if not one.segment.has_graph]
            return sum(int(np.count_nonzero(live.alive(ordinals))) for ordinals in flat)

    def _build_all(self) -> None:
        """Index everything; the head is sealed first, which is quick.

        A build over what is sealed leaves the head to further seals beside it. One
        that took the head along would share a range with the first of them, and fail.
        """
        self._wish.clear()
        self._needs_rebuild = False
        erase = keeps_deleted(self._memory, self._options.erase_after_s)
        self.building = True
        began_s = time.monotonic()
        try:
            upto = self._memory.newest_ordinal
            if len(self._memory.head):
                self._run_job(upto, seal_only=True)
            self._run_job(upto, seal_only=False, erase=erase)
        except (BuildFailed, SegmentDamaged, CancelledError, OSError) as error:
            self._health.suspected.set()
            self._note_failure(error)
        else:
            self.builds += 1
            self.last_error = ""
            self._retry_delay_s = self._options.build_retry_s
        finally:
            self.building = False
            self.build_s += time.monotonic() - began_s

    def _run_job(
        self, upto_ordinal: int, *, seal_only: bool, hurried: bool = False, erase: bool = False
    ) -> None:
        spec = self._spec()
        job = BuildJob(
            store_path=self._store_path,
            segments_path=self._segments_path,
            uid=spec.uid,
            dimension=spec.dimension,
            fingerprint=spec.model_fingerprint,
            settings=spec.index,
            upto_ordinal=upto_ordinal,
            threads=self._options.build_threads,
            seal_only=seal_only,
            hurried=hurried,
            erase=erase,
            space=self._space,
        )
        self._adopt(self._wait(self._source.build(job), may_seal=not seal_only))

    def _wait(self, future: Future[BuildResult], *, may_seal: bool) -> BuildResult:
        """Wait for a build; what comes up meanwhile is dealt with."""
        while True:
            try:
                return future.result(timeout=LOOK_EVERY_S)
            except TimeoutError:
                if future.done():
                    continue
                self._release()
                if any(sealed.segment.damage for sealed in self._memory.sealed):
                    self.heal()
                if may_seal and len(self._memory.head) > 2 * self._options.head_limit:
                    newest = self._memory.newest_ordinal
                    self._run_job(newest, seal_only=True, hurried=True)

    def _adopt(self, result: BuildResult) -> None:
        open_now = {sealed.segment.path: sealed for sealed in self._memory.sealed}
        chosen: list[Sealed] = []
        for path in result.paths:
            sealed = open_now.get(path)
            chosen.append(sealed or Sealed(self._source.open(path)))
        # A seal beside a build can be published after it and adopted before it:
        # its rows have left the head already.
        chosen += [
            sealed
            for path, sealed in open_now.items()
            if path not in result.paths
            and len(sealed.ordinals)
            and int(sealed.ordinals.min()) > result.upto_ordinal
        ]
        with self._heal_lock, self._memory.lock:
            missing = self._memory.not_in(chosen, result.upto_ordinal)
            missing = np.union1d(missing, self._memory.nowhere_in(chosen))
            if len(missing):
                raise BuildFailed(f"{len(missing)} live vectors are not in the new segments")
            self._memory.adopt(chosen, covered_upto=result.upto_ordinal)
        self._release()

    def _release(self) -> None:
        self._memory.forget_dead()
        for sealed in self._memory.released():
            sealed.segment.close()
            self._source.remove(sealed.segment.path)

    def _note_failure(self, error: BaseException) -> None:
        if self._stop.is_set():
            return
        _log.error("the build failed and is tried again in %.0f s: %s", self._retry_delay_s, error)
        self.failures += 1
        self.last_error = str(error)
        self._needs_rebuild = True
        self._retry_after_s = time.monotonic() + self._retry_delay_s
        self._retry_delay_s = min(2 * self._retry_delay_s, self._options.max_build_retry_s)
