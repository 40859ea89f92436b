"""`lookalike.v1.MatchService`: translates and delegates."""

# ruff: noqa: N802 - the contract names the methods

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from lookalike.v1 import bank_pb2 as pb
from lookalike.v1 import bank_pb2_grpc
from lookalike.wire.errors import LookalikeError
from lookalike.wire.status import to_item_error
from search_service import limits
from search_service.banks.bank import Banks
from search_service.banks.facts import seen_in
from search_service.catalog.catalog import Catalog
from search_service.catalog.collection import Collection
from search_service.domain.items import Fields
from search_service.offload import Offload
from search_service.servicers.match_messages import (
    hashes_to_remove,
    known_hashes,
    known_message,
)
from search_service.servicers.matches import Matches
from search_service.servicers.paging import make_token, read_token, scope_of
from search_service.servicers.request_stream import RequestStream, deadline_of

SERVICE_NAME = "lookalike.v1.MatchService"

Context = grpc.aio.ServicerContext[Any, Any]

_FACTS = Fields(facts=True)
# What a token goes on after: a hash on the list, or the id of an item.
_LISTED, _ITEM = "l", "i"


class MatchServicer(bank_pb2_grpc.MatchServiceServicer):
    """The service over banks."""

    def __init__(self, catalog: Catalog, banks: Banks, matches: Matches, reads: Offload) -> None:
        self._catalog = catalog
        self._banks = banks
        self._matches = matches
        self._reads = reads

    async def MatchImages(
        self, requests: AsyncIterator[pb.MatchImagesRequest], context: Context
    ) -> AsyncIterator[pb.MatchImagesResponse]:
        """Match images, each when it is its turn."""
        deadline_s = deadline_of(context)

        async def answer(request: pb.MatchImagesRequest) -> pb.MatchImagesResponse:
            return await self._match(request, deadline_s)

        stream = RequestStream(answer)
        async for response in stream.answers(requests):
            yield response

    async def GetBank(self, request: pb.GetBankRequest, context: Context) -> pb.GetBankResponse:
        """Say what a bank can match."""
        collection = self._catalog.find(request.collection)
        bank = self._banks.of(collection)
        counts = await self._reads.run(bank.item_counts)
        listed, low = await self._reads.run(bank.listed_counts)
        response = pb.GetBankResponse(
            items=counts.matched + counts.low_quality + counts.without,
            hashed_items=counts.matched,
            low_quality_items=counts.low_quality,
            items_without_pdq=counts.without,
            listed_hashes=listed,
            low_quality_hashes=low,
        )
        spec = collection.shard.spec
        kept = spec.calibration
        if kept is not None and kept.model_fingerprint == spec.model_fingerprint:
            response.threshold = kept.threshold
        return response

    async def ImportHashes(
        self, request: pb.ImportHashesRequest, context: Context
    ) -> pb.ImportHashesResponse:
        """Put hashes on a list."""
        bank = self._banks.of(self._catalog.find(request.collection))
        hashes = {each.hash: each for each in known_hashes(request.hashes)}
        added = await self._reads.run(bank.put, list(hashes.values()))
        return pb.ImportHashesResponse(added=added, replaced=len(hashes) - added)

    async def DeleteHashes(
        self, request: pb.DeleteHashesRequest, context: Context
    ) -> pb.DeleteHashesResponse:
        """Take hashes off a list."""
        bank = self._banks.of(self._catalog.find(request.collection))
        deleted = await self._reads.run(bank.remove, hashes_to_remove(request))
        return pb.DeleteHashesResponse(deleted=deleted)

    async def ListHashes(
        self, request: pb.ListHashesRequest, context: Context
    ) -> pb.ListHashesResponse:
        """Return a page of hashes."""
        collection = self._catalog.find(request.collection)
        size = limits.page_size(request.page_size)
        scope = scope_of("hashes+items" if request.include_items else "hashes", collection.uid)
        after = read_token(scope, request.page_token)
        if after.startswith(_ITEM):
            response, last = await self._item_page(collection, after[1:], size)
            response.next_page_token = "" if last is None else make_token(scope, _ITEM + last)
            return response
        bank = self._banks.of(collection)
        page = await self._reads.run(bank.page, bytes.fromhex(after[1:]), size + 1)
        response = pb.ListHashesResponse(hashes=[known_message(each) for each in page[:size]])
        if len(page) > size:
            response.next_page_token = make_token(scope, _LISTED + page[size - 1].hash.hex())
        elif request.include_items:
            response.next_page_token = make_token(scope, _ITEM)
        return response

    async def _item_page(
        self, collection: Collection, after_id: str, size: int
    ) -> tuple[pb.ListHashesResponse, str | None]:
        """Return the hashes of the next `size` items; and the last id, None at the end."""
        shard = collection.shard
        items = await self._reads.run(
            shard.list_items, filter=None, after_id=after_id, page_size=size, fields=_FACTS
        )
        response = pb.ListHashesResponse()
        for item in items:
            seen = seen_in(item.facts)
            if seen.hash:
                response.hashes.add(id=item.id, pdq_hash=seen.hash, pdq_quality=seen.quality)
        return response, items[-1].id if len(items) == size else None

    async def _match(
        self, request: pb.MatchImagesRequest, deadline_s: float | None
    ) -> pb.MatchImagesResponse:
        response = pb.MatchImagesResponse(request_id=request.request_id)
        try:
            result = await self._matches.match(request, deadline_s)
        except LookalikeError as error:
            response.error.CopyFrom(to_item_error(error))
        else:
            response.result.CopyFrom(result)
        return response
