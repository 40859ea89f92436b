"""How far a change of many items is."""

from __future__ import annotations

from lookalike.v1 import search_pb2
from lookalike_client import types
from lookalike_client.convert.mutations import mutation_result


def delete_progress(message: search_pb2.DeleteByFilterResponse) -> types.DeleteProgress:
    """Return how far a deletion is."""
    return types.DeleteProgress(message.matched, message.items, message.deleted, message.done)


def update_progress(message: search_pb2.UpdateByFilterResponse) -> types.UpdateProgress:
    """Return how far a change of metadata is."""
    return types.UpdateProgress(
        matched=message.matched,
        items=message.items,
        updated=message.updated,
        unchanged=message.unchanged,
        failed=message.failed,
        failures=[mutation_result(each) for each in message.failures],
        done=message.done,
    )
