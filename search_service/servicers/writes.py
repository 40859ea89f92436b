"""Mutations: a stream of vectors, metadata updates, deletions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

from lookalike.v1 import search_pb2
from lookalike.wire.errors import InvalidField, LookalikeError, Precondition, Reason, Unavailable
from lookalike.wire.traces import spans
from search_service import limits
from search_service.access.gate import Gate
from search_service.domain.arrays import F32
from search_service.domain.collection import CollectionSpec
from search_service.domain.mutations import (
    Delete,
    Mutation,
    MutationOutcome,
    UpdateMetadata,
    Upsert,
)
from search_service.metrics import SearchMetrics
from search_service.servicers.named import read_vectors
from search_service.servicers.specs import read_policy_override
from search_service.servicers.structs import check_kept, read_guard, read_metadata
from search_service.servicers.translate import error_message, outcome_message, split_facts
from search_service.servicers.vectors import unit_matrix, unit_vector
from search_service.shard.api import ShardApi

# Messages of one stream whose items are being committed while the next is read:
# enough that the store's group commit always has work, and a bound on memory.
_MAX_MESSAGES_UNDER_WAY = 8
# Items that are translated before other calls get a turn: 100 of 512 dimensions with
# five fields of metadata took 3.7 ms on a busy machine.
_ITEMS_A_TURN = 100

# Modes of an update that replace.
_REPLACING = (search_pb2.METADATA_MODE_UNSPECIFIED, search_pb2.METADATA_MODE_REPLACE)

M = TypeVar("M")
Results = list[search_pb2.MutationResult]


class Writes:
    """Translates mutations, submits them, and translates their outcomes."""

    def __init__(self, gate: Gate, metrics: SearchMetrics) -> None:
        self._gate = gate
        self._metrics = metrics
        self._readers: set[asyncio.Task[None]] = set()
        self._draining = False

    def drain(self) -> None:
        """Read no more: each stream acknowledges what it read, then ends as NOT_READY."""
        self._draining = True
        for reader in self._readers:
            reader.cancel()

    async def upsert_stream(
        self, requests: AsyncIterator[search_pb2.UpsertVectorsRequest]
    ) -> AsyncIterator[search_pb2.UpsertVectorsResponse]:
        """Yield one response a request, in order; reads on while commits are under way.

        Raises:
            InvalidField: a message without a collection or items.
            LimitExceeded: too many items in a message.
        """
        under_way: asyncio.Queue[_Batch | BaseException | None] = asyncio.Queue(
            _MAX_MESSAGES_UNDER_WAY
        )
        reader = asyncio.create_task(self._read_upserts(requests, under_way))
        self._readers.add(reader)
        try:
            while (batch := await under_way.get()) is not None:
                if isinstance(batch, BaseException):
                    raise batch
                results = await self._finish(batch)
                yield search_pb2.UpsertVectorsResponse(results=results, position=batch.position)
        finally:
            self._readers.discard(reader)
            reader.cancel()
            await asyncio.wait([reader])

    async def update_metadata(
        self, request: search_pb2.UpdateMetadataRequest
    ) -> search_pb2.UpdateMetadataResponse:
        """Replace or merge metadata; one result an update, in their order."""
        shard = self._gate.find(request.collection).shard
        limits.check_count("updates", len(request.updates), limits.MAX_ITEMS_PER_MESSAGE)
        batch = _Batch()
        async for start, updates in _turns(request.updates):
            for index, update in enumerate(updates, start):
                batch.read(update.id, _read_update, update, f"updates[{index}]")
        batch.submit(shard)
        results = await self._finish(batch)
        return search_pb2.UpdateMetadataResponse(results=results, position=batch.position)

    async def delete(
        self, request: search_pb2.DeleteItemsRequest
    ) -> search_pb2.DeleteItemsResponse:
        """Delete items; one result an item, in their order."""
        shard = self._gate.find(request.collection).shard
        limits.check_count("items", len(request.items), limits.MAX_ITEMS_PER_MESSAGE)
        batch = _Batch()
        async for start, items in _turns(request.items):
            for index, item in enumerate(items, start):
                batch.read(item.id, _read_delete, item, f"items[{index}]")
        batch.submit(shard)
        results = await self._finish(batch)
        return search_pb2.DeleteItemsResponse(results=results, position=batch.position)

    async def _read_upserts(
        self,
        requests: AsyncIterator[search_pb2.UpsertVectorsRequest],
        under_way: asyncio.Queue[_Batch | BaseException | None],
    ) -> None:
        """Submit message after message; a failure of the stream comes after its answers."""
        name = ""
        try:
            async for request in requests:
                name = request.collection or name
                await under_way.put(await self._submit_upserts(name, request))
        except asyncio.CancelledError:
            if not self._draining:
                raise
            await under_way.put(stopping())
        except Exception as error:  # noqa: BLE001 - passed on to the stream, which raises it
            await under_way.put(error)
        else:
            await under_way.put(None)

    async def _submit_upserts(self, name: str, request: search_pb2.UpsertVectorsRequest) -> _Batch:
        if not name:
            raise InvalidField("collection", "the first message of a stream names the collection")
        limits.check_count("items", len(request.items), limits.MAX_ITEMS_PER_MESSAGE)
        batch = _Batch()
        try:
            shard = self._gate.find(name).shard
        except LookalikeError as error:
            # A stream may serve many collections, of which one may be deleted meanwhile.
            batch.refuse_all([item.id for item in request.items], error)
            return batch
        spec = shard.spec
        async for start, items in _turns(request.items):
            _read_upserts(batch, items, start, spec)
        batch.submit(shard)
        return batch

    async def _finish(self, batch: _Batch) -> Results:
        with spans.stage("commit"):
            results = await batch.results()
        for result in results:
            self._metrics.count_mutations(_OUTCOMES.get(result.status, "refused"))
        return results


_OUTCOMES = {
    search_pb2.MUTATION_STATUS_APPLIED: "applied",
    search_pb2.MUTATION_STATUS_SUPERSEDED: "superseded",
    search_pb2.MUTATION_STATUS_NOT_FOUND: "not_found",
    search_pb2.MUTATION_STATUS_REJECTED_DUPLICATE: "rejected_duplicate",
}


class _Batch:
    """The mutations of one message: some refused at once, the others submitted."""

    def __init__(self) -> None:
        self._slots: list[Mutation | search_pb2.MutationResult] = []
        self._submitted: Future[list[MutationOutcome]] | None = None
        self.position = 0  # of the last in the collection's log, once acknowledged

    def read(
        self, item_id: str, read: Callable[[M, str], Mutation], message: M, field: str
    ) -> None:
        """Add what `read` makes of a message, or its error."""
        try:
            limits.check_id(item_id, f"{field}.id")
            self._slots.append(read(message, field))
        except LookalikeError as error:
            self._slots.append(error_message(item_id, error))

    def refuse_all(self, item_ids: Sequence[str], error: LookalikeError) -> None:
        """Add the same error for each id."""
        self._slots.extend(error_message(item_id, error) for item_id in item_ids)

    def submit(self, shard: ShardApi) -> None:
        """Hand over what was not refused."""
        mutations = [
            slot for slot in self._slots if not isinstance(slot, search_pb2.MutationResult)
        ]
        if mutations:
            self._submitted = shard.submit(mutations)

    async def results(self) -> Results:
        """Return one result a slot, in order."""
        outcomes: list[MutationOutcome] = []
        failure: LookalikeError | None = None
        if self._submitted is not None:
            try:
                outcomes = await asyncio.wrap_future(self._submitted)
            except LookalikeError as error:
                failure = error  # of each item: what was refused besides keeps its own
        self.position = max((outcome.position for outcome in outcomes), default=0)
        finished = iter(outcomes)
        results: Results = []
        for slot in self._slots:
            if isinstance(slot, search_pb2.MutationResult):
                results.append(slot)
            elif failure is not None:
                results.append(error_message(slot.id, failure))
            else:
                results.append(outcome_message(next(finished)))
        return results


async def _turns(messages: Sequence[M]) -> AsyncIterator[tuple[int, Sequence[M]]]:
    """Give messages by parts, each with the place of its first; other calls run between them."""
    for start in range(0, len(messages), _ITEMS_A_TURN):
        yield start, messages[start : start + _ITEMS_A_TURN]
        await asyncio.sleep(0)


def _read_upserts(
    batch: _Batch, items: Sequence[search_pb2.VectorUpsert], start: int, spec: CollectionSpec
) -> None:
    """Add items to a batch; all vectors at once where none is wrong."""
    matrix = unit_matrix([item.vector_f32_le for item in items], spec.dimension)
    for index, item in enumerate(items):
        row = matrix[index] if matrix is not None else None
        read = partial(_read_upsert, row=row, spec=spec)
        batch.read(item.id, read, item, f"items[{start + index}]")


def _read_upsert(
    item: search_pb2.VectorUpsert, field: str, *, row: F32 | None, spec: CollectionSpec
) -> Upsert:
    if spec.model_fingerprint and item.model_fingerprint != spec.model_fingerprint:
        raise Precondition(
            _mismatch(item.model_fingerprint, spec),
            reason=Reason.MODEL_MISMATCH,
            field=f"{field}.model_fingerprint",
        )
    if row is None:
        row = unit_vector(item.vector_f32_le, spec.dimension, f"{field}.vector_f32_le")
    further, named = read_vectors(item, spec, field) if item.vectors else ((), {})
    facts, thumbnail = b"", b""
    if item.HasField("facts"):
        facts, thumbnail = split_facts(item.facts, f"{field}.facts")
    metadata = (
        read_metadata(item.metadata, f"{field}.metadata") if item.HasField("metadata") else {}
    )
    policy = read_policy_override(
        item.duplicate_policy,
        None if item.version else spec.duplicates,
        f"{field}.duplicate_policy",
    )
    if item.keep_metadata:
        check_kept(item.metadata, f"{field}.metadata")
    return Upsert(
        item.id, row, metadata, facts, thumbnail, item.version, policy, item.keep_metadata,
        read_guard(item, field),
        further=further, named=named,
    )  # fmt: skip


def _read_update(update: search_pb2.MetadataUpdate, field: str) -> UpdateMetadata:
    metadata = read_metadata(update.metadata, f"{field}.metadata")
    merge = update.mode == search_pb2.METADATA_MODE_MERGE
    if not merge and update.mode not in _REPLACING:
        raise InvalidField(f"{field}.mode", "is none of the modes")
    if merge and update.version:
        raise InvalidField(
            f"{field}.version", "must be 0: a merge is made with what is stored, at once"
        )
    guard = read_guard(update, field)
    return UpdateMetadata(update.id, metadata, update.version, merge=merge, guard=guard)


def _read_delete(item: search_pb2.ItemDelete, field: str) -> Delete:
    return Delete(item.id, item.version, read_guard(item, field))


def _mismatch(got: str, spec: CollectionSpec) -> str:
    made = f"was made by model {got[:12]}…" if got else "names no model"
    return (
        f'the vector {made}; collection "{spec.name}" takes those of {spec.model_fingerprint[:12]}…'
    )


def stopping() -> Unavailable:
    """Return what ends a stream when the service stops."""
    return Unavailable(
        "the search service is stopping; send again what was not acknowledged",
        reason=Reason.NOT_READY,
        retry_delay_s=1.0,
    )
