"""The files of the page, in memory: a path that was not read at the start does not exist."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import Response

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


class Assets:
    """Answers with files of this package, by names that were listed when the server started."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[bytes, str, str]] = {}
        for name, file in _walk(resources.files("lookalike_client.web") / "static", ""):
            data = file.read_bytes()
            tag = f'"{hashlib.sha256(data).hexdigest()[:20]}"'
            self._files[name] = (data, _TYPES[name.rsplit(".", 1)[1]], tag)

    async def page(self, request: Request) -> Response:
        """Answer with the page, whatever view its address names."""
        return self._answer(request, "index.html")

    async def api_page(self, request: Request) -> Response:
        """Answer with the page that describes the API."""
        return self._answer(request, "api.html")

    async def file(self, request: Request) -> Response:
        """Answer with a file that the page asks for."""
        return self._answer(request, request.path_params["name"])

    def _answer(self, request: Request, name: str) -> Response:
        found = self._files.get(name)
        if found is None:
            return Response(status_code=404)
        data, kind, tag = found
        headers = {"etag": tag, "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(data, headers={**headers, "content-type": kind})


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for each in folder.iterdir():
        if each.is_dir():
            yield from _walk(each, f"{prefix}{each.name}/")
        elif each.name.rsplit(".", 1)[-1] in _TYPES:
            yield f"{prefix}{each.name}", each
