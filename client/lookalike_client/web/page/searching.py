"""Searching, from the page: by a stored item, by a picture that was dropped, by examples."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lookalike.wire.errors import InvalidField, LimitExceeded
from lookalike.wire.vectors import F32
from lookalike_client import Example, Fields, Query
from lookalike_client.requests import SearchOptions
from lookalike_client.types import Hit, Item, SearchResult
from lookalike_client.web import values
from lookalike_client.web.answers import answer, body_of
from lookalike_client.web.page.conditions import filter_of
from lookalike_client.web.page.plain import plain
from lookalike_client.web.services import Recent, Services

# A page of results: some screens of pictures. Facts of each hold a grey picture of 1 KB.
_MOST_HITS = 200
_MOST_EXAMPLES = 64
# Vectors of pictures that were dropped on the page: 5 KB each.
_PICTURES_KEPT = 500
_FACTS = Fields(metadata=False, facts=True)


class Searching:
    """Answers the page's searches."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._pictures: Recent[F32] = Recent(_PICTURES_KEPT)

    async def take_picture(self, request: Request) -> Response:
        """Make the vector of the picture in the body; answer with a name for it."""
        collection = request.query_params.get("collection", "")
        data = bytearray()
        async for part in request.stream():
            data += part
        started_s = time.monotonic()
        vectors = await self._services.client.make_vectors(collection, [bytes(data)])
        name = secrets.token_urlsafe(12)
        self._pictures.put(name, vectors[0])
        return answer({"picture": name, "embed_ms": _since_ms(started_s)})

    async def search(self, request: Request) -> Response:
        """Answer a search, or its next page."""
        body = await body_of(request)
        collection = values.text(body, "collection")
        options = SearchOptions(
            limit=values.whole(body, "limit", 60, 1, _MOST_HITS),
            filter=filter_of(body),
            min_score=values.number(body, "min_score", None, -1, 1),
            exact=values.flag(body, "exact"),
            explain=values.flag(body, "explain"),
            fields=_FACTS,
        )
        group_by = values.text(body, "group_by", "")
        diversity = values.number(body, "diversity", 0.0, 0, 1) or 0.0
        query, best_score = self._query(body)
        started_s = time.monotonic()
        client = self._services.client
        if group_by or diversity or best_score:
            if group_by:
                options["group_by"], options["hits_per_group"] = group_by, 4
            elif diversity:
                options["diversity"] = diversity
            result = await client.search(collection, query, **options)
        else:
            token = values.text(body, "page_token", "")
            pages = client.search_pages(collection, query, page_token=token, **options)
            result = await anext(aiter(pages))
        return answer({**_document(result), "took_ms": _since_ms(started_s)})

    def _query(self, body: Mapping[str, Any]) -> tuple[Query, bool]:
        """Return the query, and whether each of its examples counts by itself."""
        positives = values.objects(body, "positives", _MOST_EXAMPLES)
        negatives = values.objects(body, "negatives", _MOST_EXAMPLES)
        if not positives:
            raise InvalidField("positives", "name what to look for")
        best_score = values.flag(body, "best_score")
        if len(positives) == 1 and not negatives and not best_score:
            only = positives[0]
            if "id" in only:
                return Query.by_id(values.text(only, "id")), False
            return Query.by_vector(self._picture(only)), False
        return (
            Query.by_examples(
                self._examples(positives), self._examples(negatives), best_score=best_score
            ),
            best_score,
        )

    def _examples(self, given: Iterable[Mapping[str, Any]]) -> list[Example]:
        return [
            Example.by_id(values.text(each, "id"))
            if "id" in each
            else Example.by_vector(self._picture(each))
            for each in given
        ]

    def _picture(self, given: Mapping[str, Any]) -> F32:
        found = self._pictures.get(values.text(given, "picture"))
        if found is None:
            raise LimitExceeded("picture", "the picture is no longer kept: drop it once more")
        return found


def _document(result: SearchResult) -> dict[str, Any]:
    document: dict[str, Any] = {
        "hits": [hit_document(each) for each in result.hits],
        "plan_kind": result.plan_kind,
        "next_page_token": result.next_page_token,
    }
    if result.groups:
        document["groups"] = [
            {"value": each.value, "hits": [hit_document(hit) for hit in each.hits]}
            for each in result.groups
        ]
    if result.plan is not None:
        document["plan"] = plain(result.plan)
    return document


def hit_document(hit: Hit) -> dict[str, Any]:
    """Return a hit as the page's grid takes it."""
    document = item_document(hit.item, hit.id)
    document["score"] = hit.score
    return document


def item_document(item: Item | None, id: str) -> dict[str, Any]:
    """Return an item as the grid takes it: its version, and the form of its picture."""
    document: dict[str, Any] = {"id": id, "version": item.version if item else 0}
    facts = item.facts if item else None
    if facts is not None:
        document["width"], document["height"] = facts.width_px, facts.height_px
        document["pictured"] = bool(facts.grey_webp)
    return document


def _since_ms(started_s: float) -> float:
    return round((time.monotonic() - started_s) * 1e3, 1)
