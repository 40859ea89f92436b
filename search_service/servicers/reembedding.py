"""`lookalike.v1.ReembeddingService`: translates and delegates."""

# ruff: noqa: N802 - the contract names the methods

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from lookalike.v1 import reembedding_pb2 as pb
from lookalike.v1 import reembedding_pb2_grpc
from lookalike.wire.errors import InvalidField
from lookalike.wire.status import to_item_error
from search_service import limits
from search_service.access.gate import Gate
from search_service.reembedding.offering import Offer, OfferOutcome
from search_service.reembedding.progress import Progress
from search_service.reembedding.reembeddings import Reembeddings
from search_service.servicers.paging import make_token, read_token, scope_of

SERVICE_NAME = "lookalike.v1.ReembeddingService"

Context = grpc.aio.ServicerContext[Any, Any]

_MOST_OFFERED = 64


class ReembeddingServicer(reembedding_pb2_grpc.ReembeddingServiceServicer):
    """The service over the pairs."""

    def __init__(self, gate: Gate, reembeddings: Reembeddings) -> None:
        self._gate = gate
        self._reembeddings = reembeddings

    async def StartReembedding(
        self, request: pb.StartReembeddingRequest, context: Context
    ) -> pb.StartReembeddingResponse:
        """Pair two collections."""
        source = self._gate.find(request.source, "source")
        target = self._gate.find(request.target, "target")
        progress = await self._reembeddings.start(source.uid, target.uid)
        return pb.StartReembeddingResponse(reembedding=_message(progress))

    async def RenameCollection(
        self, request: pb.RenameCollectionRequest, context: Context
    ) -> pb.RenameCollectionResponse:
        """Give a collection another name, with the old one as an alias."""
        await asyncio.to_thread(self._gate.rename, request.name, request.new_name)
        return pb.RenameCollectionResponse()

    async def GetReembedding(
        self, request: pb.GetReembeddingRequest, context: Context
    ) -> pb.GetReembeddingResponse:
        """Say how far a pair is."""
        progress = await self._reembeddings.progress(self._seen(request.collection))
        return pb.GetReembeddingResponse(reembedding=_message(progress))

    async def ListMissingItems(
        self, request: pb.ListMissingItemsRequest, context: Context
    ) -> pb.ListMissingItemsResponse:
        """List a page of items that lack a picture."""
        uid = self._seen(request.collection)
        scope = scope_of("missing", uid)
        found, after_id = await self._reembeddings.missing(
            uid, read_token(scope, request.page_token), limits.page_size(request.page_size)
        )
        return pb.ListMissingItemsResponse(
            items=[
                pb.MissingItem(
                    id=each.id,
                    version=each.version,
                    sha256=each.files.sha256,
                    further_sha256=each.files.further_sha256,
                    pictures=each.files.pictures,
                )
                for each in found
            ],
            next_page_token=make_token(scope, after_id) if after_id else "",
        )

    async def OfferImages(
        self, request: pb.OfferImagesRequest, context: Context
    ) -> pb.OfferImagesResponse:
        """Queue pictures that a collection lacks."""
        uid = self._seen(request.collection)
        limits.check_count("images", len(request.images), _MOST_OFFERED)
        offers = [Offer(each.id, each.image, tuple(each.further_images)) for each in request.images]
        if len({offer.id for offer in offers}) < len(offers):
            raise InvalidField("images", "names an item twice")
        outcomes = await self._reembeddings.offer(
            uid, offers, accept_changed=request.accept_changed
        )
        return pb.OfferImagesResponse(outcomes=map(_outcome_message, outcomes))

    async def EndReembedding(
        self, request: pb.EndReembeddingRequest, context: Context
    ) -> pb.EndReembeddingResponse:
        """End a pair."""
        uid = self._seen(request.collection)
        source, target, items = await self._reembeddings.end(uid, request.delete_collection)
        return pb.EndReembeddingResponse(source=source, target=target, deleted_items=items)

    def _seen(self, name: str) -> str:
        """Return the UID of a collection that the caller may use, as its pair may be."""
        uid = self._gate.find(name).uid
        for other in self._reembeddings.members(uid):
            self._gate.find(other)
        return uid


def _message(progress: Progress) -> pb.Reembedding:
    return pb.Reembedding(
        source=progress.source,
        target=progress.target,
        source_items=progress.source_items,
        target_items=progress.target_items,
        target_queued=progress.target_queued,
        target_missing=progress.target_missing,
        source_queued=progress.source_queued,
        source_missing=progress.source_missing,
        unsettled=progress.unsettled,
        source_only_queued=progress.source_only_queued,
        source_damage=progress.source_damage,
        target_damage=progress.target_damage,
    )


def _outcome_message(outcome: OfferOutcome) -> pb.OfferOutcome:
    message = pb.OfferOutcome(id=outcome.id, queued=outcome.queued)
    if outcome.error is not None:
        message.error.CopyFrom(to_item_error(outcome.error))
    return message
