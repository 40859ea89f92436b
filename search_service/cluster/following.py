"""How a replica's shard follows the log of its partition: entry by entry, in order.

What a replica lacks and the log has no more comes from a snapshot of another. What it has and
the log lost it tells the others of; where they went on without, it takes their line.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Sequence

from lookalike.wire.errors import LookalikeError, SnapshotInvalid, Unavailable
from search_service.catalog.shards import Shards
from search_service.cluster.connection import OtherRun
from search_service.cluster.entries import decode_mutation
from search_service.cluster.log import CollectionLog, Entry
from search_service.cluster.progress import Progress
from search_service.cluster.recovery import ReplicaDirectory
from search_service.cluster.status import ReplicaState
from search_service.cluster.storage import SnapshotStorage, Stored
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
# How long a replica that has what the log lost asks for a snapshot of the others. Then none
# of them has gone on without it, and its own line counts.
_ASTRAY_LASTS_S = 600.0


class Following:
    """The shard, and how far it is. One thread calls `run`; any thread may read the rest."""

    def __init__(
        self,
        spec: CollectionSpec,
        partition: int,
        *,
        shards: Shards,
        log: CollectionLog,
        storage: SnapshotStorage,
        directory: ReplicaDirectory,
        stop: threading.Event,
    ) -> None:
        self._spec = spec
        self._partition = partition
        self._shards = shards
        self._log = log
        self._storage = storage
        self._directory = directory
        self._stop = stop
        self.progress = Progress()
        self.shard: Shard | None = None
        self.state = ReplicaState.RECOVERING
        self.trouble = "it opens its store"
        # What neither the log nor a snapshot has; and up to where it is given up.
        self.lacks = 0
        self._given_up = 0
        self._noted_s = 0.0
        self._asked_s = 0.0
        # Set where the others went on without what this replica has and the log has lost: the
        # position from which their snapshots are without it too.
        self._astray = 0
        self._astray_since_s = 0.0

    def run(self) -> None:
        """Open the shard, and follow the log until told to stop."""
        while not self._stop.is_set():
            try:
                self._step()
            except Unavailable as error:
                # It goes on to answer what it has.
                _log.warning("the log is away: %s", error.message)
                self._stop.wait(_RETRY_S)

    def fail(self, trouble: str) -> None:
        """Note that it cannot go on."""
        self.state, self.trouble = ReplicaState.FAILED, trouble

    def update_settings(self, change: SettingsChange) -> None:
        """Change settings durably, also those of a shard that is still to come."""
        self._spec = change.applied_to(self._spec)
        shard = self.shard
        if shard is not None:
            shard.update_settings(change)

    def reached(self) -> int | None:
        """Return the last entry that is applied or being applied, once the store says so too;
        None: it is not open.

        Whoever asks may make that the beginning of the log: after a restart it must not seem
        to be missing.
        """
        shard = self.shard
        if shard is None:
            return None
        self._note(shard)
        return self.progress.reached

    def give_up(self, position: int) -> None:
        """Go on past `position`, if it is what is lacking: nobody has it any more."""
        self._given_up = position

    def snapshot_source(self) -> tuple[Shard, int] | None:
        """Return the shard with what it has reached; None while others should not have it."""
        position, shard = self.progress.position, self.shard
        if shard is None or self.state is not ReplicaState.SERVING or self._astray:
            return None
        return shard, position

    def _step(self) -> None:
        if self.shard is None:
            self._open(self._directory.open(self._shards))
        entries = self._read(_READ_WAIT_S)
        if not entries:
            # What was trimmed or lost whole has no entry to tell of it.
            last = self._log.state(self._partition).last
            if last < self.progress.position:
                self._tell_what_the_log_lost()
            elif last > self.progress.position:
                entries = self._read(0)
                if not entries:
                    self._mend_gap(last)
                    return
            elif self.state is not ReplicaState.SERVING:
                self._serve()
        if entries and entries[0].before > self.progress.position:
            self._mend_gap(entries[0].before)
            return
        if entries:
            if entries[0].before < self.progress.position:
                self._note_astray(entries[0].position)
            whole = _before_gap(entries)
            self._apply(whole, serve=len(whole) == len(entries) < _READ_ENTRIES)
        if self._astray:
            self._come_back()
        self._note_position()

    def _read(self, wait_s: float) -> list[Entry]:
        return self._log.read(self._partition, self.progress.position, _READ_ENTRIES, wait_s)

    def _open(self, shard: Shard | None) -> None:
        shard = shard or self._directory.create(self._shards)
        wanted = self._spec.index.expansion_search
        if shard.spec.index.expansion_search != wanted:
            shard.update_settings(SettingsChange(expansion_search=wanted))
        self._astray, self._astray_since_s = self._directory.astray(), time.monotonic()
        self.shard = shard
        self.progress.advance(shard.log_position.value)

    def _mend_gap(self, least: int) -> None:
        """Fetch a snapshot that has reached `least`; ask for one where there is none."""
        self.state = ReplicaState.RECOVERING
        self.trouble = "it lacks entries that the log has no more, and needs a newer snapshot"
        if least == self._given_up:
            _log.error("nobody has entries up to %d any more; the replica goes on", least)
            self.progress.advance(least)
            self.lacks = 0
        elif not self._fetch_newer(least):
            self._stop.wait(_LOOK_FOR_SNAPSHOTS_S)

    def _fetch_newer(self, least: int) -> bool:
        """Take a snapshot that has reached `least`; False: it is asked for, or cannot be had."""
        self.lacks = 0
        try:
            stored = self._storage.newest(self._partition)
            if stored is None or stored.position < least:
                self._log.ask_for_snapshot(self._partition, least)
                self.lacks = least
                return False
            self.trouble = "it fetches a snapshot"
            self._fetch(stored)
        except LookalikeError as error:
            _log.warning("a snapshot cannot be fetched: %s", error.message)
            self.trouble = f"it cannot fetch a snapshot: {error.message}"
            return False
        return True

    def _fetch(self, stored: Stored) -> None:
        try:
            with self._directory.fetched(self._storage, stored, self._stop) as filled:
                self.state = ReplicaState.RECOVERING
                former, self.shard = self.shard, None
                if former is not None:
                    former.close()
                self._open(self._directory.take(self._shards, filled, stored.position))
        except SnapshotInvalid:
            # Who serves looks at it, and takes another.
            self._log.ask_for_snapshot(self._partition, stored.position, stored.archive)
            raise

    def _tell_what_the_log_lost(self) -> None:
        """Have the others know that there is something to fetch, while none went on without it."""
        position = self.reached()
        assert position is not None, "it is open before the log is read"
        with contextlib.suppress(OtherRun):  # writers are going to ask
            self._log.lift(self._partition, position)

    def _note_astray(self, position: int) -> None:
        _log.warning(
            "the log lost entries that this replica has, and others went on without them; it "
            "takes a snapshot of theirs"
        )
        self._directory.note_astray(position)
        self._astray, self._astray_since_s = position, time.monotonic()

    def _come_back(self) -> None:
        """Take the others' line, once a snapshot of it is there; serve and apply until then."""
        now_s = time.monotonic()
        if now_s - self._asked_s < _LOOK_FOR_SNAPSHOTS_S:
            return
        self._asked_s = now_s
        if now_s - self._astray_since_s > _ASTRAY_LASTS_S:
            self._directory.note_astray(0)
            self._astray = 0
            return
        self._fetch_newer(self._astray)
        if self.state is ReplicaState.SERVING:
            self.trouble = "it has what the log lost, and waits for a snapshot of the others"

    def _apply(self, entries: Sequence[Entry], *, serve: bool) -> None:
        """Apply entries; with `serve` there are no more for now."""
        shard = self.shard
        assert shard is not None, "it is open before the log is read"
        self.progress.begin(entries[-1].position)
        mutations = [decode_mutation(entry.data, entry.position) for entry in entries]
        outcomes = self._submit(shard, mutations)
        if outcomes is None:
            return
        self.progress.note_outcomes([entry.position for entry in entries], outcomes)
        if serve:
            self._serve()
        elif self.state is ReplicaState.SERVING:
            self.trouble = ""
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
            self.trouble = f"it cannot apply the log: {trouble.message}"
            _log.warning("the log cannot be applied: %s", trouble.message)
            self._stop.wait(_RETRY_S)
        return None

    def _serve(self) -> None:
        self.lacks = 0
        self.state, self.trouble = ReplicaState.SERVING, ""

    def _note_position(self) -> None:
        now_s = time.monotonic()
        shard = self.shard
        if shard is None or now_s - self._noted_s < _NOTE_EVERY_S:
            return
        self._noted_s = now_s
        if shard.log_position.value < self.progress.position:
            shard.log_position.note(self.progress.position)

    def _note(self, shard: Shard) -> None:
        position = self.progress.position
        if shard.log_position.value < position:
            shard.log_position.note(position).result()


def _before_gap(entries: Sequence[Entry]) -> Sequence[Entry]:
    """Return the first of `entries` up to where one does not follow the one before it."""
    for place in range(1, len(entries)):
        if entries[place].before > entries[place - 1].position:
            return entries[:place]
    return entries
