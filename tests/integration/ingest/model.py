"""What the final state must be, and fakes that keep state the same way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from google.protobuf import struct_pb2

from embedder_service.worker.protocols import PeerLost
from lookalike.v1 import embedder_pb2, search_pb2
from lookalike.wire.errors import ImageUnreadable, LookalikeError, Reason
from search_service.domain.collection import DuplicatePolicy, DuplicateSettings
from search_service.domain.items import Fields, StoredItem
from search_service.shard.api import ShardApi

FINGERPRINT = "f" * 64


@dataclass(slots=True)
class Row:
    """One id: which picture and metadata, of which versions."""

    vector_version: int = 0
    metadata_version: int = 0
    delete_version: int = 0
    picture: bytes = b""
    metadata: str = ""

    @property
    def live(self) -> bool:
        return self.vector_version > self.delete_version


def expected(operations: Sequence[tuple[str, str, str]]) -> dict[str, tuple[bytes, str]]:
    """Apply (kind, id, value) in order; return id -> (picture, metadata)."""
    state: dict[str, tuple[bytes, str]] = {}
    for kind, item_id, value in operations:
        if kind == "upload":
            state[item_id] = (value.encode(), value)
        elif kind == "delete":
            state.pop(item_id, None)
        elif item_id in state:
            state[item_id] = (state[item_id][0], value)
    return state


@dataclass
class FakeShard:
    """Hands out versions as a shard does; nothing else is asked of it."""

    last: int = 0
    policy: DuplicatePolicy = DuplicatePolicy.REJECT
    stored: dict[str, int] = field(default_factory=dict)

    @property
    def spec(self) -> Any:
        duplicates = DuplicateSettings(self.policy, 0.9)
        fields = {"model_fingerprint": FINGERPRINT, "duplicates": duplicates}
        return type("Spec", (), {**fields, "thumbnail_side_px": 0, "vectors": ()})

    def get(self, ids: Sequence[str], fields: Fields) -> list[StoredItem | None]:
        return [
            StoredItem(id, self.stored[id], 0, vector_version=self.stored[id])
            if id in self.stored
            else None
            for id in ids
        ]

    def reserve_versions(self, count: int) -> range:
        first = self.last + 1
        self.last += count
        return range(first, first + count)


@dataclass
class FakeCollection:
    """One collection."""

    uid: str = "0" * 32
    is_open: bool = True
    versions: FakeShard = field(default_factory=FakeShard)

    @property
    def shard(self) -> ShardApi:
        return cast("ShardApi", self.versions)


@dataclass
class FakeCatalog:
    """A catalog in which every name is the one collection."""

    collection: FakeCollection = field(default_factory=FakeCollection)

    def find(self, name: str, field: str = "collection") -> FakeCollection:
        return self.collection

    def collections(self) -> list[FakeCollection]:
        return [self.collection]


class FakeEmbedder:
    """Its vectors are the pictures' bytes. Behaves as told.

    A picture that starts with "poison" is unreadable, "fault" always fails,
    "crash" breaks the stream of all that are under way.
    """

    refusal = ""

    def __init__(self, delay_s: Callable[[], float] = lambda: 0.0) -> None:
        self._ready = asyncio.Event()
        self._ready.set()
        self._delay_s = delay_s
        self._under_way: set[asyncio.Future[None]] = set()
        self._healed = False
        self.calls: list[bytes] = []
        self.together: list[set[bytes]] = []
        self._pictures: dict[asyncio.Future[None], bytes] = {}

    @property
    def ready(self) -> bool:
        return self._ready.is_set()

    def set_ready(self, ready: bool) -> None:
        if ready:
            self._ready.set()
        else:
            self._ready.clear()
            self._break()

    def heal(self) -> None:
        """Read poison from now on."""
        self._healed = True

    async def wait_ready(self) -> None:
        await self._ready.wait()

    async def embed(
        self, image: bytes, model: str, thumbnail_side_px: int = 0
    ) -> embedder_pb2.Embedding:
        if not self.ready:
            raise PeerLost("embedder")
        assert model == FINGERPRINT
        self.calls.append(image)
        broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._under_way.add(broken)
        self._pictures[broken] = image
        self.together.append(set(self._pictures.values()))
        try:
            await asyncio.wait([broken], timeout=self._delay_s())
            if image.startswith(b"crash"):
                self._break()
            if broken.done():
                raise PeerLost("embedder")
        finally:
            self._under_way.discard(broken)
            self._pictures.pop(broken, None)
        if image.startswith(b"poison") and not self._healed:
            raise ImageUnreadable("is no picture")
        if image.startswith(b"fault"):
            raise LookalikeError("internal error", reason=Reason.INTERNAL)
        return embedder_pb2.Embedding(vector_f32_le=image, model_fingerprint=model)

    def _break(self) -> None:
        for future in self._under_way:
            if not future.done():
                future.set_result(None)


class FakeIndex:
    """Keeps rows by the rule of versions that the contract states.

    A picture that starts with "twin" is a duplicate, rejected unless its upsert says
    what else to do.
    """

    refusal = ""

    def __init__(self, delay_s: Callable[[], float] = lambda: 0.0) -> None:
        self.rows: dict[str, Row] = {}
        self.applied: dict[str, int] = {}
        self._delay_s = delay_s
        self.ready = True

    async def wait_ready(self) -> None:
        return

    def state(self) -> dict[str, tuple[bytes, str]]:
        return {key: (row.picture, row.metadata) for key, row in self.rows.items() if row.live}

    async def upsert(self, uid: str, item: search_pb2.VectorUpsert) -> search_pb2.MutationResult:
        await asyncio.sleep(self._delay_s())
        row = self.rows.setdefault(item.id, Row())
        if item.version <= max(row.delete_version, row.vector_version):
            return _result(item.id, search_pb2.MUTATION_STATUS_SUPERSEDED, item.version)
        if item.vector_f32_le.startswith(b"twin") and not item.duplicate_policy:
            near = search_pb2.NearDuplicate(id="x", score=0.5)
            rejected = _result(item.id, search_pb2.MUTATION_STATUS_REJECTED_DUPLICATE, item.version)
            rejected.near_duplicate.CopyFrom(near)
            return rejected
        row.vector_version, row.picture = item.version, item.vector_f32_le
        if item.version > row.metadata_version and not item.keep_metadata:
            row.metadata_version, row.metadata = item.version, _text(item.metadata)
        self.applied[item.id] = self.applied.get(item.id, 0) + 1
        return _result(item.id, search_pb2.MUTATION_STATUS_APPLIED, item.version)

    async def update_metadata(
        self, uid: str, update: search_pb2.MetadataUpdate
    ) -> search_pb2.MutationResult:
        await asyncio.sleep(self._delay_s())
        row = self.rows.setdefault(update.id, Row())
        if update.version <= row.metadata_version:
            return _result(update.id, search_pb2.MUTATION_STATUS_SUPERSEDED, update.version)
        row.metadata_version, row.metadata = update.version, _text(update.metadata)
        status = (
            search_pb2.MUTATION_STATUS_APPLIED if row.live else search_pb2.MUTATION_STATUS_NOT_FOUND
        )
        return _result(update.id, status, update.version)

    async def delete(self, uid: str, item: search_pb2.ItemDelete) -> search_pb2.MutationResult:
        await asyncio.sleep(self._delay_s())
        row = self.rows.setdefault(item.id, Row())
        if item.version <= max(row.delete_version, row.vector_version):
            return _result(item.id, search_pb2.MUTATION_STATUS_SUPERSEDED, item.version)
        live = row.live
        row.delete_version = item.version
        status = (
            search_pb2.MUTATION_STATUS_APPLIED if live else search_pb2.MUTATION_STATUS_NOT_FOUND
        )
        return _result(item.id, status, item.version)


def struct(text: str) -> bytes:
    """Return {"value": text} as a serialised Struct."""
    message = struct_pb2.Struct()
    message["value"] = text
    return message.SerializeToString()


def random_operations(source: random.Random, count: int, ids: int) -> list[tuple[str, str, str]]:
    """Return `count` operations over `ids` ids, each with a value of its own."""
    return [
        (
            source.choices(["upload", "delete", "metadata"], [6, 2, 2])[0],
            f"id-{source.randrange(ids)}",
            f"value-{number}",
        )
        for number in range(count)
    ]


def _text(message: struct_pb2.Struct) -> str:
    return str(message["value"]) if "value" in message.fields else ""


def _result(item_id: str, status: Any, version: int) -> search_pb2.MutationResult:
    return search_pb2.MutationResult(id=item_id, status=status, version=version)
