"""Pairs of collections as a whole: what the servicer delegates to."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lookalike.wire.errors import (
    Exhausted,
    InvalidField,
    NotFound,
    Precondition,
    Reason,
    StoreDamaged,
)
from search_service.domain.collection import DuplicatePolicy
from search_service.reembedding.backlog import Backlog
from search_service.reembedding.comparing import pages
from search_service.reembedding.offering import Offer, OfferOutcome, Offers
from search_service.reembedding.pairs import Pair, Pairs, twinned
from search_service.reembedding.progress import Missing, Progress, missing_of, progress_of
from search_service.reembedding.soundness import check_sound, look_at

if TYPE_CHECKING:
    from search_service.catalog.catalog import Catalog
    from search_service.catalog.collection import Collection
    from search_service.ingest.copies import Copies

_log = logging.getLogger(__name__)

# As the contract says of StartReembedding.
_COPY_WITHIN_S = 10.0
# What is committed is taken over in `settling._EVERY_S`, and the queue tells what ended each
# second: without a backlog there is nothing left long before.
_END_WAIT_S = 5.0
_LOOK_EVERY_S = 0.2


class Reembeddings:
    """Begins, compares, fills and ends pairs; calls that read the disk run in threads."""

    def __init__(
        self, catalog: Catalog, pairs: Pairs, copies: Copies, *, max_image_bytes: int
    ) -> None:
        self._catalog = catalog
        self._pairs = pairs
        self._copies = copies
        self._backlog = Backlog(pairs, copies)
        self._offers = Offers(copies, max_image_bytes=max_image_bytes)
        self._change = asyncio.Lock()

    async def start(self, source_name: str, target_name: str) -> Progress:
        """Make a pair, and queue for the target what is queued for the source, as far as
        there is room now.

        Raises:
            InvalidField: the collections do not suit each other, or one belongs to a pair.
            NotFound: there is no such collection.
            Precondition: one of them is damaged.
        """
        async with self._change:
            source = self._catalog.find(source_name, "source")
            target = self._catalog.find(target_name, "target")
            if self._pairs.of(source.uid) != Pair(source.uid, target.uid):
                await asyncio.to_thread(self._check, source, target)
                await asyncio.to_thread(self._pairs.begin, source, target)
                _log.info("pair begun", extra={"source": source.name, "target": target.name})
        await self._backlog.copy(source, target, _COPY_WITHIN_S)
        return await self.progress(source.uid)

    async def progress(self, name: str) -> Progress:
        """Compare the collections of a pair.

        Raises:
            NotFound: there is no such collection, or it belongs to no pair.
        """
        pair = self._pair_of(name)
        source, target = self._catalog.find(pair.source), self._catalog.find(pair.target)
        return await asyncio.to_thread(progress_of, source, target, self._copies, self._backlog)

    async def missing(self, name: str, after_id: str, count: int) -> tuple[list[Missing], str]:
        """Return up to `count` items past `after_id` that a collection lacks, by id, and where
        to go on: "" at the end.

        Raises:
            NotFound: there is no such collection, or it belongs to no pair.
        """
        taker, pair = self._catalog.find(name), self._pair_of(name)
        giver = self._catalog.find(pair.other(taker.uid))
        return await asyncio.to_thread(missing_of, giver, taker, self._copies, after_id, count)

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

        What was deleted or changed in the one that is removed is taken over first, or what
        can be read of it where it is damaged.

        Raises:
            Exhausted: that takes longer; end it later.
            InvalidField: `removed` is the name of neither.
            NotFound: there is no such collection, or it belongs to no pair.
            Precondition: STORE_DAMAGED, the collection that would stay is.
        """
        async with self._change:
            pair = self._pair_of(name)
            source, target = self._catalog.find(pair.source), self._catalog.find(pair.target)
            if removed not in ("", source.name, target.name):
                raise InvalidField(
                    "delete_collection", f'is neither "{source.name}" nor "{target.name}"'
                )
            if removed:
                leaving, kept = (source, target) if removed == source.name else (target, source)
                await asyncio.to_thread(_check_may_stay, kept)
                await self._taken_over(leaving, kept)
            items = await asyncio.to_thread(self._pairs.end, pair, removed)
        _log.info("pair ended", extra={"source": source.name, "target": target.name})
        return source.name, target.name, items

    async def _taken_over(self, leaving: Collection, kept: Collection) -> None:
        """Wait until `kept` has the deletions and metadata of a collection that is removed.

        Of one that is damaged it has what could be read.

        Raises:
            Exhausted: some are still on their way.
            Precondition: `kept` cannot be read.
        """
        give_up_s = time.monotonic() + _END_WAIT_S
        try:
            while left := await asyncio.to_thread(self._not_taken_over, leaving, kept):
                if time.monotonic() >= give_up_s:
                    raise Exhausted(
                        f"{left:,} deletions and changes of metadata are still on their way from "
                        f'"{leaving.name}" to "{kept.name}": end it when they are there',
                        retry_delay_s=_END_WAIT_S,
                    )
                await asyncio.sleep(_LOOK_EVERY_S)
        except (Exhausted, StoreDamaged):
            await asyncio.to_thread(look_at, kept)
            await asyncio.to_thread(_check_may_stay, kept)
            if not (why := await asyncio.to_thread(look_at, leaving)):
                raise
            _log.warning(
                "a damaged collection is removed, with what was not taken over of it",
                extra={"collection": leaving.name, "reason": why},
            )

    def _not_taken_over(self, leaving: Collection, kept: Collection) -> int:
        if not leaving.is_open:
            return 0
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
        for collection, field in ((source, "source"), (target, "target")):
            twinned(collection)
            check_sound(collection, field, "restore a snapshot, or index into a new collection")
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


def _check_may_stay(kept: Collection) -> None:
    check_sound(kept, "delete_collection", "it is not kept alone, and nothing was removed")


def _unsuited(why: str) -> InvalidField:
    return InvalidField("target", why)
