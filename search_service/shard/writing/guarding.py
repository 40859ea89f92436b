"""Mutations of callers that are confined to a part of a collection."""

from __future__ import annotations

from dataclasses import replace

import orjson

from lookalike.wire.errors import PermissionDenied
from search_service.domain.mutations import Mutation, Upsert
from search_service.store.row_batch import RowBatch


def guarded(batch: RowBatch, mutation: Mutation) -> Mutation | None:
    """Return what to apply of a mutation, so that it changes nothing but its caller's.

    None: there is no such item, as far as the caller may know. What waits for its vector
    in the queue counts as not there, since whose it is is not known.

    Raises:
        PermissionDenied: an upsert would take the id of another's item.
    """
    guard = mutation.guard
    if guard is None:
        return mutation
    if batch.row(mutation.id).ordinal is None:
        if not isinstance(mutation, Upsert):
            return None
        if mutation.keep_metadata:  # there is none to keep
            return replace(mutation, keep_metadata=False, metadata=guard.stamped({}))
        return mutation
    if guard.owns(orjson.loads(batch.metadata(mutation.id))):
        return mutation
    if isinstance(mutation, Upsert):
        raise PermissionDenied("this API key may not write an item of that id: take another", "id")
    return None
