"""Moving a collection to another model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import grpc

from lookalike.v1 import reembedding_pb2, reembedding_pb2_grpc
from lookalike.wire.errors import InvalidField
from lookalike_client import calls, convert
from lookalike_client._async.paging import pages
from lookalike_client.inputs import ImageLike, image_bytes
from lookalike_client.types import EndedReembedding, MissingItem, OfferOutcome, Reembedding

# All ids are compared, at some 200,000 a second, and at the start what is queued is read
# and queued again.
LONG_TIMEOUT_S = 3_600.0


class AsyncReembeddings:
    """Pairs two collections of different models, fills the second, and ends the pair.

    Between `start` and `end` all that is submitted, deleted and changed in one of the two
    goes to the other, too; point an alias at the second when it is full.
    """

    def __init__(self, channel: grpc.aio.Channel, explain: calls.Explain, timeout_s: float) -> None:
        self._explain = explain
        self._stub = reembedding_pb2_grpc.ReembeddingServiceStub(channel)
        self._timeout_s = timeout_s

    async def rename(self, name: str, new_name: str) -> None:
        """Give a collection another name, and make the old one an alias of it."""
        request = reembedding_pb2.RenameCollectionRequest(name=name, new_name=new_name)
        with calls.translated(self._explain):
            await self._stub.RenameCollection(request, timeout=self._timeout_s)

    async def start(
        self, source: str, target: str, *, timeout_s: float = LONG_TIMEOUT_S
    ) -> Reembedding:
        """Pair a collection with an empty one of another model.

        What is queued for it is queued for the other one, too, as far as there is room
        within ten seconds: `source_only_queued` says how many are left for the next call.
        """
        request = reembedding_pb2.StartReembeddingRequest(source=source, target=target)
        with calls.translated(self._explain):
            response = await self._stub.StartReembedding(request, timeout=timeout_s)
        return convert.reembedding(response.reembedding)

    async def get(self, collection: str, *, timeout_s: float = LONG_TIMEOUT_S) -> Reembedding:
        """Say how far the pair is that a collection belongs to."""
        request = reembedding_pb2.GetReembeddingRequest(collection=collection)
        with calls.translated(self._explain):
            response = await self._stub.GetReembedding(request, timeout=timeout_s)
        return convert.reembedding(response.reembedding)

    async def missing(self, collection: str) -> AsyncIterator[MissingItem]:
        """Yield the items whose picture a collection of a pair lacks, by id."""
        request = reembedding_pb2.ListMissingItemsRequest(collection=collection, page_size=1000)
        async for page in pages(
            self._explain, self._stub.ListMissingItems, request, timeout_s=self._timeout_s
        ):
            for each in page.items:
                yield convert.missing_item(each)

    async def offer(
        self,
        collection: str,
        images: Mapping[str, ImageLike | Sequence[ImageLike]],
        *,
        accept_changed: bool = False,
    ) -> Sequence[OfferOutcome]:
        """Queue pictures, by id, of up to 64 items that a collection of a pair lacks.

        Each must be the file that the other collection was given, unless `accept_changed`;
        of an item with several pictures all are sent, as a list or tuple.
        """
        request = reembedding_pb2.OfferImagesRequest(
            collection=collection,
            images=[_offered(id, image) for id, image in images.items()],
            accept_changed=accept_changed,
        )
        with calls.translated(self._explain):
            response = await self._stub.OfferImages(request, timeout=self._timeout_s)
        outcomes = [convert.offer_outcome(each) for each in response.outcomes]
        return calls.same_length(outcomes, images)

    async def end(
        self, collection: str, *, delete_collection: str = "", timeout_s: float = LONG_TIMEOUT_S
    ) -> EndedReembedding:
        """End the pair that a collection belongs to; remove the named one of the two.

        What was deleted or changed in that one is taken over first.
        """
        request = reembedding_pb2.EndReembeddingRequest(
            collection=collection, delete_collection=delete_collection
        )
        with calls.translated(self._explain):
            response = await self._stub.EndReembedding(request, timeout=timeout_s)
        return EndedReembedding(response.source, response.target, response.deleted_items)


def _offered(id: str, pictures: ImageLike | Sequence[ImageLike]) -> reembedding_pb2.OfferedImage:
    if isinstance(pictures, bytes | bytearray | memoryview | str | Path):
        return reembedding_pb2.OfferedImage(id=id, image=image_bytes(pictures))
    if not pictures:
        raise InvalidField("images", f'"{id}" is given without a picture')
    first, *further = map(image_bytes, pictures)
    return reembedding_pb2.OfferedImage(id=id, image=first, further_images=further)
