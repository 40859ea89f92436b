"""What became of mutations."""

from __future__ import annotations

from lookalike.v1 import search_pb2
from lookalike.wire.status import from_item_error
from lookalike_client import types


def mutation_result(message: search_pb2.MutationResult) -> types.MutationResult:
    """Return what became of a mutation."""
    near = message.near_duplicate
    return types.MutationResult(
        id=message.id,
        status=_STATUS.get(message.status, types.MutationStatus.FAILED),
        version=message.version,
        error=from_item_error(message.error) if message.HasField("error") else None,
        near_duplicate=types.NearDuplicate(near.id, near.score)
        if message.HasField("near_duplicate")
        else None,
    )


_STATUS: dict[int, types.MutationStatus] = {
    search_pb2.MUTATION_STATUS_APPLIED: types.MutationStatus.APPLIED,
    search_pb2.MUTATION_STATUS_SUPERSEDED: types.MutationStatus.SUPERSEDED,
    search_pb2.MUTATION_STATUS_NOT_FOUND: types.MutationStatus.NOT_FOUND,
    search_pb2.MUTATION_STATUS_REJECTED_DUPLICATE: types.MutationStatus.REJECTED_DUPLICATE,
}
