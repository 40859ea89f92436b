"""Mutations as they stand in the log: a line of JSON, then the bytes of the parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson

from lookalike.wire.errors import LookalikeError, Reason
from search_service.domain.arrays import F32
from search_service.domain.collection import DuplicatePolicy
from search_service.domain.confinement import Confinement
from search_service.domain.mutations import Delete, Mutation, UpdateMetadata, Upsert

_FORMAT = 1
# With further vectors, which a release that knows no such items does not read.
_SEVERAL_FORMAT = 2


def encode_mutation(mutation: Mutation) -> bytes:
    """Return a mutation as an entry of the log holds it."""
    head: dict[str, Any] = {"format": _FORMAT, "id": mutation.id, "version": mutation.version}
    parts: list[bytes] = []
    if isinstance(mutation, Upsert):
        parts = [mutation.vector.tobytes(), mutation.facts, mutation.thumbnail]
        parts += [vector.tobytes() for vector in mutation.further]
        head["format"] = _SEVERAL_FORMAT if mutation.further else _FORMAT
        head |= {"kind": "upsert", "metadata": mutation.metadata, "keep": mutation.keep_metadata}
        head["policy"] = mutation.duplicate_policy
    elif isinstance(mutation, UpdateMetadata):
        head |= {"kind": "update", "metadata": mutation.metadata}
        head |= {"merge": mutation.merge, "if_other": mutation.if_other}
    else:
        head["kind"] = "delete"
    if mutation.guard is not None:
        head["guard"] = mutation.guard.fields
    head["sizes"] = [len(part) for part in parts]
    return b"\n".join((orjson.dumps(head), b"".join(parts)))


def decode_mutation(data: bytes, position: int) -> Mutation:
    """Return the mutation of an entry; its position is its version where none was given.

    Raises:
        LookalikeError: INTERNAL, another release wrote the entry.
    """
    line, _, rest = data.partition(b"\n")
    head = orjson.loads(line)
    if head["format"] not in (_FORMAT, _SEVERAL_FORMAT):
        raise LookalikeError(
            f"an entry of the log has format {head['format']}; this release reads up to"
            f" {_SEVERAL_FORMAT}",
            reason=Reason.INTERNAL,
        )
    version = head["version"] or position
    guard = _guard(head.get("guard"))
    if head["kind"] == "delete":
        return Delete(head["id"], version, guard)
    if head["kind"] == "update":
        changes = {"merge": head["merge"], "if_other": head["if_other"]}
        return UpdateMetadata(head["id"], head["metadata"], version, **changes, guard=guard)
    vector, facts, thumbnail, *further = _split(rest, head["sizes"])
    policy = None if head["policy"] is None else DuplicatePolicy(head["policy"])
    return Upsert(
        head["id"], _vector(vector), head["metadata"], facts, thumbnail, version, policy,
        keep_metadata=head["keep"],
        guard=guard,
        further=tuple(map(_vector, further)),
    )  # fmt: skip


def _guard(fields: list[Any] | None) -> Confinement | None:
    if fields is None:
        return None
    return Confinement(tuple((tuple(path), value) for path, value in fields))


def _split(data: bytes, sizes: list[int]) -> list[bytes]:
    parts: list[bytes] = []
    start = 0
    for size in sizes:
        parts.append(data[start : start + size])
        start += size
    return parts


def _vector(data: bytes) -> F32:
    vector: F32 = np.frombuffer(data, dtype="<f4").astype(np.float32)
    return vector
