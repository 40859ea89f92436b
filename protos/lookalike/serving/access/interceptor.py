"""Before every call: who makes it, and whether they may."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import grpc

from lookalike.serving.access.key_store import KeyStore
from lookalike.serving.access.principal import Principal, set_current
from lookalike.serving.access.rules import RULES, Reach
from lookalike.wire import keys, request_ids, status
from lookalike.wire.errors import LookalikeError, PermissionDenied

_log = logging.getLogger("lookalike.audit")
# Fields of requests that say what a call is about.
_NAMES = (
    *("collection", "name", "alias", "snapshot_id"),
    *("new_name", "source", "target", "delete_collection"),
)

# Probes have no key.
_OPEN_PREFIX = "/grpc.health.v1.Health/"
# In metrics, the method of all calls that the contract has not: whoever has no key must not make
# series without end.
_NO_METHOD = "none"
# Characters of what a caller wrote that stand in a line.
_MOST_CHARACTERS = 128
# Lines a second about calls that were refused: whoever guesses must not fill the disk.
_MOST_LINES_A_SECOND = 20

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class AccessInterceptor(grpc.aio.ServerInterceptor):
    """Refuses calls without a key that allows them, before their messages are read."""

    def __init__(self, store: KeyStore, refused: Callable[[str, str], None]) -> None:
        """`refused` is told the method and the code of each call that is refused."""
        self._store = store
        self._refused = refused
        self._second, self._lines = 0, 0

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Return the handler of a call that is allowed, or one that refuses it."""
        method: str = handler_call_details.method
        if method.startswith(_OPEN_PREFIX):
            return await continuation(handler_call_details)
        # The handler runs in this task.
        request_ids.enter(request_ids.of_call(handler_call_details.invocation_metadata))
        token = _token(handler_call_details)
        try:
            principal = self._store.holder(token)
            check(principal, method)
        except LookalikeError as error:
            code = status.code_of(error.reason).name
            self._refused(method if method in RULES else _NO_METHOD, code)
            self._note(method, code, None if token is None else keys.id_of(token))
            return _refusing(error)
        set_current(principal)
        return await continuation(handler_call_details)

    def _note(self, method: str, code: str, key_id: str | None) -> None:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._lines = second, 0
        self._lines += 1
        if self._lines <= _MOST_LINES_A_SECOND:
            shown = _shown(method)
            _log.warning(
                "call refused", extra={"method": shown, "code": code, "claimed_key": key_id}
            )


def check(principal: Principal, method: str) -> None:
    """Hold that a key allows a call, its collections aside.

    Raises:
        PermissionDenied: it does not.
    """
    rule, record = RULES.get(method), principal.record
    if rule is None:
        raise PermissionDenied("there is no such call for API keys")
    if rule.scope is not None and rule.scope not in record.scopes:
        raise PermissionDenied(f'this API key lacks the scope "{rule.scope}", which the call needs')
    if record.tenant and rule.reach in (Reach.COLLECTIONS, Reach.ALL):
        raise PermissionDenied(
            "this API key sees a part of the items only, and the call is about all of them"
        )
    if rule.reach is Reach.ALL and not record.allows_all:
        raise PermissionDenied(
            "this API key is for some collections only, and the call is about all of them"
        )


def audit(
    method: str, request: object, context: Context, principal: Principal | None, code: str
) -> None:
    """Note a call that administers the service: who, what, to what, and how it ended."""
    record = None if principal is None else principal.record
    about = {
        name: _shown(value)
        for name in _NAMES
        if isinstance(value := getattr(request, name, None), str) and value
    }
    _log.info(
        "admin call",
        extra={
            "method": method,
            "about": about,
            "code": code,
            "key": None if record is None else record.id,
            "key_name": None if record is None else record.name,
            "peer": context.peer(),
        },
    )


def _shown(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else text[:_MOST_CHARACTERS] + "…"


def _token(details: grpc.HandlerCallDetails) -> str | None:
    """Return the token of a call; None where there is none.

    A call with two is refused, since what is between may have read the other.
    """
    found = [value for key, value in details.invocation_metadata or () if key == keys.METADATA_KEY]
    if len(found) != 1 or not isinstance(found[0], str):
        return None
    return keys.token_in(found[0])


def _refusing(error: LookalikeError) -> Handler:
    # As a stream, whatever the call is: so its message is not waited for.
    async def refuse(_requests: AsyncIterator[bytes], context: Context) -> None:
        await status.abort(context, error)

    return grpc.stream_stream_rpc_method_handler(refuse)
