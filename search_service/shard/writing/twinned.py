"""What a shard lends to those who keep a second one equal to it."""

from __future__ import annotations

from pathlib import Path

from search_service.shard.live.changed_ids import ChangedIds
from search_service.shard.writing.versions import RunErrand, Versions, share
from search_service.store.registers import RegisterReader


class Twinned:
    """The versions of all ids, what changes of them, and one order with another shard."""

    def __init__(
        self, path: Path, vfs: str, changed: ChangedIds, versions: Versions, run: RunErrand
    ) -> None:
        self.registers = RegisterReader(path, vfs)
        self.changed = changed
        self._versions = versions
        self._run = run

    def join(self, other: Twinned) -> None:
        """Give out versions in one order with `other`, and note changes; after each start."""
        share(self._versions, other._versions)
        self.changed.begin()
        other.changed.begin()

    def part(self) -> None:
        """Go on alone; may wait for the disk."""
        self.changed.end()
        self._versions.part(self._run)
