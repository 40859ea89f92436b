"""Two collections of a catalog that are a pair, with a queue in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from lookalike.serving.queue.entries import Kind, QueuedMutation
from lookalike.wire.errors import Exhausted
from search_service.catalog.catalog import Catalog
from search_service.catalog.shards import Shards
from search_service.ingest.copies import Copies
from search_service.ingest.ledger import Accepted
from search_service.reembedding.pairs import Pairs
from search_service.reembedding.reembeddings import Reembeddings
from search_service.shard.api import ShardApi
from tests.unit.search_service.shard.kit import STILL, make_spec

SOURCE, TARGET = (f"{number:032x}" for number in range(2))


def fatal() -> None:
    raise AssertionError("a store failed")


@dataclass
class Queue:
    """`Copies` over what is queued, by collection and version; it has `room` for so many more."""

    queued: dict[tuple[str, int], QueuedMutation] = field(default_factory=dict)
    room: int = 1_000_000
    full: int = 0

    def images(self, uid: str) -> dict[int, str]:
        """Return the ids of the images that are queued for a collection, by version."""
        return {
            version: each.id
            for (owner, version), each in self.queued.items()
            if owner == uid and each.kind is Kind.UPLOAD
        }

    async def put(self, shard: ShardApi, mutation: QueuedMutation) -> None:
        if not self.room:
            self.full += 1
            raise Exhausted("the queue is full")
        self.room -= 1
        self.queued[mutation.collection_uid, mutation.version] = mutation

    def on_their_way(self, uid: str, ids: Sequence[str]) -> dict[str, int]:
        return {id: version for version, id in sorted(self.images(uid).items()) if id in ids}

    def changes_queued(self, uid: str) -> int:
        return sum(owner == uid for owner, _ in self.queued) - len(self.images(uid))

    def is_taken(self, uid: str, version: int) -> bool:
        return (uid, version) in self.queued

    def alone(self, uid: str, other_uid: str) -> list[Accepted]:
        return [
            Accepted(uid, version, id, "upload", "", 0, f"{version}-0", 0)
            for version, id in self.images(uid).items()
            if (other_uid, version) not in self.queued
        ]

    async def all_queued(self, shard: ShardApi) -> None:
        return None

    async def image_of(self, row: Accepted) -> QueuedMutation | None:
        return self.queued.get((row.uid, row.version))


@dataclass
class Rig:
    """The collections `old` and `new` under a folder, and what looks after them."""

    root: Path
    queue: Queue = field(default_factory=Queue)

    def __post_init__(self) -> None:
        self.catalog = Catalog(self.root, Shards(STILL, fatal))
        self.pairs = Pairs(self.root / "reembedding.json", self.catalog)
        self.catalog.before_ready = self.pairs.open
        self.catalog.open()
        self.reembeddings = Reembeddings(
            self.catalog, self.pairs, cast("Copies", self.queue), max_image_bytes=1 << 20
        )

    def create(self) -> None:
        for name, uid in (("old", SOURCE), ("new", TARGET)):
            spec = replace(make_spec(), name=name, uid=uid, model_fingerprint=name * 9)
            self.catalog.create(spec)

    def store(self, uid: str) -> Path:
        """Return the path of a collection's store."""
        return self.catalog.directory(uid) / "store.db"

    def again(self) -> Rig:
        """Return the rig of a service that is started anew, with the same queue."""
        self.catalog.close()
        return Rig(self.root, self.queue)
