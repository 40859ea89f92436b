"""Runs the web server on a socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from lookalike.wire.errors import InvalidField

# What waits for an answer; a browser keeps six connections, and a page is for few people.
_MOST_AT_ONCE = 200
_GRACE_S = 3


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound; port 0 takes a free one.

    Raises:
        InvalidField: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named: asyncio turns Nagle's algorithm off for such sockets alone, and
    # with it an answer in two writes waits 40 ms for the other side's acknowledgement.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        told = f"{host}:{port} cannot be listened on: {error.strerror or error}"
        raise InvalidField("--port", told) from error
    return bound


def configured(app: ASGIApp) -> uvicorn.Config:
    """Return how `app` is served."""
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        limit_concurrency=_MOST_AT_ONCE,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=_GRACE_S,
        lifespan="on",
        proxy_headers=False,
    )


def run(app: ASGIApp, bound: socket.socket, announce: Callable[[], None]) -> None:
    """Answer until SIGINT or SIGTERM; `announce` once when it listens."""
    server = uvicorn.Server(configured(app))

    async def serve() -> None:
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event
            await asyncio.sleep(0.01)
        if server.started:
            announce()
        await serving

    asyncio.run(serve())
