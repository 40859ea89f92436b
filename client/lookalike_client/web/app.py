"""The ASGI application: routes and what they share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route

from lookalike.wire.errors import LookalikeError
from lookalike_client.web.answers import on_failure, on_http_error
from lookalike_client.web.assets import Assets
from lookalike_client.web.guard import Guard
from lookalike_client.web.options import Connect, WebOptions
from lookalike_client.web.page.routes import page_routes
from lookalike_client.web.page.tasks import Tasks
from lookalike_client.web.rest.routes import api_routes
from lookalike_client.web.services import Services


def create_app(
    options: WebOptions, connect: Connect, connect_bare: Connect | None = None
) -> Starlette:
    """Return the application; connections are made when it starts.

    `connect_bare` makes one without a key of the server's own, for callers that send theirs.
    """
    assets = Assets()
    services, tasks = Services(options), Tasks()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with connect() as client, (connect_bare or connect)() as bare:
            services.client, services.bare = client, bare
            try:
                yield
            finally:
                await tasks.close()

    return Starlette(
        routes=[
            Route("/", assets.page, methods=["GET"]),
            Route("/api", assets.api_page, methods=["GET"]),
            Route("/static/{name:path}", assets.file, methods=["GET"]),
            *page_routes(services, tasks),
            *api_routes(services),
        ],
        middleware=[Middleware(Guard, options=options)],
        exception_handlers={LookalikeError: on_failure, HTTPException: on_http_error},
        lifespan=lifespan,
    )
