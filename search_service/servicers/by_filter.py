"""Deletions and changes of all items that meet a filter, some at a time.

A batch is a small commit, and after each one searches and other writes have as long to
themselves as it took.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from lookalike.v1 import filter_pb2, search_pb2
from lookalike.wire.errors import InvalidField, PageTokenInvalid
from search_service.access.gate import Gate
from search_service.catalog.collection import Collection
from search_service.domain.conditions import AllOf, AnyOf, Filter, NoneOf
from search_service.domain.mutations import MutationOutcome, MutationStatus
from search_service.domain.selections import Extent, MetadataChange, Selection
from search_service.metrics import SearchMetrics
from search_service.offload import Offload
from search_service.servicers.filter_translation import filter_from_proto
from search_service.servicers.paging import make_token, read_token, scope_of
from search_service.servicers.structs import read_metadata
from search_service.servicers.translate import error_message
from search_service.servicers.writes import stopping

# Items of one commit: searches wait while it takes effect in memory, 50 to 100 us an item
# with ten fields of metadata. The bound below is met by batches that grow from the least.
_LEAST_BATCH, _MOST_BATCH = 16, 128
# A batch that took longer is followed by a smaller one, one of half that by a larger one.
_BATCH_S = 0.015
# Of the time, what batches may take: the rest is for searches and other writes.
_DUTY = 0.5
_MERGES = {
    search_pb2.METADATA_MODE_REPLACE: False,
    search_pb2.METADATA_MODE_MERGE: True,
}


@dataclass(slots=True)
class _Progress:
    """How far a call is; `changed` counts items deleted or updated."""

    matched: int
    items: int
    changed: int = 0
    unchanged: int = 0
    failed: int = 0
    upto: int = -1
    after: int = -1
    failures: list[MutationOutcome] = field(default_factory=list)
    token: str = ""
    done: bool = False

    def take(self, outcome: MutationOutcome) -> None:
        """Count an item."""
        if outcome.error is not None:
            self.failed += 1
            self.failures.append(outcome)
        elif outcome.changed and outcome.status is MutationStatus.APPLIED:
            self.changed += 1
        else:
            self.unchanged += 1


@dataclass(frozen=True, slots=True)
class _Call:
    """What is asked for; `scope` is what its tokens are good for."""

    collection: Collection
    filter: Filter | None
    change: MetadataChange | None
    scope: bytes
    token: str
    dry_run: bool


class ByFilter:
    """Translates the calls, and makes one batch after the other."""

    def __init__(self, gate: Gate, reads: Offload, metrics: SearchMetrics) -> None:
        self._gate = gate
        self._reads = reads
        self._metrics = metrics
        self._draining = False

    def drain(self) -> None:
        """Begin no more batches: calls end as NOT_READY."""
        self._draining = True

    async def delete(
        self, request: search_pb2.DeleteByFilterRequest
    ) -> AsyncIterator[search_pb2.DeleteByFilterResponse]:
        """Delete what meets a filter; yield how far it is after each batch.

        Raises:
            InvalidField: no filter, and `all` is not set; or the other way round.
            LookalikeError: see `ShardApi.change_selection`.
        """
        collection = self._gate.find(request.collection)
        call = _Call(
            collection,
            _read_filter(request.filter, all_items=request.all),
            None,
            scope_of("delete", collection.uid, request.filter),
            request.resume_token,
            request.dry_run,
        )
        async for progress in self._steps(call):
            yield search_pb2.DeleteByFilterResponse(
                matched=progress.matched,
                items=progress.items,
                deleted=progress.changed,
                done=progress.done,
                resume_token=progress.token,
            )

    async def update(
        self, request: search_pb2.UpdateByFilterRequest
    ) -> AsyncIterator[search_pb2.UpdateByFilterResponse]:
        """Change the metadata of what meets a filter; yield how far it is after each batch.

        Raises:
            InvalidField: as `delete`; or no mode, or nothing to change.
            LookalikeError: see `ShardApi.change_selection`.
        """
        collection = self._gate.find(request.collection)
        condition = _read_filter(request.filter, all_items=request.all)
        change = _read_change(request)
        kind = f"update {request.mode}"
        call = _Call(
            collection,
            condition,
            change,
            scope_of(kind, collection.uid, request.filter, request.metadata),
            request.resume_token,
            request.dry_run,
        )
        async for progress in self._steps(call):
            yield search_pb2.UpdateByFilterResponse(
                matched=progress.matched,
                items=progress.items,
                updated=progress.changed,
                unchanged=progress.unchanged,
                failed=progress.failed,
                failures=[
                    error_message(each.id, each.error, each.version)
                    for each in progress.failures
                    if each.error is not None
                ],
                done=progress.done,
                resume_token=progress.token,
            )

    async def _steps(self, call: _Call) -> AsyncIterator[_Progress]:
        """Count, then change batch after batch; yields the same object each time."""
        shard = call.collection.shard
        progress = _read_progress(call)
        if progress is None:
            progress = _Progress(
                matched=await self._reads.run(shard.count, call.filter),
                items=await self._reads.run(shard.count, None),
            )
            progress.done = call.dry_run
            yield progress
        extent = Extent(progress.upto, progress.after) if progress.upto >= 0 else None
        batch = _LEAST_BATCH
        while not progress.done:
            if self._draining:
                raise stopping()
            begun_s = time.monotonic()
            selection = Selection(call.filter, call.change, extent, batch)
            found = await asyncio.wrap_future(shard.change_selection(selection))
            took_s = time.monotonic() - begun_s
            self._note(call, progress, found.outcomes, found.extent)
            extent = found.extent
            yield progress
            batch = _next_batch(batch, took_s)
            if extent is not None:
                await asyncio.sleep(took_s * (1 - _DUTY) / _DUTY)

    def _note(
        self,
        call: _Call,
        progress: _Progress,
        outcomes: Sequence[MutationOutcome],
        extent: Extent | None,
    ) -> None:
        """Bring `progress` up to date."""
        progress.failures = []
        before = progress.changed
        for outcome in outcomes:
            progress.take(outcome)
        self._metrics.count_mutations("refused", len(progress.failures))
        self._metrics.count_mutations("applied", progress.changed - before)
        progress.done = extent is None
        progress.token = ""
        if extent is not None:
            progress.upto, progress.after = extent.upto, extent.after
            counts = [getattr(progress, name) for name in _KEPT]
            progress.token = make_token(call.scope, json.dumps(counts))


# What a token holds of `_Progress`, in this order.
_KEPT = ("matched", "items", "changed", "unchanged", "failed", "upto", "after")


def _read_progress(call: _Call) -> _Progress | None:
    """Return where a token says to go on; None: from the beginning.

    Raises:
        PageTokenInvalid: the token is not one of this call.
    """
    if not call.token:
        return None
    if call.dry_run:
        raise InvalidField("resume_token", "cannot be given with dry_run")
    try:
        kept = json.loads(read_token(call.scope, call.token))
    except PageTokenInvalid as error:
        message = "the token is not one of this call: give it with what it was got with, or none"
        raise PageTokenInvalid("resume_token", message) from error
    return _Progress(**dict(zip(_KEPT, kept, strict=True)))


def _read_filter(message: filter_pb2.Filter, *, all_items: bool) -> Filter | None:
    """Return the filter of a change of many items; None: everything is meant, in so many words.

    Raises:
        InvalidField: everything would be taken, and `all` is not set; or it is set
            beside a condition.
    """
    condition = filter_from_proto(message)
    everything = condition is None or _constant(condition) is True
    if everything and not all_items:
        raise InvalidField(
            "filter", "holds no condition and would take every item: set one, or set all"
        )
    if all_items and not everything:
        raise InvalidField("all", "takes every item: leave out the filter, or all")
    return None if everything else condition


def _constant(condition: Filter) -> bool | None:
    """Return what a filter says of every item, because it holds no condition; else None."""
    match condition:
        case AllOf(filters):
            found = [_constant(each) for each in filters]
            return False if False in found else None if None in found else True
        case AnyOf(filters):
            found = [_constant(each) for each in filters]
            return True if True in found else None if None in found else False
        case NoneOf(inner):
            said = _constant(inner)
            return None if said is None else not said
        case _:
            return None


def _read_change(request: search_pb2.UpdateByFilterRequest) -> MetadataChange:
    merge = _MERGES.get(request.mode)
    if merge is None:
        raise InvalidField("mode", "say whether metadata replaces the stored one or is merged")
    if not request.HasField("metadata"):
        raise InvalidField("metadata", "is not set")
    if merge and not request.metadata.fields:
        raise InvalidField("metadata", "is empty: merged, it would change nothing")
    return MetadataChange(read_metadata(request.metadata, "metadata"), merge)


def _next_batch(batch: int, took_s: float) -> int:
    """Return how many items to take next after a batch that took so long."""
    if took_s > _BATCH_S:
        return max(_LEAST_BATCH, batch // 2)
    return min(_MOST_BATCH, batch * 2) if took_s < _BATCH_S / 2 else batch
