"""What the fake service holds: collections, their items, and the outcomes of jobs."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp

from lookalike.v1 import collection_pb2, image_pb2, ingest_pb2, search_pb2
from lookalike.wire.errors import (
    AlreadyExists,
    InvalidField,
    LimitExceeded,
    LookalikeError,
    NotFound,
    Precondition,
    Reason,
)
from lookalike.wire.status import to_item_error
from lookalike.wire.vectors import F32, decode, normalise
from lookalike_client import structs
from lookalike_client.testing.answering import check_further, check_id, check_kept, now
from lookalike_client.testing.models import Model
from lookalike_client.types import JsonValue, Metadata


@dataclass(slots=True)
class StoredItem:
    """An item; `vector` and each `further` one are float32 [D], unit L2."""

    id: str
    vector: F32
    metadata: dict[str, JsonValue]
    facts: image_pb2.ImageFacts | None
    version: int
    update_time: Timestamp
    near_duplicate_of: str = ""
    further: tuple[F32, ...] = ()

    def nearest(self, vector: F32) -> tuple[float, int]:
        """Return the greatest cosine of its vectors to one, and the number of the first that
        has it."""
        scores = [cosine(each, vector) for each in (self.vector, *self.further)]
        return max(scores), scores.index(max(scores))


@dataclass(slots=True)
class FakeCollection:
    """A collection: what it says of itself, and its items by id."""

    message: collection_pb2.Collection
    items: dict[str, StoredItem] = field(default_factory=dict)
    version: int = 0

    def next_version(self) -> int:
        """Return the version of the next mutation."""
        self.version += 1
        return self.version

    def unit_vector(self, data: bytes, where: str) -> F32:
        """Return a vector of the collection's dimension, float32 [D], unit L2.

        Raises:
            InvalidField: it is none.
        """
        vector = decode(data, field=where, dimension=self.message.dimension)
        return normalise(vector, field=where)

    def upsert(
        self,
        item: search_pb2.VectorUpsert,
        *,
        vectors: Sequence[F32] = (),
        version: int = 0,
        where: str = "",
    ) -> search_pb2.MutationResult:
        """Store an item; `vectors`, unit L2, go before the item's own."""
        try:
            check_id(item.id, f"{where}id")
            check_kept(item, where)
            bound = self.message.model_fingerprint
            if bound and item.model_fingerprint != bound:
                raise Precondition(
                    "the vector was made by another model than the collection's",
                    reason=Reason.MODEL_MISMATCH,
                    field=f"{where}model_fingerprint",
                )
            vector, *further = vectors or self._vectors(item, where)
        except LookalikeError as error:
            return failed(item.id, error)
        version = version or self.next_version()
        result = search_pb2.MutationResult(
            id=item.id, version=version, status=search_pb2.MUTATION_STATUS_APPLIED
        )
        near = self._near_duplicate(item.id, [vector, *further])
        policy = item.duplicate_policy or self.message.settings.duplicates.policy
        if near is not None:
            result.near_duplicate.CopyFrom(near)
            if policy == collection_pb2.DUPLICATE_POLICY_REJECT:
                result.status = search_pb2.MUTATION_STATUS_REJECTED_DUPLICATE
                return result
        flagged = near is not None and policy == collection_pb2.DUPLICATE_POLICY_FLAG
        held = self.items.get(item.id) if item.keep_metadata else None
        self.items[item.id] = StoredItem(
            id=item.id,
            vector=vector,
            metadata=structs.to_dict(item.metadata) if held is None else held.metadata,
            facts=item.facts if item.HasField("facts") else None,
            version=version,
            update_time=now(),
            near_duplicate_of=result.near_duplicate.id if flagged else "",
            further=tuple(further),
        )
        return result

    def _vectors(self, item: search_pb2.VectorUpsert, where: str) -> list[F32]:
        check_further("vectors", len(item.vectors), where)
        return [
            self.unit_vector(item.vector_f32_le, f"{where}vector_f32_le"),
            *(
                self.unit_vector(each.vector_f32_le, f"{where}vectors[{number}].vector_f32_le")
                for number, each in enumerate(item.vectors)
            ),
        ]

    def update(
        self, update: search_pb2.MetadataUpdate, *, version: int = 0, where: str = ""
    ) -> search_pb2.MutationResult:
        """Replace an item's metadata, or merge into it."""
        merge = update.mode == search_pb2.METADATA_MODE_MERGE
        try:
            check_id(update.id, f"{where}id")
            if not merge and update.mode not in _REPLACING:
                raise InvalidField(f"{where}mode", "is none of the modes")
            if merge and update.version:
                raise InvalidField(f"{where}version", "must be 0 for a merge")
        except LookalikeError as error:
            return failed(update.id, error)
        version = version or self.next_version()
        stored = self.items.get(update.id)
        if stored is None:
            return _not_found(update.id, version)
        metadata = structs.to_dict(update.metadata)
        try:
            result = patched(stored.metadata, metadata) if merge else metadata
            return self.put_metadata(stored, result, version=version)
        except LimitExceeded as error:
            return failed(update.id, error)

    def put_metadata(
        self, stored: StoredItem, metadata: dict[str, JsonValue], *, version: int = 0
    ) -> search_pb2.MutationResult:
        """Give an item other metadata.

        Raises:
            LimitExceeded: it is too large.
        """
        if len(_text(metadata).encode()) > _LARGEST:
            raise LimitExceeded("metadata", f'of "{stored.id}" would be too large')
        stored.metadata = metadata
        stored.version, stored.update_time = version or self.next_version(), now()
        return search_pb2.MutationResult(
            id=stored.id, version=stored.version, status=search_pb2.MUTATION_STATUS_APPLIED
        )

    def delete(
        self, item_id: str, *, version: int = 0, where: str = ""
    ) -> search_pb2.MutationResult:
        """Delete an item."""
        try:
            check_id(item_id, f"{where}id")
        except LookalikeError as error:
            return failed(item_id, error)
        version = version or self.next_version()
        if self.items.pop(item_id, None) is None:
            return _not_found(item_id, version)
        return search_pb2.MutationResult(
            id=item_id, version=version, status=search_pb2.MUTATION_STATUS_APPLIED
        )

    def _near_duplicate(
        self, item_id: str, vectors: Sequence[F32]
    ) -> search_pb2.NearDuplicate | None:
        settings = self.message.settings.duplicates
        if settings.policy in _NO_VERDICT:
            return None
        others = (
            (-each.nearest(vector)[0], each.id)
            for each in self.items.values()
            for vector in vectors
            if each.id != item_id
        )
        distance, nearest = min(others, default=(1.0, ""))
        score = -distance
        if score < settings.threshold:
            return None
        return search_pb2.NearDuplicate(id=nearest, score=score)


_LARGEST = 16 * 1024
_REPLACING = (search_pb2.METADATA_MODE_UNSPECIFIED, search_pb2.METADATA_MODE_REPLACE)
_NO_VERDICT = (
    collection_pb2.DUPLICATE_POLICY_UNSPECIFIED,
    collection_pb2.DUPLICATE_POLICY_OFF,
)


@dataclass(slots=True)
class State:
    """All that the fake service holds; whoever touches it holds `lock`."""

    model: Model
    lock: threading.RLock = field(default_factory=threading.RLock)
    collections: dict[str, FakeCollection] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    events: dict[str, list[ingest_pb2.WatchIngestResponse]] = field(default_factory=dict)

    def find(self, name: str, where: str = "collection") -> FakeCollection:
        """Return the collection of a name, alias or UID.

        Raises:
            InvalidField: the name is empty.
            NotFound: there is none.
        """
        if not name:
            raise InvalidField(where, "name the collection")
        found = self.collections.get(self.aliases.get(name, name))
        for each in self.collections.values():
            if found is None and each.message.uid == name:
                found = each
        if found is None:
            raise NotFound(
                f'there is no collection "{name}"',
                reason=Reason.COLLECTION_NOT_FOUND,
                field=where,
            )
        return found

    def check_free(self, name: str, where: str) -> None:
        """Check that neither a collection nor an alias has the name.

        Raises:
            AlreadyExists: one has.
        """
        if name in self.collections or name in self.aliases:
            raise AlreadyExists(where, f'"{name}" is there already')


def patched(stored: Metadata, patch: Metadata) -> dict[str, JsonValue]:
    """Return metadata with a JSON merge patch applied (RFC 7396)."""
    result = dict(stored)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            held = result.get(key)
            result[key] = patched(held if isinstance(held, Mapping) else {}, value)
        else:
            result[key] = value
    return result


def same(one: Metadata, other: Metadata) -> bool:
    """Return whether two objects are the same JSON: true is not 1."""
    return _text(one) == _text(other)


def cosine(one: F32, other: F32) -> float:
    """Return the cosine of two unit vectors, summed in float64 and rounded to float32."""
    return float(np.float32(one.astype(np.float64) @ other.astype(np.float64)))


def failed(item_id: str, error: LookalikeError) -> search_pb2.MutationResult:
    """Return a mutation's failure."""
    return search_pb2.MutationResult(id=item_id, error=to_item_error(error))


def _text(metadata: Metadata) -> str:
    return json.dumps(metadata, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _not_found(item_id: str, version: int) -> search_pb2.MutationResult:
    return search_pb2.MutationResult(
        id=item_id, version=version, status=search_pb2.MUTATION_STATUS_NOT_FOUND
    )
