"""A collection as the catalog holds it, and what makes its shard."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from lookalike.wire.errors import Reason, StoreDamaged, Unavailable
from search_service.domain.collection import CollectionSpec
from search_service.shard.api import ShardApi


class ShardFactory(Protocol):
    """Makes shards in directories."""

    def create(self, directory: Path, spec: CollectionSpec) -> ShardApi:
        """Make an empty shard in `directory`, which is there and empty, durably."""

    def open(self, directory: Path) -> ShardApi:
        """Open the shard in `directory`."""


class Collection:
    """A name with its shard, or without one when it could not be opened."""

    __slots__ = ("_shard", "damage", "is_whole", "name", "uid")

    def __init__(
        self,
        uid: str,
        name: str,
        shard: ShardApi | None,
        damage: str = "",
        *,
        is_whole: bool = True,
    ) -> None:
        """`damage` says why there is no shard, where its store is damaged on the disk.

        Where `is_whole` is not set, the shard shows a part of the items.
        """
        self.uid = uid
        self.name = name
        self.damage = damage
        self.is_whole = is_whole
        self._shard = shard

    @property
    def is_open(self) -> bool:
        """Whether the shard is there."""
        return self._shard is not None

    @property
    def shard(self) -> ShardApi:
        """The shard.

        Raises:
            StoreDamaged: it could not be opened, and never will be as it is.
            Unavailable: it could not be opened.
        """
        if self._shard is None:
            if self.damage:
                raise StoreDamaged(f'collection "{self.name}" could not be opened: {self.damage}')
            raise Unavailable(
                f'collection "{self.name}" could not be opened; the log of the search service '
                "says why. Restart it when that is mended, or delete the collection",
                reason=Reason.STORE_FAILED,
            )
        return self._shard
