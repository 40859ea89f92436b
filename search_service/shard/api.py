"""The boundary of a shard, as the rest of the service sees it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol

from search_service.domain.arrays import I64
from search_service.domain.collection import (
    CollectionSpec,
    RecallMeasurement,
    SettingsChange,
    ShardStats,
)
from search_service.domain.items import Facets, Fields, Order, OrderedItem, Place, StoredItem
from search_service.domain.mutations import Mutation, MutationOutcome
from search_service.domain.queries import QueryOutcome, QueryRequest
from search_service.domain.selections import Selection, SelectionOutcome

if TYPE_CHECKING:
    from search_service.domain.conditions import FieldPath, Filter


class ShardApi(Protocol):
    """One collection: durable store, head, segments, builder.

    Methods that return a `Future` never block and never run on the caller's
    thread; the others may touch the disk: call them off the event loop. Every
    future is resolved, at close with `Unavailable(NOT_READY)`.
    """

    @property
    def spec(self) -> CollectionSpec:
        """What the collection is, with the settings in force."""

    def reserve_versions(self, count: int) -> range:
        """Hand out `count` versions, greater than any before, also after a crash."""

    def submit(self, mutations: Sequence[Mutation]) -> Future[list[MutationOutcome]]:
        """Apply mutations; resolved when all are durable and visible to search.

        `len(outcomes) == len(mutations)`, same order. A mutation that is refused
        has an outcome with an error; the others go on.

        Raises (as the future's exception):
            Exhausted: the write queue or the head is full, or the disk is.
            Unavailable: the store failed or is closed.
        """

    def change_selection(self, selection: Selection) -> Future[SelectionOutcome]:
        """Delete or change the next items of a selection, as they are when their turn comes.

        Resolved when that is durable and visible to search. Cancelling the future before
        its turn drops the work.

        Raises (as the future's exception):
            FilterInvalid: the filter names what cannot be.
            Exhausted: the disk is full.
            Unavailable: the store failed or is closed.
        """

    def query(self, request: QueryRequest) -> Future[list[QueryOutcome]]:
        """Answer `len(request.vectors)` queries, in order.

        Cancelling the future before its turn drops the work.

        Raises (as the future's exception):
            Exhausted: too many queries wait.
            DeadlineExceeded: `deadline_s` passed first.
            FilterInvalid: the filter names what cannot be.
        """

    def query_here(self, request: QueryRequest) -> list[QueryOutcome] | None:
        """Answer one query on the caller's thread, where nothing waits and it is short.

        None where it is to be given to `query`. Takes a few milliseconds at most, as
        long as the memory is warm.

        Raises:
            LimitExceeded: what hits are to carry is too large.
            Unavailable: the store cannot be read.
        """

    def get(self, ids: Sequence[str], fields: Fields) -> list[StoredItem | None]:
        """Read items in the order of `ids`; None where there is none."""

    def list_items(
        self, *, filter: Filter | None, after_id: str, page_size: int, fields: Fields
    ) -> list[StoredItem]:
        """Read up to `page_size` items with ids after `after_id`, sorted by id."""

    def list_ordered(
        self,
        *,
        filter: Filter | None,
        order: Order,
        after: Place | None,
        page_size: int,
        fields: Fields,
    ) -> list[OrderedItem]:
        """Read up to `page_size` items that stand after `after` in `order`.

        Equal values by id; items without a value last. An item that is deleted
        meanwhile is left out.
        """

    def facets(self, field: FieldPath, filter: Filter | None, limit: int) -> Facets:
        """Count the values of `field`; the `limit` most frequent are listed."""

    def count(self, filter: Filter | None) -> int:
        """Count items."""

    def matching(self, filter: Filter | None) -> I64:
        """Return the ordinals of the items that meet `filter`, int64 [n] ascending."""

    def ids_of(self, ordinals: I64) -> list[str | None]:
        """Return the ids of `ordinals`, int64 [n]; None for one that is not live."""

    def facts_after(self, ordinal: int, count: int) -> list[tuple[int, bytes]]:
        """Read ordinals and image facts of the next `count` items stored after `ordinal`.

        Ascending, and all visible to search; those of deleted items are left out.
        """

    def remarks(self, filter: Filter) -> list[str]:
        """Say what a person should know of a filter that meets less than was meant."""

    def stats(self) -> ShardStats:
        """Say what the shard holds."""

    def update_settings(self, change: SettingsChange) -> CollectionSpec:
        """Change settings durably."""

    def measure_recall(
        self, *, sample_size: int, limit: int, expansions: Sequence[int], seed: int
    ) -> list[RecallMeasurement]:
        """Run stored vectors as queries through the graph and an exact scan."""

    def prune_tombstones(self, below_version: int) -> int:
        """Forget deletions with versions below `below_version`; return how many."""

    def note_damage(self, error: BaseException) -> None:
        """Remember that reading the store whole met damage: nothing more is written."""

    def close(self) -> None:
        """Finish what is committed, stop the builder, release files."""
