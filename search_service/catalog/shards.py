"""Shards in directories, all with the same options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lookalike.wire.errors import InvalidField
from search_service.domain.collection import CollectionSpec
from search_service.shard.options import ShardOptions
from search_service.shard.shard import Shard


class Shards:
    """The `ShardFactory` of a running service.

    `on_fatal` is called, on a thread of a shard, when its store has failed and
    the process must not go on.
    """

    def __init__(self, options: ShardOptions, on_fatal: Callable[[], None]) -> None:
        self._options = options
        self._on_fatal = on_fatal

    def create(self, directory: Path, spec: CollectionSpec) -> Shard:
        """Make an empty shard in `directory`, which is there and empty, durably.

        Raises:
            InvalidField: it would have to be divided or copied.
        """
        for name in ("partitions", "replicas"):
            if getattr(spec, name) > 1:
                raise InvalidField(
                    f"settings.{name}",
                    "must be 1: this server keeps collections on one machine, not on a cluster",
                )
        spec = replace(spec, partitions=1, replicas=1)
        return Shard.create(directory, spec, self._options, self._on_fatal)

    def open(self, directory: Path) -> Shard:
        """Open the shard in `directory`."""
        return Shard.open(directory, self._options, self._on_fatal)
