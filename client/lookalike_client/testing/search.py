"""The fake service's items: storing, reading, searching."""

# ruff: noqa: N802 - the contract names the methods

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lookalike.v1 import search_pb2, search_pb2_grpc
from lookalike.wire.errors import InvalidField, LookalikeError
from lookalike.wire.status import to_item_error
from lookalike.wire.vectors import encode
from lookalike_client import structs
from lookalike_client.testing import changes, reading
from lookalike_client.testing.answering import check_count, check_id, page_of, streaming, unary
from lookalike_client.testing.querying import answer, vector_of
from lookalike_client.testing.state import State, failed

_MOST_AT_ONCE = 1000
_MOST_IMAGES = 256
_DEFAULT_FACETS = 10


class SearchServicer(search_pb2_grpc.SearchServiceServicer):
    """Stores, reads and searches items."""

    def __init__(self, state: State) -> None:
        self._state = state

    @unary
    def Search(self, request: search_pb2.SearchRequest) -> search_pb2.SearchResponse:
        return self._answer(request)

    @streaming
    def SearchStream(
        self, request_iterator: Iterator[search_pb2.SearchStreamRequest]
    ) -> Iterator[search_pb2.SearchStreamResponse]:
        for request in request_iterator:
            response = search_pb2.SearchStreamResponse(request_id=request.request_id)
            try:
                response.search.CopyFrom(self._answer(request.search))
            except LookalikeError as error:
                response.error.CopyFrom(to_item_error(error))
            yield response

    @streaming
    def UpsertVectors(
        self, request_iterator: Iterator[search_pb2.UpsertVectorsRequest]
    ) -> Iterator[search_pb2.UpsertVectorsResponse]:
        name = ""
        for request in request_iterator:
            name = request.collection or name
            if not name:
                raise InvalidField("collection", "the first message names the collection")
            check_count("items", len(request.items), _MOST_AT_ONCE)
            with self._state.lock:
                results = self._upserted(name, request)
            yield search_pb2.UpsertVectorsResponse(results=results)

    @unary
    def UpdateMetadata(
        self, request: search_pb2.UpdateMetadataRequest
    ) -> search_pb2.UpdateMetadataResponse:
        check_count("updates", len(request.updates), _MOST_AT_ONCE)
        with self._state.lock:
            collection = self._state.find(request.collection)
            return search_pb2.UpdateMetadataResponse(
                results=[
                    collection.update(each, where=f"updates[{index}].")
                    for index, each in enumerate(request.updates)
                ]
            )

    @unary
    def DeleteItems(self, request: search_pb2.DeleteItemsRequest) -> search_pb2.DeleteItemsResponse:
        check_count("items", len(request.items), _MOST_AT_ONCE)
        with self._state.lock:
            collection = self._state.find(request.collection)
            return search_pb2.DeleteItemsResponse(
                results=[
                    collection.delete(each.id, where=f"items[{index}].")
                    for index, each in enumerate(request.items)
                ]
            )

    @streaming
    def DeleteByFilter(
        self, request: search_pb2.DeleteByFilterRequest
    ) -> Iterator[search_pb2.DeleteByFilterResponse]:
        with self._state.lock:
            collection = self._state.find(request.collection)
            changes.check_all(request.filter, all_items=request.all)
            found = changes.selected(collection, request.filter)
            response = search_pb2.DeleteByFilterResponse(
                matched=len(found), items=len(collection.items), done=request.dry_run
            )
        yield response
        for part in () if request.dry_run else changes.parts(found, request.resume_token):
            with self._state.lock:
                for item in part:
                    collection.delete(item.id)
            response.deleted += len(part)
            response.done = not part or part[-1] is found[-1]
            response.resume_token = "" if response.done else changes.resume_token(part)
            yield response

    @streaming
    def UpdateByFilter(
        self, request: search_pb2.UpdateByFilterRequest
    ) -> Iterator[search_pb2.UpdateByFilterResponse]:
        with self._state.lock:
            collection = self._state.find(request.collection)
            changes.check_all(request.filter, all_items=request.all)
            change = changes.change_of(request, structs.to_dict(request.metadata))
            found = changes.selected(collection, request.filter)
            response = search_pb2.UpdateByFilterResponse(
                matched=len(found), items=len(collection.items), done=request.dry_run
            )
        yield response
        for part in () if request.dry_run else changes.parts(found, request.resume_token):
            with self._state.lock:
                results = [changes.changed(collection, item, change) for item in part]
            response.ClearField("failures")
            response.failures.extend(each for each in results if each and each.HasField("error"))
            response.failed += len(response.failures)
            response.unchanged += results.count(None)
            response.updated = response.updated + len(part) - results.count(None)
            response.updated -= len(response.failures)
            response.done = not part or part[-1] is found[-1]
            response.resume_token = "" if response.done else changes.resume_token(part)
            yield response

    @unary
    def GetItems(self, request: search_pb2.GetItemsRequest) -> search_pb2.GetItemsResponse:
        check_count("ids", len(request.ids), _MOST_AT_ONCE)
        for index, item_id in enumerate(request.ids):
            check_id(item_id, f"ids[{index}]")
        with self._state.lock:
            items = self._state.find(request.collection).items
            return search_pb2.GetItemsResponse(
                items=[
                    reading.item_message(items[each], request.fields)
                    for each in request.ids
                    if each in items
                ],
                missing_ids=[each for each in request.ids if each not in items],
            )

    @unary
    def ListItems(self, request: search_pb2.ListItemsRequest) -> search_pb2.ListItemsResponse:
        with self._state.lock:
            items = changes.selected(self._state.find(request.collection), request.filter)
            if request.HasField("order"):
                items = reading.ordered(items, request.order)
            page, token = page_of(items, request.page_size, request.page_token)
            return search_pb2.ListItemsResponse(
                items=[reading.item_message(each, request.fields) for each in page],
                next_page_token=token,
            )

    @unary
    def CountItems(self, request: search_pb2.CountItemsRequest) -> search_pb2.CountItemsResponse:
        with self._state.lock:
            found = changes.selected(self._state.find(request.collection), request.filter)
            return search_pb2.CountItemsResponse(count=len(found))

    @unary
    def MakeVectors(self, request: search_pb2.MakeVectorsRequest) -> search_pb2.MakeVectorsResponse:
        check_count("images", len(request.images), _MOST_IMAGES)
        with self._state.lock:
            collection = self._state.find(request.collection)
            made = [
                vector_of(collection, self._state.model, image, f"images[{place}]")
                for place, image in enumerate(request.images)
            ]
        return search_pb2.MakeVectorsResponse(
            vectors_f32_le=map(encode, made),
            model_fingerprint=collection.message.model_fingerprint,
        )

    @unary
    def CountFacets(self, request: search_pb2.CountFacetsRequest) -> search_pb2.CountFacetsResponse:
        with self._state.lock:
            items = changes.selected(self._state.find(request.collection), request.filter)
        held = [reading.values_at(each, request.field, "field") for each in items]
        counts = Counter(value for values in held for value in values)
        frequent = sorted(counts, key=lambda value: (-counts[value], value))
        named = frequent[: request.limit or _DEFAULT_FACETS]
        return search_pb2.CountFacetsResponse(
            facets=[
                search_pb2.Facet(value=reading.value_message(value), count=counts[value])
                for value in named
            ],
            items=len(items),
            missing=sum(not values for values in held),
            other=sum(bool(values) and values.isdisjoint(named) for values in held),
            values=len(counts),
        )

    def _answer(self, request: search_pb2.SearchRequest) -> search_pb2.SearchResponse:
        with self._state.lock:
            return answer(self._state.find(request.collection), self._state.model, request)

    def _upserted(
        self, name: str, request: search_pb2.UpsertVectorsRequest
    ) -> list[search_pb2.MutationResult]:
        try:
            collection = self._state.find(name)
        except LookalikeError as error:
            return [failed(item.id, error) for item in request.items]
        return [
            collection.upsert(item, where=f"items[{index}].")
            for index, item in enumerate(request.items)
        ]
