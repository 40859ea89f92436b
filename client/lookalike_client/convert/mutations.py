"""What became of mutations."""

from __future__ import annotations

from collections.abc import Iterable

from lookalike.v1 import search_pb2
from lookalike.wire.status import from_item_error
from lookalike_client import types


def mutation_results(
    messages: Iterable[search_pb2.MutationResult], position: int
) -> list[types.MutationResult]:
    """Return what became of the mutations that were acknowledged together, at `position`."""
    return [mutation_result(each, position) for each in messages]


def mutation_result(message: search_pb2.MutationResult, position: int = 0) -> types.MutationResult:
    """Return what became of a mutation."""
    return types.MutationResult(
        id=message.id,
        status=_STATUS.get(message.status, types.MutationStatus.FAILED),
        version=message.version,
        error=from_item_error(message.error) if message.HasField("error") else None,
        near_duplicate=near_duplicate(message.near_duplicate)
        if message.HasField("near_duplicate")
        else None,
        position=0 if message.HasField("error") else position,
    )


def near_duplicate(message: search_pb2.NearDuplicate) -> types.NearDuplicate:
    """Return the stored item that an arriving one looks like."""
    return types.NearDuplicate(message.id, message.score)


_STATUS: dict[int, types.MutationStatus] = {
    search_pb2.MUTATION_STATUS_APPLIED: types.MutationStatus.APPLIED,
    search_pb2.MUTATION_STATUS_SUPERSEDED: types.MutationStatus.SUPERSEDED,
    search_pb2.MUTATION_STATUS_NOT_FOUND: types.MutationStatus.NOT_FOUND,
    search_pb2.MUTATION_STATUS_REJECTED_DUPLICATE: types.MutationStatus.REJECTED_DUPLICATE,
}
