"""Whether images are known: from a request to an answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lookalike.v1 import bank_pb2 as pb
from lookalike.wire.errors import InvalidField, NotFound, Precondition, Reason
from search_service import limits
from search_service.banks.bank import Bank, Banks
from search_service.banks.facts import Seen, seen_in
from search_service.banks.matrix import distance
from search_service.banks.verdicts import Near, Rule, judge
from search_service.catalog.catalog import Catalog
from search_service.domain.arrays import F32, I64
from search_service.domain.conditions import Filter
from search_service.domain.items import Fields, StoredItem
from search_service.domain.queries import QueryRequest
from search_service.embedders import Embedders
from search_service.handover import Handover
from search_service.metrics import SearchMetrics
from search_service.offload import Offload
from search_service.servicers.filter_translation import filter_from_proto
from search_service.servicers.match_messages import (
    Asked,
    asked_of,
    given_hash,
    remarks_of,
    result_message,
)
from search_service.servicers.vectors import unit_vector
from search_service.shard.api import ShardApi

_FACTS = Fields(facts=True)
_SIGNALS = Fields(facts=True, vector=True)


@dataclass(frozen=True, slots=True)
class _Image:
    """What is matched: a vector, float32 [D], or none, and what was seen of it."""

    vector: F32 | None
    seen: Seen
    id: str = ""


class Matches:
    """Matches images against banks."""

    def __init__(
        self,
        catalog: Catalog,
        banks: Banks,
        embedders: Embedders,
        reads: Offload,
        handover: Handover,
        metrics: SearchMetrics,
    ) -> None:
        """`reads` looks through hashes and reads items."""
        self._catalog = catalog
        self._banks = banks
        self._embedders = embedders
        self._reads = reads
        self._handover = handover
        self._metrics = metrics

    async def match(
        self, request: pb.MatchImagesRequest, deadline_s: float | None
    ) -> pb.MatchResult:
        """Say whether an image is known; `deadline_s` is on `time.monotonic()`.

        Raises:
            LookalikeError: the request cannot be answered, naming the field that is wrong.
        """
        collection = self._catalog.find(request.collection)
        shard = collection.shard
        bank = self._banks.of(collection)
        asked = asked_of(request, shard.spec)
        condition = filter_from_proto(request.options.filter, "options.filter")
        image = await self._image(request, shard, asked, deadline_s)
        near: dict[str, Near] = {}
        if image.vector is not None:
            near = await self._by_vector(shard, image, asked, condition, deadline_s)
        others: list[Near] = []
        if image.seen.matched:
            among = None
            if condition is not None:
                among = await self._reads.run(shard.matching, condition)
            found = await self._reads.run(_by_hash, bank, shard, image, asked, among, set(near))
            others = found
        judged = judge([*near.values(), *others], asked.terms, blank=image.seen.blank)
        items = await self._reads.run(shard.count, None)
        some_without = await self._reads.run(bank.items.some_without)
        remarks = remarks_of(
            image.seen, asked, shard.spec, items=items, items_without_hash=some_without
        )
        return result_message(judged[: asked.limit], asked, image.seen, remarks)

    async def _image(
        self,
        request: pb.MatchImagesRequest,
        shard: ShardApi,
        asked: Asked,
        deadline_s: float | None,
    ) -> _Image:
        match request.WhichOneof("target"):
            case "image":
                return await self._shown(request.image, shard, asked, deadline_s)
            case "id":
                return await self._stored(request.id, shard, asked)
            case "signals":
                return _given(request.signals, shard, asked)
            case _:
                raise InvalidField("target", "set one: image, id or signals")

    async def _shown(
        self, image: bytes, shard: ShardApi, asked: Asked, deadline_s: float | None
    ) -> _Image:
        spec = shard.spec
        if not image:
            raise InvalidField("image", "the image is empty")
        if not spec.model_fingerprint and asked.vectors:
            raise Precondition(
                f'collection "{spec.name}" holds vectors that callers make; no model belongs to '
                "it, so give the vector of the image (signals), or match by hashes alone "
                "(MATCH_RULE_PDQ)",
                reason=Reason.MODEL_MISMATCH,
                field="image",
            )
        vector, facts = await self._embedders.look_at(
            image, "image", spec.model_fingerprint, spec.dimension, deadline_s
        )
        return _Image(vector if asked.vectors else None, seen_in(facts))

    async def _stored(self, id: str, shard: ShardApi, asked: Asked) -> _Image:
        limits.check_id(id, "id")
        (item,) = await self._reads.run(shard.get, [id], _SIGNALS)
        if item is None:
            raise NotFound(f'there is no item "{id}"', reason=Reason.ITEM_NOT_FOUND, field="id")
        return _Image(item.vector if asked.vectors else None, seen_in(item.facts), id)

    async def _by_vector(
        self,
        shard: ShardApi,
        image: _Image,
        asked: Asked,
        condition: Filter | None,
        deadline_s: float | None,
    ) -> dict[str, Near]:
        """Return the nearest items by cosine, by id."""
        assert image.vector is not None  # asked for where there is one
        query = QueryRequest(
            vectors=image.vector[np.newaxis],
            limit=asked.limit,
            filter=condition,
            exact=asked.exact,
            exclude=[frozenset([image.id])] if image.id else (),
            fields=_FACTS,
            deadline_s=deadline_s,
        )
        outcomes = await self._handover.wait(shard.query(query))
        self._metrics.observe_queries(outcomes, 0.0)
        return {
            hit.id: _near(hit.id, hit.score, hit.item.facts if hit.item else b"", image.seen)
            for hit in outcomes[0].hits
        }


def _by_hash(
    bank: Bank, shard: ShardApi, image: _Image, asked: Asked, among: I64 | None, known: set[str]
) -> list[Near]:
    """Return what is near by hash and not among the items `known`."""
    most = asked.terms.pdq_review_distance
    items = bank.near_items(
        image.seen.hash, most, asked.limit + len(known), without=image.id, among=among
    )
    ids = [each.id for each in items if each.id not in known]
    listed = [
        Near(listed=each.known, distance=each.distance, quality=each.known.quality)
        for each in bank.near_listed(image.seen.hash, most, asked.limit)
    ]
    return [*_read(shard, ids, image), *listed]


def _read(shard: ShardApi, ids: list[str], image: _Image) -> Iterable[Near]:
    found: list[StoredItem | None] = shard.get(ids, _SIGNALS) if ids else []
    for item in found:
        if item is not None and item.vector is not None:
            score = None if image.vector is None else _cosine(image.vector, item.vector)
            yield _near(item.id, score, item.facts, image.seen)


def _near(id: str, score: float | None, facts: bytes, seen: Seen) -> Near:
    theirs = seen_in(facts)
    compared = seen.matched and theirs.matched
    bits = distance(seen.hash, theirs.hash) if compared else None
    return Near(id=id, score=score, distance=bits, quality=theirs.quality)


def _cosine(one: F32, other: F32) -> float:
    product = np.dot(one.astype(np.float64), other.astype(np.float64))
    return float(np.float32(min(1.0, max(-1.0, float(product)))))


def _given(signals: pb.ImageSignals, shard: ShardApi, asked: Asked) -> _Image:
    hash = given_hash(signals)
    vector = None
    if asked.vectors:
        field = "signals.vector_f32_le"
        vector = unit_vector(signals.vector_f32_le, shard.spec.dimension, field)
    elif asked.terms.rule is Rule.PDQ and not hash.hash:
        raise InvalidField("signals.pdq_hash", "is needed to match by hashes alone")
    return _Image(vector, hash)
