"""A replica: a shard that follows its partition's log.

One thread opens or fetches the shard and then applies the log; another takes snapshots.
Whoever asks for what is not there yet waits on `progress`.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from lookalike.wire.errors import Reason, Unavailable
from search_service.catalog.shards import Shards
from search_service.cluster.connection import OtherRun
from search_service.cluster.following import Following
from search_service.cluster.log import CollectionLog
from search_service.cluster.progress import Progress
from search_service.cluster.recovery import ReplicaDirectory
from search_service.cluster.snapshotting import SnapshotTaker, keep_snapshots
from search_service.cluster.status import ReplicaState, ReplicaStatus
from search_service.cluster.storage import SnapshotStorage
from search_service.domain.collection import CollectionSpec, SettingsChange
from search_service.shard.shard import Shard

_log = logging.getLogger(__name__)

# For what is in the log to be applied, before deletions are forgotten.
_PRUNE_WITHIN_S = 5.0


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
        self._partition = partition
        self._number = number
        self._node = node
        self._log = log
        self._directory = ReplicaDirectory(root, spec, partition, number)
        self._stop = threading.Event()
        self._following = Following(
            spec,
            partition,
            shards=shards,
            log=log,
            storage=storage,
            directory=self._directory,
            stop=self._stop,
        )
        snapshots = SnapshotTaker(
            *(log, storage, partition, snapshot_entries, self._directory, self._stop),
            served=self._following.snapshot_source,
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
    def progress(self) -> Progress:
        """How far it is, and who waits for it."""
        return self._following.progress

    @property
    def shard(self) -> Shard:
        """The shard.

        Raises:
            Unavailable: it is not open yet.
        """
        shard = self._following.shard
        if shard is None or self.state is not ReplicaState.SERVING:
            raise _away(self._following.trouble)
        return shard

    @property
    def state(self) -> ReplicaState:
        """What it does."""
        return self._following.state

    def status(self) -> ReplicaStatus:
        """Say how the replica is; its lag is for who knows the log."""
        shard = self._following.shard
        items = 0 if shard is None else shard.count(None)
        position, trouble = self.progress.position, self._following.trouble
        return ReplicaStatus(
            *(self._number, self.state, self._node, position, 0, items, trouble),
            lacks=self._following.lacks,
        )

    def give_up(self, position: int) -> None:
        """Go on past entries up to `position`, if they are what is lacking."""
        self._following.give_up(position)

    def reached(self) -> int:
        """Return the last entry that is applied or being applied, whatever is served.

        Raises:
            Unavailable: the store is not open yet.
        """
        reached = self._following.reached()
        if reached is None:
            raise _away(self._following.trouble)
        return reached

    def look_up(self, position: int) -> tuple[int, int]:
        """Return the last entry of the partition at or before `position`, as far as one is, and
        up to which position that says all.

        Positions are of the whole collection: the partition may have none near it. One that
        was not given out yet says nothing of what is written later.

        Raises:
            Unavailable: the log is away, or may have lost its end.
        """
        try:
            last, given = self._log.ends(self._partition)
        except OtherRun:
            raise _away("the log was started anew, and nobody has asked what it lost") from None
        return min(position, last), min(position, given)

    def update_settings(self, change: SettingsChange) -> None:
        """Change settings durably, also those of a shard that is still to come."""
        self._following.update_settings(change)

    def prune_tombstones(self, below_version: int) -> int:
        """Forget deletions, once all that is in the log now is applied for good.

        An older version that stands behind its deletion in the log must meet it, here and
        when entries are applied again after a restart.

        Raises:
            Unavailable: it is not that far in time, or the log is away.
        """
        try:
            last, _ = self._log.ends(self._partition)
            self.progress.reach(last).result(_PRUNE_WITHIN_S)
        except (OtherRun, TimeoutError):
            raise _away("it is behind in the log") from None
        shard = self.shard
        shard.log_position.note(self.progress.position).result()
        return shard.prune_tombstones(below_version)

    def _run(self) -> None:
        try:
            self._directory.acquire(self._stop)
            try:
                self._following.run()
            finally:
                if self._following.shard is not None:
                    self._following.shard.close()
                self._directory.release()
        except Exception as error:  # noqa: BLE001 - told by `status`; its process is to end
            _log.exception("the replica fails")
            self._following.fail(f"it failed: {type(error).__name__}")


def _away(why: str) -> Unavailable:
    return Unavailable(f"the replica does not serve: {why}", reason=Reason.NOT_READY)
