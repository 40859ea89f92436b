"""The catalog, as far as ingestion needs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from search_service.shard.api import ShardApi


class CollectionRef(Protocol):
    """A collection of the catalog."""

    @property
    def uid(self) -> str:
        """Its identity."""

    @property
    def is_open(self) -> bool:
        """Whether it has a shard."""

    @property
    def shard(self) -> ShardApi:
        """The shard; raises Unavailable without one."""


class Collections(Protocol):
    """The catalog, as far as ingestion needs it."""

    def find(self, name: str, field: str = ...) -> CollectionRef:
        """Return the collection of a name, alias or UID; raises NotFound."""

    def collections(self) -> Sequence[CollectionRef]:
        """Return all of them."""
