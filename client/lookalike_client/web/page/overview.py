"""Who asks, which collections there are, and how ingestion stands."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lookalike_client.types import Collection
from lookalike_client.types.collections import THUMBNAIL_SIDE_PX
from lookalike_client.web import values
from lookalike_client.web.answers import answer, body_of
from lookalike_client.web.page.plain import plain
from lookalike_client.web.services import Services

_MOST_COLLECTIONS = 1_000
_MOST_FAILURES = 200
_MOST_RETRIED = 1_000


class Overview:
    """Answers with the state of the system."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def session(self, request: Request) -> Response:
        """Answer with what the page has to know at its start."""
        options = self._services.options
        return answer(
            {
                "csrf": options.csrf_token,
                "read_only": options.read_only,
                "collection": options.collection,
                "max_image_bytes": options.max_body_bytes,
            }
        )

    async def collections(self, request: Request) -> Response:
        """Answer with all collections."""
        found: list[dict[str, Any]] = []
        async for each in self._services.client.collections.list():
            found.append(_document(each))
            if len(found) == _MOST_COLLECTIONS:
                break
        return answer({"collections": found})

    async def create(self, request: Request) -> Response:
        """Create a collection that keeps thumbnails, bound to the default model."""
        body = await body_of(request)
        made = await self._services.client.collections.create(
            values.text(body, "name"),
            model=values.text(body, "model", ""),
            thumbnail_side_px=THUMBNAIL_SIDE_PX,
        )
        return answer(_document(made))

    async def update(self, request: Request) -> Response:
        """Have a collection keep thumbnails of what is submitted from now on, or no more."""
        body = await body_of(request)
        side_px = THUMBNAIL_SIDE_PX if values.flag(body, "thumbnails") else 0
        changed = await self._services.client.collections.update(
            values.text(body, "collection"), thumbnail_side_px=side_px
        )
        return answer(_document(changed))

    async def status(self, request: Request) -> Response:
        """Answer with the queue, its workers, and what it warns of."""
        return answer(plain(await self._services.client.ingest_status()))

    async def failures(self, request: Request) -> Response:
        """Answer with the newest failures of a collection."""
        found: list[object] = []
        collection = request.query_params.get("collection", "")
        async for each in self._services.client.failures(collection):
            found.append(plain(each))
            if len(found) == _MOST_FAILURES:
                break
        return answer({"failures": found, "more": len(found) == _MOST_FAILURES})

    async def retry(self, request: Request) -> Response:
        """Queue failures again."""
        body = await body_of(request)
        ids = values.texts(body, "failure_ids", _MOST_RETRIED)
        policy = "accept" if values.flag(body, "accept_duplicates") else ""
        return answer(
            plain(await self._services.client.retry_failures(ids, duplicate_policy=policy))
        )


def _document(collection: Collection) -> dict[str, Any]:
    document = plain(collection)
    assert isinstance(document, dict)
    return document
