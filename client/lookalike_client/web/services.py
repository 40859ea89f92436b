"""What the server's endpoints share: the connection, what is kept in memory, the rules."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeAlias, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from lookalike_client import AsyncClient
from lookalike_client.web.answers import refusal
from lookalike_client.web.options import WebOptions

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]
V = TypeVar("V")


class Services:
    """The connection to the search service, from the start to the end of the server."""

    def __init__(self, options: WebOptions) -> None:
        self.options = options
        self._client: AsyncClient | None = None
        # Without a key of the server's own: callers that send one get what theirs may do.
        self.bare: AsyncClient | None = None

    @property
    def client(self) -> AsyncClient:
        """The connection."""
        assert self._client is not None, "the server has not started"
        return self._client

    @client.setter
    def client(self, client: AsyncClient) -> None:
        self._client = client

    def changing(self, endpoint: Endpoint) -> Endpoint:
        """Return an endpoint that changes something: refused where nothing may be changed."""
        if not self.options.read_only:
            return endpoint

        async def refused(request: Request) -> Response:
            return refusal(403, "READ_ONLY", "this server was started with --read-only")

        return refused


class Recent(Generic[V]):
    """The values that were used last, `most` of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[str, V] = OrderedDict()

    def get(self, key: str) -> V | None:
        """Return a value, and keep it longer."""
        if key in self._values:
            self._values.move_to_end(key)
        return self._values.get(key)

    def put(self, key: str, value: V) -> None:
        """Keep a value; the one that was not used for longest goes."""
        self._values[key] = value
        self._values.move_to_end(key)
        while len(self._values) > self._most:
            self._values.popitem(last=False)
