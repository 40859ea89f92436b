"""The one thread that writes: groups what waits into a commit, then shows it.

A future is resolved when its group is on the disk (the commit's fsync is done)
and visible to search. After an error of the disk nothing is tried again, since a
later fsync may succeed without what the failed one lost: the shard has failed,
acknowledges nothing more, and `on_fatal` is to stop the process. A full disk is
no such error: the group is rolled back and only its deletions are made.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from typing import TypeVar

import apsw

from lookalike.wire.errors import Exhausted, LookalikeError, Reason
from search_service.domain.collection import CollectionSpec, DuplicatePolicy
from search_service.domain.mutations import Mutation, MutationOutcome
from search_service.segments.errors import SegmentDamaged
from search_service.shard.live.memory import Memory
from search_service.shard.metadata.filter_index import FilterIndex
from search_service.shard.options import ShardOptions
from search_service.shard.refusals import closed, disk_full, failed, says_full
from search_service.shard.search.scan_pool import ScanPool
from search_service.shard.writing.applying import MutationBatch
from search_service.shard.writing.commit_clock import CommitClock
from search_service.shard.writing.duplicates import DuplicateFinder
from search_service.shard.writing.tidying import Tidying
from search_service.shard.writing.versions import Versions
from search_service.shard.writing.write_queue import (
    Choice,
    Errand,
    Submission,
    Work,
    WriteQueue,
    mutation_bytes,
    resolve,
)
from search_service.store.ballast import Ballast
from search_service.store.damage import StoreHealth, is_damage, unwritable
from search_service.store.row_batch import RowBatch
from search_service.store.schema import read_meta, write_meta
from search_service.store.sequencer import Sequencer
from search_service.store.wal import Wal

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Writer:
    """Owns the writing connection; any thread may call the public methods."""

    def __init__(
        self,
        db: apsw.Connection,
        *,
        spec: Callable[[], CollectionSpec],
        memory: Memory,
        named: Sequence[Memory],
        filters: FilterIndex,
        changed: Callable[[Sequence[str]], None],
        sequencer: Sequencer,
        ballast: Ballast,
        options: ShardOptions,
        pool: ScanPool,
        heal: Callable[[], None],
        health: StoreHealth,
        on_fatal: Callable[[], None],
    ) -> None:
        """`heal` takes damaged segments out of memory; `named` are those of vectors by name;
        `changed` is told ids once committed."""
        self._db = db
        self._spec = spec
        self._memory, self._named = memory, named
        self._filters = filters
        self._changed = changed
        self.versions = Versions(db, sequencer)
        self._ballast = ballast
        self._options = options
        self._pool = pool
        self._heal = heal
        self._health = health
        self._on_fatal = on_fatal
        self._next_ordinal = int(read_meta(db, "next_ordinal"))
        self._wal = Wal(db, options.checkpoint_pages)
        versions_upto = int(read_meta(db, "versions_upto"))
        self._tidying = Tidying(db, self._wal, ballast, options, versions_upto)
        self._queue = WriteQueue(options)
        self.clock = CommitClock()
        self._thread = threading.Thread(target=self._run, name="shard-writer", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def submit(
        self, mutations: Sequence[Mutation] | Callable[[], Sequence[Mutation]]
    ) -> Future[list[MutationOutcome]]:
        """Queue mutations, or what chooses them in this thread when their turn comes."""
        future: Future[list[MutationOutcome]] = Future()
        if self._health.damage:
            future.set_exception(unwritable())
            return future
        if callable(mutations):
            self._queue.put(Choice(mutations, future))
            return future
        self._queue.put(Submission(mutations, future, mutation_bytes(mutations)))
        return future

    def run(self, errand: Callable[[apsw.Connection], T]) -> Future[T]:
        """Queue something else to do in a transaction."""
        future: Future[T] = Future()
        if self._health.damage:
            future.set_exception(unwritable())
            return future
        self._queue.put(Errand(errand, future))
        return future

    def reserve_versions(self, count: int) -> range:
        """Hand out versions, after a commit where the bound has to be raised.

        Raises:
            StoreDamaged: nothing is written any more.
        """
        if self._health.damage:
            raise unwritable()
        return self.versions.reserve(count, self.run)

    def stop(self) -> None:
        """Write what waits, then end."""
        self._queue.end(closed, drop=False)
        if self._thread.ident is not None:
            self._thread.join()

    def close(self) -> None:
        """Close the store: after all readers, so that its log is folded in."""
        if self._health.damage:
            self._leave_log()
        try:
            self._db.close()
        except apsw.Error as error:
            _log.warning("the store was not closed cleanly and is replayed when opened: %s", error)

    def _run(self) -> None:
        while (work := self._queue.take(self._tidying.idle_s)) is not None:
            work = [one for one in work if one.future.set_running_or_notify_cancel()]
            try:
                self._do(work)
            except Exception:  # noqa: BLE001 - whatever it is, callers must hear of it
                _log.exception("the store failed; nothing more is acknowledged")
                self._fail(work)
                return

    def _do(self, work: list[Work]) -> None:
        if not work:
            self._checkpoint(self._tidying.tidy)
            return
        if isinstance(work[0], Errand):
            self._run_errand(work[0])
        elif isinstance(work[0], Choice):
            chosen = work[0].submission()
            self._write_group([] if chosen is None else [chosen])
        else:
            self._write_group([one for one in work if isinstance(one, Submission)])
        self._checkpoint(self._wal.fold_if_due)
        if self._tidying.overdue:
            self._checkpoint(self._tidying.tidy)

    def _run_errand(self, errand: Errand) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            result = errand.run(self._db)
            self._db.execute("COMMIT")
        except apsw.Error as error:
            errand.future.set_exception(self._roll_back(error))
            return
        errand.future.set_result(result)

    def _write_group(self, submissions: list[Submission]) -> None:
        if not submissions:
            return
        self._ballast.regain()
        mutations = [each for one in submissions for each in one.mutations]
        outcomes: list[MutationOutcome] | None = None
        refusal: LookalikeError = disk_full()
        try:
            outcomes = self._commit_whole(mutations)
        except apsw.Error as error:
            refusal = self._roll_back(error)
            if refusal.reason is Reason.DISK_FULL:
                outcomes = self._commit_deletes(mutations)
        resolve(submissions, outcomes, refusal)

    def _commit_whole(self, mutations: list[Mutation]) -> list[MutationOutcome]:
        while True:
            try:
                return self._commit(mutations, disk_full() if self._ballast.full else None)
            except SegmentDamaged:
                self._db.execute("ROLLBACK")
                self._heal()

    def _commit_deletes(self, mutations: list[Mutation]) -> list[MutationOutcome] | None:
        """Make the deletions of a group that did not fit; None: not even they fit."""
        self._ballast.give_up()
        try:
            self._wal.fold()
            return self._commit(mutations, disk_full())
        except apsw.Error as error:
            self._roll_back(error)
            return None

    def _commit(
        self, mutations: list[Mutation], refusal: Exhausted | None
    ) -> list[MutationOutcome]:
        versions = self.versions.assign(mutations)
        with ExitStack() as held:
            self._db.execute("BEGIN IMMEDIATE")
            ids = [mutation.id for mutation in mutations]
            batch = RowBatch(self._db, ids, self._spec().names)
            group = self._new_group(batch, mutations, refusal, held)
            outcomes = [
                group.apply(index, mutation, version)
                for index, (mutation, version) in enumerate(zip(mutations, versions, strict=True))
            ]
            batch.flush(time.time_ns() // 1_000)
            if group.next_ordinal != self._next_ordinal:
                write_meta(self._db, "next_ordinal", group.next_ordinal)
            self._filters.record(self._db, group.effects)
            held.enter_context(self._filters.commit_lock)
            self.clock.time(lambda: self._db.execute("COMMIT"))
            self._next_ordinal = group.next_ordinal
            self._changed(ids)
            group.show(self._memory, self._named, self._filters)
        newest = max(versions, default=0)
        self._tidying.note(newest=newest, erased=group.erased, left=self._memory.items)
        return outcomes

    def _new_group(
        self, batch: RowBatch, mutations: list[Mutation], refusal: Exhausted | None, held: ExitStack
    ) -> MutationBatch:
        spec = self._spec()
        finder = None
        if spec.duplicates.policy is not DuplicatePolicy.OFF and refusal is None:
            finder = DuplicateFinder(
                held.enter_context(self._memory.view()),
                mutations,
                spec=spec,
                filters=self._filters,
                pool=self._pool,
            )
        return MutationBatch(
            batch,
            dimension=spec.dimension,
            policy=spec.duplicates.policy,
            finder=finder,
            admit=self._filters.admit,
            next_ordinal=self._next_ordinal,
            refuse_upserts=refusal,
            names=spec.vectors,
        )

    def _roll_back(self, error: apsw.Error) -> LookalikeError:
        """Undo the open transaction after a full disk or damage, and return what to say;
        raise any other error again."""
        if says_full(error):
            _log.warning("the disk is full: upserts are refused until there is room")
        elif is_damage(error):
            self._health.note(error, "met while items were written")
        else:
            raise error
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        return disk_full() if says_full(error) else unwritable()

    def _checkpoint(self, checkpoint: Callable[[], object]) -> None:
        if self._health.damage:
            return  # the log is the last whole copy of what it holds
        try:
            checkpoint()
        except apsw.Error as error:
            self._roll_back(error)

    def _fail(self, work: list[Work]) -> None:
        self._queue.end(failed, drop=True)
        # Closing would otherwise fsync again, and say that all is well.
        self._leave_log()
        for one in work:
            if not one.future.done():
                one.future.set_exception(failed())
        self._on_fatal()

    def _leave_log(self) -> None:
        self._db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
