"""A replica: a shard that follows its partition's log.

One thread opens or fetches the shard and then applies the log, entry by entry in order;
another takes snapshots. Whoever asks for what is not there yet waits on `progress`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from lookalike.wire.errors import LookalikeError, Reason, Unavailable
from search_service.catalog.shards import Shards
from search_service.cluster.entries import decode_mutation
from search_service.cluster.log import CollectionLog, Entry
from search_service.cluster.progress import Progress
from search_service.cluster.recovery import ReplicaDirectory
from search_service.cluster.snapshotting import SnapshotTaker, keep_snapshots
from search_service.cluster.status import ReplicaState, ReplicaStatus
from search_service.cluster.storage import SnapshotStorage
from search_service.domain.collection import CollectionSpec, SettingsChange
from search_service.domain.mutations import Mutation, MutationOutcome
from search_service.shard.shard import Shard

_log = logging.getLogger(__name__)

# Entries read at a time: with vectors of 2 KB half a megabyte, with the largest
# thumbnails 64 MB.
_READ_ENTRIES = 256
_READ_WAIT_S = 1.0
# The position is stored so often: what was applied since is applied again, without effect.
_NOTE_EVERY_S = 1.0
_RETRY_S = 0.25
_LOOK_FOR_SNAPSHOTS_S = 1.0


class Replica:
    """One copy of a partition; any thread may call the public methods."""

    def __init__(
        self,
        spec: CollectionSpec,
        partition: int,
        number: int,
        *,
        root: Path,
        node: str,
        shards: Shards,
        log: CollectionLog,
        storage: SnapshotStorage,
        snapshot_entries: int,
    ) -> None:
        self._spec = spec
        self._partition = partition
        self._number = number
        self._node = node
        self._shards = shards
        self._log = log
        self._storage = storage
        self._directory = ReplicaDirectory(root, spec, partition, number)
        self._stop = threading.Event()
        self._shard: Shard | None = None
        self.progress = Progress()
        self._state = ReplicaState.RECOVERING
        self._trouble = "it opens its store"
        self._noted_s = 0.0
        snapshots = SnapshotTaker(
            *(log, storage, partition, snapshot_entries, self._directory, self._stop),
            served=self._served,
        )
        self._threads = [
            threading.Thread(target=self._run, name="replica", daemon=True),
            threading.Thread(
                target=keep_snapshots, args=(snapshots,), name="replica-snapshots", daemon=True
            ),
        ]

    def start(self) -> None:
        """Begin to recover, then to follow the log."""
        for thread in self._threads:
            thread.start()

    def stop(self, *, remove: bool = False) -> None:
        """End; with `remove` nothing stays on the disk."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self.progress.end()
        if remove:
            self._directory.remove()

    @property
    def shard(self) -> Shard:
        """The shard.

        Raises:
            Unavailable: it is not open yet.
        """
        shard = self._shard
        if shard is None or self._state is not ReplicaState.SERVING:
            raise _away(self._trouble)
        return shard

    @property
    def state(self) -> ReplicaState:
        """What it does."""
        return self._state

    def status(self) -> ReplicaStatus:
        """Say how the replica is; its lag is for who knows the log."""
        shard = self._shard
        items = 0 if shard is None else shard.count(None)
        return ReplicaStatus(
            self._number, self._state, self._node, self.progress.position, 0, items, self._trouble
        )

    def look_up(self, position: int) -> int:
        """Return the last entry of the partition at or before `position`, as far as one is.

        Positions are of the whole collection: the partition may have none near it.

        Raises:
            Unavailable: the log is away.
        """
        return min(position, self._log.state(self._partition).last)

    def _run(self) -> None:
        try:
            self._directory.acquire(self._stop)
            try:
                self._follow()
            finally:
                if self._shard is not None:
                    self._shard.close()
                self._directory.release()
        except Exception as error:  # noqa: BLE001 - told by `status`; its process is to end
            _log.exception("the replica fails")
            self._state = ReplicaState.FAILED
            self._trouble = f"it failed: {type(error).__name__}"

    def _follow(self) -> None:
        self._open(self._directory.open(self._shards))
        while not self._stop.is_set():
            try:
                self._follow_a_while()
            except Unavailable as error:
                # It goes on to answer what it has.
                _log.warning("the log is away: %s", error.message)
                self._stop.wait(_RETRY_S)

    def _follow_a_while(self) -> None:
        entries = self._log.read(
            self._partition, self.progress.position, _READ_ENTRIES, _READ_WAIT_S
        )
        if entries and entries[0].before > self.progress.position:
            self._mend_gap(entries[0].before)
        elif entries:
            self._apply(_before_gap(entries))
        elif self._state is not ReplicaState.SERVING:
            # What was trimmed whole has no entry to tell of it.
            last = self._log.state(self._partition).last
            if last > self.progress.position:
                self._mend_gap(last)
            else:
                self._serve()
        self._note_position()

    def _open(self, shard: Shard | None) -> None:
        shard = shard or self._directory.create(self._shards)
        wanted = self._spec.index.expansion_search
        if shard.spec.index.expansion_search != wanted:
            shard.update_settings(SettingsChange(expansion_search=wanted))
        self._shard = shard
        self.progress.advance(shard.log_position.value)

    def _mend_gap(self, least: int) -> None:
        """Fetch a snapshot that has reached `least`; ask for one where there is none."""
        self._state = ReplicaState.RECOVERING
        self._trouble = "it lacks entries that the log has no more, and needs a newer snapshot"
        try:
            stored = self._storage.newest(self._partition)
            if stored is None or stored.position < least:
                self._log.ask_for_snapshot(self._partition, least)
                self._stop.wait(_LOOK_FOR_SNAPSHOTS_S)
                return
            self._trouble = "it fetches a snapshot"
            if self._shard is not None:
                self._shard.close()
                self._shard = None
            self._open(self._directory.fetch(self._shards, self._storage, stored, self._stop))
        except LookalikeError as error:
            _log.warning("a snapshot cannot be fetched: %s", error.message)
            self._trouble = f"it cannot fetch a snapshot: {error.message}"
            self._stop.wait(_LOOK_FOR_SNAPSHOTS_S)

    def _apply(self, entries: Sequence[Entry]) -> None:
        shard = self._shard
        assert shard is not None, "it is open before the log is read"
        mutations = [decode_mutation(entry.data, entry.position) for entry in entries]
        outcomes = self._submit(shard, mutations)
        if outcomes is None:
            return
        self.progress.note_outcomes([entry.position for entry in entries], outcomes)
        if len(entries) < _READ_ENTRIES:
            self._serve()
        elif self._state is ReplicaState.SERVING:
            self._trouble = ""
        self.progress.advance(entries[-1].position)

    def _submit(self, shard: Shard, mutations: Sequence[Mutation]) -> list[MutationOutcome] | None:
        """Apply mutations, again and again where the node cannot, as with a full disk.

        Other replicas go on meanwhile. What was applied is applied again without effect.
        None: told to stop.
        """
        while not self._stop.is_set():
            try:
                outcomes = shard.submit(mutations).result()
                failures = [each.error for each in outcomes if each.error is not None]
                trouble = next((each for each in failures if each.retryable), None)
                if trouble is None:
                    return outcomes
            except LookalikeError as error:
                trouble = error
            self._trouble = f"it cannot apply the log: {trouble.message}"
            _log.warning("the log cannot be applied: %s", trouble.message)
            self._stop.wait(_RETRY_S)
        return None

    def _served(self) -> tuple[Shard, int] | None:
        """Return the shard with what it has reached; None while it does not serve."""
        position, shard = self.progress.position, self._shard
        serves = shard is not None and self._state is ReplicaState.SERVING
        return (shard, position) if shard is not None and serves else None

    def _serve(self) -> None:
        self._state, self._trouble = ReplicaState.SERVING, ""

    def _note_position(self) -> None:
        now_s = time.monotonic()
        shard = self._shard
        if shard is None or now_s - self._noted_s < _NOTE_EVERY_S:
            return
        self._noted_s = now_s
        if shard.log_position.value < self.progress.position:
            shard.log_position.note(self.progress.position)


def _before_gap(entries: Sequence[Entry]) -> Sequence[Entry]:
    """Return the first of `entries` up to where one does not follow the one before it."""
    for place in range(1, len(entries)):
        if entries[place].before > entries[place - 1].position:
            return entries[:place]
    return entries


def _away(why: str) -> Unavailable:
    return Unavailable(f"the replica does not serve: {why}", reason=Reason.NOT_READY)
