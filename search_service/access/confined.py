"""A shard as a caller sees it who is confined to a part of its items.

Every method of `ShardApi` is here: what can be restricted is, and what cannot is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import NoReturn, TypeVar

from lookalike.wire.errors import InvalidField, LimitExceeded, PermissionDenied
from search_service.domain.arrays import I64
from search_service.domain.collection import (
    CollectionSpec,
    RecallMeasurement,
    SettingsChange,
    ShardStats,
)
from search_service.domain.conditions import FieldPath, Filter
from search_service.domain.confinement import Confinement
from search_service.domain.items import Facets, Fields, Order, OrderedItem, Place, StoredItem
from search_service.domain.metadata import Metadata, encode_metadata
from search_service.domain.mutations import Delete, Mutation, MutationOutcome, Upsert
from search_service.domain.queries import Hit, QueryOutcome, QueryRequest
from search_service.domain.reading import ANYTIME, Reading
from search_service.domain.selections import Selection, SelectionOutcome
from search_service.limits import MAX_METADATA_BYTES
from search_service.shard.api import ShardApi

A = TypeVar("A")
B = TypeVar("B")
# Reads of an item and of whose it is that a change came between.
_READS = 4


class ConfinedShard:
    """`ShardApi` over the items of `confinement`."""

    def __init__(self, shard: ShardApi, confinement: Confinement) -> None:
        self._shard = shard
        self._confinement = confinement
        self._paths = tuple(path for path, _ in confinement.fields)

    @property
    def spec(self) -> CollectionSpec:
        """See `ShardApi`; without the counts of what it was calibrated on."""
        spec = self._shard.spec
        if spec.calibration is None:
            return spec
        return replace(spec, calibration=replace(spec.calibration, images=0, gallery_items=0))

    def reserve_versions(self, count: int) -> range:
        """Refused: versions are for the queue."""
        _refuse()

    def submit(self, mutations: Sequence[Mutation]) -> Future[list[MutationOutcome]]:
        """See `ShardApi`; each is refused that would touch what is not the caller's."""
        allowed: list[Mutation] = []
        refusals: dict[int, MutationOutcome] = {}
        for place, mutation in enumerate(mutations):
            try:
                allowed.append(self._guarded(mutation))
            except (PermissionDenied, InvalidField) as error:
                refusals[place] = MutationOutcome(mutation.id, None, 0, error=error)

        def all_of(outcomes: list[MutationOutcome]) -> list[MutationOutcome]:
            left = iter(outcomes)
            return [refusals.get(place) or next(left) for place in range(len(mutations))]

        if not allowed:
            done: Future[list[MutationOutcome]] = Future()
            done.set_result(all_of([]))
            return done
        return _then(self._shard.submit(allowed), all_of)

    def change_selection(self, selection: Selection) -> Future[SelectionOutcome]:
        """See `ShardApi`."""
        change = selection.change
        if change is not None:
            change = replace(
                change, metadata=stamped(self._confinement, change.metadata, "metadata")
            )
        condition = self._confinement.within(selection.filter)
        own = replace(selection, filter=condition, change=change, guard=self._confinement)
        return self._shard.change_selection(own)

    def query(self, request: QueryRequest) -> Future[list[QueryOutcome]]:
        """See `ShardApi`."""
        return _then(self._shard.query(self._own(request)), self._outcomes)

    def query_here(self, request: QueryRequest) -> list[QueryOutcome] | None:
        """See `ShardApi`."""
        outcomes = self._shard.query_here(self._own(request))
        return None if outcomes is None else self._outcomes(outcomes)

    def get(
        self, ids: Sequence[str], fields: Fields, reading: Reading = ANYTIME
    ) -> list[StoredItem | None]:
        """See `ShardApi`; an item of somebody else is none."""
        get = partial(self._shard.get, ids, reading=reading)
        if fields.metadata and not fields.metadata_paths:
            return [
                None if item is None or not self._shows(item) else _without_near(item)
                for item in get(fields)
            ]
        whose = Fields(metadata=True, metadata_paths=self._paths)
        for _ in range(_READS):
            items, told = get(fields), get(whose)
            if [_version(each) for each in items] == [_version(each) for each in told]:
                break
        return [
            _without_near(item)
            if item is not None
            and said is not None
            and item.version == said.version
            and self._shows(said)
            else None
            for item, said in zip(items, told, strict=True)
        ]

    def list_items(
        self, *, filter: Filter | None, after_id: str, page_size: int, fields: Fields
    ) -> list[StoredItem]:
        """See `ShardApi`."""
        own = self._confinement.within(filter)
        items = self._shard.list_items(
            filter=own, after_id=after_id, page_size=page_size, fields=fields
        )
        return list(map(_without_near, items))

    def list_ordered(
        self,
        *,
        filter: Filter | None,
        order: Order,
        after: Place | None,
        page_size: int,
        fields: Fields,
    ) -> list[OrderedItem]:
        """See `ShardApi`."""
        own = self._confinement.within(filter)
        items = self._shard.list_ordered(
            filter=own, order=order, after=after, page_size=page_size, fields=fields
        )
        return [OrderedItem(each.place, _without_near(each.item)) for each in items]

    def facets(self, field: FieldPath, filter: Filter | None, limit: int) -> Facets:
        """See `ShardApi`."""
        return self._shard.facets(field, self._confinement.within(filter), limit)

    def count(self, filter: Filter | None) -> int:
        """See `ShardApi`."""
        return self._shard.count(self._confinement.within(filter))

    def matching(self, filter: Filter | None) -> I64:
        """See `ShardApi`."""
        return self._shard.matching(self._confinement.within(filter))

    def remarks(self, filter: Filter) -> list[str]:
        """Return none: what they say is of all items."""
        return []

    def stats(self) -> ShardStats:
        """Return how many items there are; the rest is of all of them."""
        return ShardStats(
            items=self.count(None),
            head_vectors=0,
            unindexed_vectors=0,
            graph_vectors=0,
            side_list_vectors=0,
            segments=0,
            disk_bytes=0,
            builds=0,
            last_build_error="",
            building=False,
        )

    def update_settings(self, change: SettingsChange) -> CollectionSpec:
        """Refused: they are everybody's."""
        _refuse()

    def measure_recall(
        self, *, sample_size: int, limit: int, expansions: Sequence[int], seed: int
    ) -> list[RecallMeasurement]:
        """Refused: its queries are everybody's items."""
        _refuse()

    def ids_of(self, ordinals: I64) -> list[str | None]:
        """Refused: ordinals are everybody's items."""
        _refuse()

    def facts_after(self, ordinal: int, count: int) -> list[tuple[int, bytes]]:
        """Refused: it goes through everybody's items."""
        _refuse()

    def prune_tombstones(self, below_version: int) -> int:
        """Refused."""
        _refuse()

    def note_damage(self, error: BaseException) -> None:
        """See `ShardApi`."""
        self._shard.note_damage(error)

    def close(self) -> None:
        """Refused."""
        _refuse()

    def _own(self, request: QueryRequest) -> QueryRequest:
        return replace(request, filter=self._confinement.within(request.filter))

    def _outcomes(self, outcomes: list[QueryOutcome]) -> list[QueryOutcome]:
        return list(map(_outcome, outcomes))

    def _shows(self, item: StoredItem) -> bool:
        return self._confinement.shows(item.metadata or {})

    def _guarded(self, mutation: Mutation) -> Mutation:
        if mutation.version:
            raise InvalidField("version", "must be 0 with an API key that is bound to metadata")
        if mutation.guard is not None:
            raise InvalidField("guard", "must be empty with an API key that is bound to metadata")
        if isinstance(mutation, Delete):
            return replace(mutation, guard=self._confinement)
        metadata = mutation.metadata
        if not (isinstance(mutation, Upsert) and mutation.keep_metadata):
            metadata = stamped(self._confinement, metadata, "metadata")
        return replace(mutation, metadata=metadata, guard=self._confinement)


def stamped(confinement: Confinement, metadata: Metadata, field: str) -> Metadata:
    """Return metadata with the values that a caller is confined to.

    Raises:
        PermissionDenied: it has other ones.
        LimitExceeded: it is too large with them.
    """
    own = confinement.stamped(metadata, field)
    if len(encode_metadata(own)) > MAX_METADATA_BYTES:
        raise LimitExceeded(
            field, f"with what the API key adds, is larger than {MAX_METADATA_BYTES:,} bytes"
        )
    return own


def _outcome(outcome: QueryOutcome) -> QueryOutcome:
    """Return what was found without what tells of others: how much there is besides."""
    matches = outcome.plan.filter_matches
    plan = replace(outcome.plan, items=matches, gathered_queries=1, confined=True)
    groups = [replace(group, hits=_hits(group.hits)) for group in outcome.groups]
    return replace(outcome, hits=_hits(outcome.hits), groups=groups, plan=plan)


def _hits(hits: Sequence[Hit]) -> Sequence[Hit]:
    return [hit if hit.item is None else hit._replace(item=_without_near(hit.item)) for hit in hits]


def _without_near(item: StoredItem) -> StoredItem:
    """Return an item without the id of what it resembles, which may be somebody else's."""
    return replace(item, near_duplicate_of="") if item.near_duplicate_of else item


def _version(item: StoredItem | None) -> int:
    return 0 if item is None else item.version


def _then(inner: Future[A], change: Callable[[A], B]) -> Future[B]:
    """Return a future of what `change` makes of a result; cancelling it cancels `inner`."""
    outer: Future[B] = Future()

    def finish(done: Future[A]) -> None:
        if done.cancelled() or not outer.set_running_or_notify_cancel():
            return
        error = done.exception()
        if error is not None:
            outer.set_exception(error)
            return
        try:
            outer.set_result(change(done.result()))
        except Exception as fault:  # noqa: BLE001 - the caller waits, and must hear of it
            outer.set_exception(fault)

    outer.add_done_callback(lambda one: inner.cancel() if one.cancelled() else None)
    inner.add_done_callback(finish)
    return outer


def _refuse() -> NoReturn:
    raise PermissionDenied(
        "this API key sees a part of the items only, and the call is about all of them"
    )
