"""Pairs of collections as a whole: what the servicer delegates to."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lookalike.wire.errors import Exhausted, InvalidField, NotFound, Precondition, Reason
from search_service.domain.collection import DuplicatePolicy
from search_service.ingest.twins import copy_for_twin
from search_service.reembedding.comparing import NOTHING, Difference, pages
from search_service.reembedding.offering import Offer, OfferOutcome, Offers, stored_hashes
from search_service.reembedding.pairs import Pair, Pairs, twinned

if TYPE_CHECKING:
    from search_service.catalog.catalog import Catalog
    from search_service.catalog.collection import Collection
    from search_service.ingest.copies import Copies

_log = logging.getLogger(__name__)

# Pages of a comparison that one call reads at most: 40,000 ids, some tens of milliseconds.
_PAGES_A_CALL = 20
# What is committed is taken over in `settling._EVERY_S`, and the queue tells what ended each
# second: without a backlog there is nothing left long before.
_END_WAIT_S = 5.0
_LOOK_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pair is; see `lookalike.v1.Reembedding`."""

    source: str
    target: str
    source_items: int
    target_items: int
    target_queued: int = 0
    target_missing: int = 0
    source_queued: int = 0
    source_missing: int = 0
    unsettled: int = 0


@dataclass(frozen=True, slots=True)
class Missing:
    """An item whose picture a collection lacks; `sha256` of the file of the other's."""

    id: str
    version: int
    sha256: bytes


class Reembeddings:
    """Begins, compares, fills and ends pairs; calls that read the disk run in threads."""

    def __init__(
        self, catalog: Catalog, pairs: Pairs, copies: Copies, *, max_image_bytes: int
    ) -> None:
        self._catalog = catalog
        self._pairs = pairs
        self._copies = copies
        self._offers = Offers(copies, max_image_bytes=max_image_bytes)
        self._change = asyncio.Lock()

    async def start(self, source_name: str, target_name: str) -> Progress:
        """Make a pair, and queue for the target what is queued for the source.

        Raises:
            InvalidField: the collections do not suit each other, or one belongs to a pair.
            NotFound: there is no such collection.
        """
        async with self._change:
            source = self._catalog.find(source_name, "source")
            target = self._catalog.find(target_name, "target")
            if self._pairs.of(source.uid) != Pair(source.uid, target.uid):
                await asyncio.to_thread(self._check, source, target)
                await asyncio.to_thread(self._pairs.begin, source, target)
                _log.info("pair begun", extra={"source": source.name, "target": target.name})
            await self._copy_queued(source, target)
        return await self.progress(source.uid)

    async def progress(self, name: str) -> Progress:
        """Compare the collections of a pair.

        Raises:
            NotFound: there is no such collection, or it belongs to no pair.
        """
        return await asyncio.to_thread(self._compare, self._pair_of(name))

    async def missing(self, name: str, after_id: str, count: int) -> tuple[list[Missing], str]:
        """Return up to `count` items past `after_id` that a collection lacks, by id, and where
        to go on: "" at the end.

        Raises:
            NotFound: there is no such collection, or it belongs to no pair.
        """
        collection, pair = self._catalog.find(name), self._pair_of(name)
        return await asyncio.to_thread(self._missing, collection, pair, after_id, count)

    async def offer(
        self, name: str, offers: Sequence[Offer], *, accept_changed: bool
    ) -> list[OfferOutcome]:
        """Queue pictures that a collection lacks; one outcome an offer.

        Raises:
            NotFound: there is no such collection, or it belongs to no pair.
            Precondition: no model belongs to it.
        """
        taker, pair = self._catalog.find(name), self._pair_of(name)
        giver = self._catalog.find(pair.other(taker.uid))
        twin = self._pairs.twin_of(giver.uid)
        if twin is None:
            raise Precondition(
                "the collection takes vectors that the caller makes: it cannot embed pictures",
                reason=Reason.MODEL_MISMATCH,
                field="collection",
            )
        return await self._offers.take(giver, taker, twin, offers, accept_changed=accept_changed)

    async def end(self, name: str, removed: str = "") -> tuple[str, str, int]:
        """End a pair and remove the collection named `removed`, "" for none; return the names
        of source and target, and how many items were removed.

        What was deleted or changed in the one that is removed is taken over first.

        Raises:
            Exhausted: that takes longer; end it later.
            InvalidField: `removed` is the name of neither.
            NotFound: there is no such collection, or it belongs to no pair.
        """
        async with self._change:
            pair = self._pair_of(name)
            source, target = self._catalog.find(pair.source), self._catalog.find(pair.target)
            if removed not in ("", source.name, target.name):
                raise InvalidField(
                    "delete_collection", f'is neither "{source.name}" nor "{target.name}"'
                )
            if removed and source.is_open and target.is_open:
                leaving, kept = (source, target) if removed == source.name else (target, source)
                await self._taken_over(leaving, kept)
            items = await asyncio.to_thread(self._pairs.end, pair, removed)
        _log.info("pair ended", extra={"source": source.name, "target": target.name})
        return source.name, target.name, items

    async def _taken_over(self, leaving: Collection, kept: Collection) -> None:
        """Wait until `kept` has the deletions and metadata of a collection that is removed.

        Raises:
            Exhausted: some are still on their way.
        """
        give_up_s = time.monotonic() + _END_WAIT_S
        while left := await asyncio.to_thread(self._not_taken_over, leaving, kept):
            if time.monotonic() >= give_up_s:
                raise Exhausted(
                    f"{left:,} deletions and changes of metadata are still on their way from "
                    f'"{leaving.name}" to "{kept.name}": end it when they are there',
                    retry_delay_s=_END_WAIT_S,
                )
            await asyncio.sleep(_LOOK_EVERY_S)

    def _not_taken_over(self, leaving: Collection, kept: Collection) -> int:
        if queued := self._copies.changes_queued(leaving.uid):
            return queued
        count = 0
        for found, _ in pages(twinned(leaving).registers, twinned(kept).registers):
            told = [each for each in found if each.target.metadata and each.target.picture]
            coming = self._copies.on_their_way(kept.uid, [each.id for each in told])
            # Without a picture, and none to come, there is nothing to take metadata over for.
            given_up = {each.id for each in told if each.target.picture > coming.get(each.id, 0)}
            count += sum(
                bool(each.target.deletion or (each.target.metadata and each.id not in given_up))
                for each in found
            )
        return count

    def members(self, uid: str) -> tuple[str, ...]:
        """Return the names of the pair that a collection belongs to; none without one."""
        pair = self._pairs.of(uid)
        found = (pair.source, pair.target) if pair is not None else ()
        return tuple(self._catalog.find(each).name for each in found)

    def _pair_of(self, name: str) -> Pair:
        pair = self._pairs.of(self._catalog.find(name).uid)
        if pair is None:
            raise NotFound(
                "the collection is not being embedded anew",
                reason=Reason.COLLECTION_NOT_FOUND,
                field="collection",
            )
        return pair

    def _check(self, source: Collection, target: Collection) -> None:
        if source.uid == target.uid:
            raise _unsuited("is the source itself: name another collection, of the new model")
        for collection in (source, target):
            twinned(collection)
            if collection.shard.spec.vectors:
                raise _unsuited(f'"{collection.name}" has vectors by name, which are not moved')
            if self._pairs.of(collection.uid) is not None:
                raise _unsuited(f'"{collection.name}" is being embedded anew already: end that')
        if not target.shard.spec.model_fingerprint:
            raise _unsuited("is bound to no model: create it with one")
        if target.shard.count(None):
            raise _unsuited("is not empty: create a new collection")
        if source.shard.spec.duplicates.policy is DuplicatePolicy.REJECT:
            raise InvalidField(
                "source",
                "rejects near-duplicates, as the two models would not do alike: set its policy "
                "to flag or off meanwhile",
            )

    async def _copy_queued(self, source: Collection, target: Collection) -> None:
        """Queue for the target what was queued for the source before there was a pair."""
        async for mutation in self._copies.images_of(source.uid, source.shard):
            copy = copy_for_twin(mutation, self._pairs.twin_of)
            if copy is None:
                continue
            if await asyncio.to_thread(self._lacks, target, copy.id, copy.version):
                await self._copies.put(target.shard, replace(copy, traceparent=""))

    def _lacks(self, target: Collection, id: str, version: int) -> bool:
        """Say whether the target neither has a picture of that version nor is about to."""
        held = twinned(target).registers.of([id]).get(id, NOTHING)
        return version > max(held.vector, held.delete) and not self._copies.is_taken(
            target.uid, version
        )

    def _compare(self, pair: Pair) -> Progress:
        source, target = self._catalog.find(pair.source), self._catalog.find(pair.target)
        progress = Progress(
            source.name, target.name, source.shard.count(None), target.shard.count(None)
        )
        for found, _ in pages(twinned(source).registers, twinned(target).registers):
            lacking = [each.id for each in found if each.target.picture]
            queued = self._copies.on_their_way(target.uid, lacking)
            missing = [each for each in found if each.target.picture > queued.get(each.id, 0)]
            back = [each.id for each in found if each.source.picture]
            queued_back = self._copies.on_their_way(source.uid, back)
            missing_back = [
                each for each in found if each.source.picture > queued_back.get(each.id, 0)
            ]
            progress = replace(
                progress,
                target_queued=progress.target_queued + len(lacking) - len(missing),
                target_missing=progress.target_missing + len(missing),
                source_queued=progress.source_queued + len(back) - len(missing_back),
                source_missing=progress.source_missing + len(missing_back),
                unsettled=progress.unsettled + sum(map(_unsettled, found)),
            )
        return progress

    def _missing(
        self, collection: Collection, pair: Pair, after_id: str, count: int
    ) -> tuple[list[Missing], str]:
        other = self._catalog.find(pair.other(collection.uid))
        readers = twinned(other).registers, twinned(collection).registers
        rows: list[tuple[str, int]] = []
        for number, (found, last_id) in enumerate(pages(*readers, after_id), 1):
            ids = [each.id for each in found if each.target.picture]
            queued = self._copies.on_their_way(collection.uid, ids)
            rows += [
                (each.id, each.target.picture)
                for each in found
                if each.target.picture > queued.get(each.id, 0)
            ]
            after_id = last_id
            if len(rows) >= count or number == _PAGES_A_CALL:
                break
        if len(rows) > count:
            rows = rows[:count]
            after_id = rows[-1][0]
        hashes = stored_hashes(other, [id for id, _ in rows])
        return [Missing(id, version, hashes.get(id, b"")) for id, version in rows], after_id


def _unsettled(each: Difference) -> bool:
    lacks = (each.source, each.target)
    without_picture = any(lack.picture for lack in lacks)  # with which metadata may have to come
    return any(lack.deletion or (lack.metadata and not without_picture) for lack in lacks)


def _unsuited(why: str) -> InvalidField:
    return InvalidField("target", why)
