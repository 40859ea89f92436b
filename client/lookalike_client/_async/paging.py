"""Reads lists page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol, TypeVar

import grpc

from lookalike_client import calls


class PageRequest(Protocol):
    """A request for a page; an empty token asks for the first one."""

    page_token: str


class Page(Protocol):
    """A page; an empty token says that it is the last one."""

    next_page_token: str


AnyRequest = TypeVar("AnyRequest", bound=PageRequest)
AnyPage = TypeVar("AnyPage", bound=Page)


async def pages(
    explain: calls.Explain,
    method: grpc.aio.UnaryUnaryMultiCallable[AnyRequest, AnyPage],
    request: AnyRequest,
    *,
    timeout_s: float,
) -> AsyncIterator[AnyPage]:
    """Yield the pages that `request` asks for, from the first to the last.

    Raises:
        LookalikeError: a call failed.
    """
    while True:
        with calls.translated(explain):
            page = await method(request, timeout=timeout_s)
        yield page
        request.page_token = page.next_page_token
        if not page.next_page_token:
            return
