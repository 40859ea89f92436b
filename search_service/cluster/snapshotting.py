"""Takes snapshots of a partition when its log has grown, or a replica asks for one.

Any replica may: whoever has the turn does it, and then cuts the log below the newest
verified one, whether or not another replica, which may be dead, has read so far.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from lookalike.wire.errors import LookalikeError
from search_service.cluster.log import CollectionLog
from search_service.cluster.recovery import ReplicaDirectory
from search_service.cluster.storage import SnapshotStorage, Stored
from search_service.priority import lower_priority
from search_service.shard.shard import Shard

_log = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
# When the turn of a replica that died meanwhile is over. Two that take a snapshot at one
# time only work in vain.
_LASTS_S = 600.0
# Of its memory, when the log is cut early; and entries that are worth a snapshot.
_FULL, _FEWEST_ENTRIES = 0.5, 1_000


class SnapshotTaker:
    """Takes the snapshots of one replica; used by one thread.

    `served` gives the shard with the position that it has reached, or None.
    """

    def __init__(
        self,
        log: CollectionLog,
        storage: SnapshotStorage,
        partition: int,
        entries: int,
        directory: ReplicaDirectory,
        stop: threading.Event,
        *,
        served: Callable[[], tuple[Shard, int] | None],
    ) -> None:
        """Take one after `entries` entries of the log."""
        self._log = log
        self._storage = storage
        self._partition = partition
        self._entries = entries
        self._directory = directory
        self.stop = stop
        self._served = served

    def take_if_due(self) -> bool:
        """Take a snapshot, keep it in shared storage and cut the log; False: nothing is due.

        Raises:
            LookalikeError: it cannot be taken or kept; the log stays as it was.
        """
        served = self._served()
        if served is None:
            return False
        shard, position = served
        wanted = self._log.wanted_snapshot(self._partition)
        due = self._is_due(self._log.state(self._partition).entries)
        doubted = self._log.doubted_snapshot(self._partition)
        if not due and not doubted and not 0 < wanted <= position:
            return False
        with self._log.turn(f"snapshot:{self._partition}", _LASTS_S, needed=True) as mine:
            if not mine:
                return False
            newest = self._storage.newest(self._partition)
            if newest is not None and newest.archive == doubted and not self._whole(newest):
                if position < newest.position:
                    return False  # it would be passed over for the damaged one
                newest = None
            if newest is None or newest.position < position:
                shard.log_position.note(position).result()
                with self._directory.captured(self.stop) as (directory, manifest):
                    newest = self._storage.put(self._partition, position, directory, manifest)
            self._log.snapshot_taken(self._partition, newest.position)
            self._log.trim(self._partition, newest.position)
        return True

    def _is_due(self, entries: int) -> bool:
        """Say whether the log is long, or fills the memory that its server may use: then nothing
        is written any more until it is cut."""
        if entries >= self._entries:
            return True
        return entries >= _FEWEST_ENTRIES and self._log.fullness() > _FULL

    def _whole(self, stored: Stored) -> bool:
        if self._storage.is_whole(self._partition, stored):
            return True
        _log.warning("a snapshot in shared storage is damaged; another takes its place")
        return False


def keep_snapshots(taker: SnapshotTaker) -> None:
    """Look again and again whether a snapshot is due, until told to stop."""
    lower_priority()
    while not taker.stop.wait(_LOOK_EVERY_S):
        try:
            taker.take_if_due()
        except LookalikeError as error:
            _log.warning("no snapshot is taken: %s", error.message)
        except Exception:  # noqa: BLE001 - logged; a later try may go well
            if taker.stop.is_set():  # the shard was closed meanwhile
                return
            _log.exception("no snapshot is taken")
