"""Changes of items that are there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

import grpc

from lookalike.v1 import search_pb2_grpc
from lookalike_client import calls, convert, requests, types
from lookalike_client._async import streams
from lookalike_client.lists import texts
from lookalike_client.requests import FilterLike
from lookalike_client.types import MetadataLike


class AsyncChanges:
    """What the asyncio client changes and deletes."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        explain: calls.Explain,
        *,
        timeout_s: float,
        patience_s: float,
    ) -> None:
        """Speak to the service at the other end of `channel`."""
        self._own_channel = channel
        self._explain = explain
        self._timeout_s = timeout_s
        self._patience_s = patience_s
        self._search = search_pb2_grpc.SearchServiceStub(channel)

    @property
    def channel(self) -> grpc.aio.Channel:
        """The connection, for calls of the contract that this client has no method for."""
        return self._own_channel

    async def update_metadata(
        self, collection: str, updates: Mapping[str, MetadataLike], *, merge: bool = False
    ) -> Sequence[types.MutationResult]:
        """Replace the metadata of items by id and leave their vectors alone.

        `merge` applies each object to what is stored instead, as a JSON merge patch
        (RFC 7396): None takes a key away, objects are merged key by key, and anything
        else takes the place of what was there.

        "not_found" is also said of an id whose picture is still in the queue: it will be
        stored with metadata that replaces, and without what was to be merged.
        `MetadataItem` waits in the queue for its turn. One result an item, in their
        order. What cannot be metadata fails alone.
        """
        wanted = requests.MetadataUpdates(collection, updates, merge=merge)
        results: list[types.MutationResult] = []
        for request in wanted.requests():
            with calls.translated(self._explain):
                response = await self._search.UpdateMetadata(request, timeout=self._timeout_s)
            results.extend(convert.mutation_results(response.results, response.position))
        return wanted.results(results)

    async def delete(self, collection: str, ids: Sequence[str]) -> Sequence[types.MutationResult]:
        """Delete items, in their order; durable on return.

        What was submitted for an id before and is still in the queue is not stored later.
        """
        ids = texts("ids", ids)
        results: list[types.MutationResult] = []
        for request in requests.deletions(collection, ids):
            with calls.translated(self._explain):
                response = await self._search.DeleteItems(request, timeout=self._timeout_s)
            results.extend(convert.mutation_results(response.results, response.position))
        return calls.same_length(results, ids)

    async def delete_by_filter(
        self,
        collection: str,
        filter: FilterLike = None,
        *,
        all_items: bool = False,
        dry_run: bool = False,
    ) -> AsyncIterator[types.DeleteProgress]:
        """Delete the items that meet `filter`, some at a time; yield how far it is.

        The first progress comes before anything is deleted, and is all with `dry_run`.
        Without a filter, `all_items` must say that everything is meant. What is stored
        meanwhile is left alone. Iterate to make it run; whoever stops early, or fails,
        goes on with what is left by calling it again.
        """
        request = requests.delete_by_filter(
            collection, filter, all_items=all_items, dry_run=dry_run
        )
        async for message in streams.follow(
            self._search.DeleteByFilter, request, calls.Patience(self._patience_s, self._explain)
        ):
            yield convert.delete_progress(message)

    async def update_by_filter(
        self,
        collection: str,
        metadata: MetadataLike,
        filter: FilterLike = None,
        *,
        merge: bool = True,
        all_items: bool = False,
        dry_run: bool = False,
    ) -> AsyncIterator[types.UpdateProgress]:
        """Merge `metadata` into that of the items that meet `filter`; yield how far it is.

        `merge` as in `update_metadata`: without it, `metadata` replaces what is stored.
        Items that have it already are passed over. All else as in `delete_by_filter`.
        """
        request = requests.update_by_filter(
            collection, metadata, filter, merge=merge, all_items=all_items, dry_run=dry_run
        )
        async for message in streams.follow(
            self._search.UpdateByFilter, request, calls.Patience(self._patience_s, self._explain)
        ):
            yield convert.update_progress(message)
