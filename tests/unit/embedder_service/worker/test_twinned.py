"""An image that was queued for two collections fails with neither of them that is gone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lookalike.serving.queue.entries import Kind, QueuedMutation
from lookalike.v1 import search_pb2
from lookalike.wire.errors import LookalikeError, NotFound, Reason
from tests.unit.embedder_service.worker.test_named_models import Peer, applier

UPLOAD = QueuedMutation("c", "a", Kind.UPLOAD, 5, 1, model_fingerprint="m", image=b"front")


class Without(Peer):
    """An index that lacks something."""

    def __init__(self, error: LookalikeError) -> None:
        super().__init__()
        self._error = error

    async def upsert(self, uid: str, item: search_pb2.VectorUpsert) -> search_pb2.MutationResult:
        raise self._error


async def test_one_of_two_ends_with_its_collection_and_another_fails() -> None:
    gone = applier(Without(NotFound("there is none", reason=Reason.COLLECTION_NOT_FOUND)))
    ended = await gone.apply(replace(UPLOAD, twinned=True))
    assert (ended.id, ended.status, ended.version) == (
        "a",
        search_pb2.MUTATION_STATUS_SUPERSEDED,
        5,
    )
    with pytest.raises(NotFound):
        await gone.apply(UPLOAD)
    other = applier(Without(NotFound("no model", reason=Reason.MODEL_NOT_FOUND)))
    with pytest.raises(NotFound):
        await other.apply(replace(UPLOAD, twinned=True))
