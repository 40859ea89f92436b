"""Queues pictures that a collection lacks, under the versions of the other's."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lookalike.serving.queue.entries import Kind, QueuedMutation
from lookalike.v1.image_pb2 import ImageFacts
from lookalike.wire.digests import digest_of_files
from lookalike.wire.errors import (
    Exhausted,
    ImageTooLarge,
    InvalidField,
    LookalikeError,
    NotFound,
    Reason,
)
from search_service import limits
from search_service.domain.items import Fields
from search_service.reembedding.comparing import NOTHING, lack_of
from search_service.reembedding.pairs import twinned

if TYPE_CHECKING:
    from search_service.catalog.collection import Collection
    from search_service.ingest.copies import Copies
    from search_service.ingest.twins import Twin


@dataclass(frozen=True, slots=True)
class Offer:
    """The pictures of an item, as encoded images: the first, and more."""

    id: str
    image: bytes
    further_images: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Files:
    """Of what files an item was made: SHA-256 of the first, `ImageFacts.further_sha256` of
    more, each empty where it is not known; and how many vectors of its own it has."""

    sha256: bytes = b""
    further_sha256: bytes = b""
    pictures: int = 1


@dataclass(frozen=True, slots=True)
class OfferOutcome:
    """Whether it was queued; `error` says why it was not taken."""

    id: str
    queued: bool
    error: LookalikeError | None = None


class Offers:
    """Takes pictures for a collection that lacks them.

    A picture goes in under the version that the item's own has in the other collection:
    what was changed or deleted since has a greater one, and stays as it is.
    """

    def __init__(self, copies: Copies, *, max_image_bytes: int) -> None:
        self._copies = copies
        self._max_image_bytes = max_image_bytes

    async def take(
        self,
        giver: Collection,
        taker: Collection,
        twin: Twin,
        offers: Sequence[Offer],
        *,
        accept_changed: bool,
    ) -> list[OfferOutcome]:
        """Queue what `taker` lacks; one outcome an offer, in their order."""
        versions, files = await asyncio.to_thread(self._lacking, giver, taker, offers)
        outcomes = []
        for index, offer in enumerate(offers):
            try:
                self._check(offer, index)
                if offer.id not in versions:
                    raise NotFound(
                        "the other collection has no such item",
                        reason=Reason.ITEM_NOT_FOUND,
                        field=f"images[{index}].id",
                    )
                version = versions[offer.id]
                if version:
                    made_of = files.get(offer.id, Files())
                    _check_files(offer, made_of, index, accept_changed=accept_changed)
                if version:
                    await self._put(taker, twin, offer, version)
                outcomes.append(OfferOutcome(offer.id, queued=bool(version)))
            except LookalikeError as error:
                outcomes.append(OfferOutcome(offer.id, queued=False, error=error))
        return outcomes

    def _lacking(
        self, giver: Collection, taker: Collection, offers: Sequence[Offer]
    ) -> tuple[dict[str, int], dict[str, Files]]:
        """Return the version of the picture that is lacking, by id, 0 where none is; and of
        what files the others were made."""
        ids = [offer.id for offer in offers]
        theirs, held = twinned(giver).registers.of(ids), twinned(taker).registers.of(ids)
        coming = self._copies.on_their_way(taker.uid, ids)
        versions = {}
        for id in ids:
            other = theirs.get(id, NOTHING)
            if other.live:
                lacking = lack_of(held.get(id, NOTHING), other).picture
                versions[id] = 0 if coming.get(id, 0) >= lacking else lacking
        return versions, stored_files(giver, [id for id, version in versions.items() if version])

    def _check(self, offer: Offer, index: int) -> None:
        limits.check_id(offer.id, f"images[{index}].id")
        further = f"images[{index}].further_images"
        limits.check_count(further, len(offer.further_images), limits.MAX_ITEM_VECTORS - 1, least=0)
        self._check_image(offer.image, f"images[{index}].image")
        for number, image in enumerate(offer.further_images):
            self._check_image(image, f"{further}[{number}]")

    def _check_image(self, image: bytes, field: str) -> None:
        if not image:
            raise InvalidField(field, "send an encoded image")
        if len(image) > self._max_image_bytes:
            raise ImageTooLarge(
                f"the image has {len(image):,} bytes; the limit is "
                f"{self._max_image_bytes:,} (the search service's setting max_image_bytes)",
                field=field,
            )

    async def _put(self, taker: Collection, twin: Twin, offer: Offer, version: int) -> None:
        if await asyncio.to_thread(self._copies.is_taken, taker.uid, version):
            raise Exhausted(
                "another change of the same version is queued for the collection",
                retry_delay_s=1.0,
            )
        mutation = QueuedMutation(
            collection_uid=taker.uid,
            id=offer.id,
            kind=Kind.UPLOAD,
            version=version,
            submit_time_ms=0,
            model_fingerprint=twin.model_fingerprint,
            image=offer.image,
            duplicate_policy=twin.duplicate_policy,
            keep_metadata=True,  # which has versions of its own, and comes by itself
            twinned=True,
            thumbnail_side_px=twin.thumbnail_side_px,
            further_images=offer.further_images,
        )
        await self._copies.put(taker.shard, mutation)


def stored_files(collection: Collection, ids: Sequence[str]) -> dict[str, Files]:
    """Return of what files items were made; without those that are not there."""
    if not ids:
        return {}
    found = {}
    for item in collection.shard.get(ids, Fields(facts=True, vector=True)):
        if item is not None:
            facts = ImageFacts.FromString(item.facts)
            found[item.id] = Files(facts.sha256, facts.further_sha256, 1 + len(item.further))
    return found


def _check_files(offer: Offer, files: Files, index: int, *, accept_changed: bool) -> None:
    if 1 + len(offer.further_images) < files.pictures:
        raise InvalidField(
            f"images[{index}].further_images",
            f"the item has {files.pictures} pictures: send all of them, in their order",
        )
    if accept_changed:
        return
    if files.sha256 and hashlib.sha256(offer.image).digest() != files.sha256:
        raise _changed(f"images[{index}].image", "is another file")
    # Of an item whose first file is known, those of its others are, or it has none.
    known = files.further_sha256 or (files.sha256 and files.pictures == 1)
    if known and digest_of_files(offer.further_images) != files.further_sha256:
        raise _changed(f"images[{index}].further_images", "are other files")


def _changed(field: str, are_others: str) -> InvalidField:
    return InvalidField(
        field,
        f"{are_others} than what the item was made of: send that, or set accept_changed",
    )
