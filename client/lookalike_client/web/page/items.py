"""Items, their pictures, and the fields of their metadata."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lookalike.v1 import search_pb2
from lookalike.wire.errors import LookalikeError, NotFound, Reason
from lookalike_client import Fields, convert
from lookalike_client.types import FieldValue
from lookalike_client.web import values
from lookalike_client.web.answers import answer, body_of
from lookalike_client.web.page.conditions import filter_of
from lookalike_client.web.page.plain import plain
from lookalike_client.web.page.searching import item_document
from lookalike_client.web.rest.calling import call
from lookalike_client.web.services import Services

_PICTURE = Fields(metadata=False, facts=True, thumbnail=True)
_WHOLE = Fields(metadata=True, facts=True)
_MOST_ITEMS = 200
# Fields are learnt from so many items, and their values counted for so many fields.
_SAMPLED = 300
_MOST_FIELDS = 24
_MOST_VALUES = 40
_FOREVER = "private, max-age=31536000, immutable"


class Items:
    """Answers with stored items."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def picture(self, request: Request) -> Response:
        """Answer with an item's thumbnail; with the grey picture where it has none."""
        asked = request.query_params
        ids = [asked.get("id", "")]
        page = await self._services.client.get(asked.get("collection", ""), ids, fields=_PICTURE)
        facts = page.items[0].facts if page.items else None
        data = (facts.thumbnail_webp or facts.grey_webp) if facts is not None else b""
        if not data:
            return Response(status_code=404, headers={"cache-control": "private, max-age=60"})
        # The address names the version of the item: under it the picture never changes.
        kept = _FOREVER if asked.get("v") else "private, max-age=60"
        return Response(data, media_type="image/webp", headers={"cache-control": kept})

    async def item(self, request: Request) -> Response:
        """Answer with an item's metadata and facts."""
        asked = request.query_params
        page = await self._services.client.get(
            asked.get("collection", ""), [asked.get("id", "")], fields=_WHOLE
        )
        if not page.items:
            raise NotFound("no item has that id", reason=Reason.ITEM_NOT_FOUND, field="id")
        item = page.items[0]
        document = {**item_document(item, item.id), "metadata": plain(item.metadata)}
        document["facts"] = plain(item.facts)
        document["update_time"] = plain(item.update_time)
        document["near_duplicate_of"] = item.near_duplicate_of
        return answer(document)

    async def browse(self, request: Request) -> Response:
        """Answer with a page of items that meet a filter, by id."""
        body = await body_of(request)
        asked = search_pb2.ListItemsRequest(
            collection=values.text(body, "collection"),
            filter=filter_of(body),
            fields=search_pb2.ItemFields(facts=True),
            page_size=values.whole(body, "limit", 60, 1, _MOST_ITEMS),
            page_token=values.text(body, "page_token", ""),
        )
        page = await call(self._services.client, "SearchService", "ListItems", asked)
        assert isinstance(page, search_pb2.ListItemsResponse)
        items = [convert.item(each) for each in page.items]
        hits = [item_document(each, each.id) for each in items]
        return answer({"hits": hits, "next_page_token": page.next_page_token})

    async def count(self, request: Request) -> Response:
        """Answer with how many items meet a filter."""
        body = await body_of(request)
        collection = values.text(body, "collection")
        return answer(
            {"count": await self._services.client.count(collection, filter=filter_of(body))}
        )

    async def fields(self, request: Request) -> Response:
        """Answer with the fields that items have, and the values of those with few."""
        collection = request.query_params.get("collection", "")
        kinds: dict[str, Counter[str]] = {}
        client = self._services.client
        sampled = 0
        async for item in client.list(collection, page_size=_SAMPLED):
            for path, value in _paths(item.metadata, ""):
                kinds.setdefault(path, Counter())[_kind(value)] += 1
            sampled += 1
            if sampled == _SAMPLED:
                break
        frequent = sorted(kinds, key=lambda path: (-kinds[path].total(), path))[:_MOST_FIELDS]
        counted = await asyncio.gather(*(self._values(collection, path) for path in frequent))
        return answer(
            {
                "fields": [
                    {"path": path, "kind": kinds[path].most_common(1)[0][0], **found}
                    for path, found in sorted(zip(frequent, counted, strict=True))
                ]
            }
        )

    async def _values(self, collection: str, path: str) -> dict[str, Any]:
        try:
            found = await self._services.client.facets(collection, path, limit=_MOST_VALUES)
        except LookalikeError:  # a key that is no path, such as one with a line break
            return {"values": [], "different": 0}
        counts: list[tuple[FieldValue, int]] = list(found.counts)
        return {"values": counts, "different": found.values}


def _paths(metadata: Mapping[str, Any], prefix: str) -> Iterable[tuple[str, object]]:
    """Yield (path, value) of what filters can compare; a list counts by its first element."""
    for key, value in metadata.items():
        path = f"{prefix}{_quoted(key)}"
        if isinstance(value, Mapping):
            yield from _paths(value, f"{path}.")
            continue
        first = next(iter(value), None) if isinstance(value, list | tuple) else value
        if isinstance(first, str | int | float | bool):
            yield path, first


def _quoted(key: str) -> str:
    """Return a key as paths have it: in backticks where it holds a dot."""
    return f"`{key.replace('`', '``')}`" if "." in key or "`" in key else key


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "switch"
    return "number" if isinstance(value, int | float) else "text"
