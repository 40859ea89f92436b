"""Pictures that people upload, and what becomes of them."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lookalike.wire.channel import MAX_IMAGE_BYTES
from lookalike.wire.errors import ImageTooLarge, InvalidField, LookalikeError, Reason
from lookalike_client import ImageItem
from lookalike_client.web.answers import answer, failed, lines
from lookalike_client.web.page.plain import plain
from lookalike_client.web.services import Services

_MOST_METADATA_BYTES = 16 << 10


class Uploading:
    """Takes pictures one by one, and tells their outcomes as they come."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def job(self, request: Request) -> Response:
        """Answer with a name for what is uploaded together."""
        return answer({"job": f"web-{uuid.uuid4().hex[:16]}"})

    async def upload(self, request: Request) -> Response:
        """Queue the picture in the body; it is durably queued once this is answered."""
        asked = request.query_params
        data = bytearray()
        async for part in request.stream():
            data += part
            if len(data) > MAX_IMAGE_BYTES:
                raise ImageTooLarge(f"an image has at most {MAX_IMAGE_BYTES:,} bytes")
        item = ImageItem(asked.get("id", ""), bytes(data), _metadata(asked.get("metadata", "")))
        accepted = self._services.client.submit_images(
            asked.get("collection", ""), [item], job_id=asked.get("job", "")
        )
        async for each in accepted:
            if each.error is not None:
                return failed(each.error)
            return answer({"id": each.id, "version": each.version})
        raise LookalikeError("the service said nothing of the picture", reason=Reason.INTERNAL)

    async def outcomes(self, request: Request) -> Response:
        """Tell what becomes of a job, one outcome a line, until all has ended."""
        asked = request.query_params
        events = self._services.client.watch_ingest(
            asked.get("job", ""), cursor=asked.get("cursor", "")
        )

        async def told() -> AsyncIterator[Mapping[str, Any]]:
            async for event in events:
                document = plain(event)
                assert isinstance(document, dict)
                yield document
            yield {"end": True}

        return await lines(told())


def _metadata(text: str) -> dict[str, Any] | None:
    if not text:
        return None
    if len(text) > _MOST_METADATA_BYTES:
        raise InvalidField("metadata", f"has at most {_MOST_METADATA_BYTES:,} bytes")
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidField("metadata", "is no JSON") from error
    if not isinstance(metadata, dict):
        raise InvalidField("metadata", "must be a JSON object")
    return metadata
