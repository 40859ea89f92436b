"""The connection to the queue's server, and its failures in our words."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    NoScriptError,
    OutOfMemoryError,
    RedisError,
    ResponseError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

from lookalike.wire import queue
from lookalike.wire.errors import Exhausted, InvalidField, LookalikeError, Reason, Unavailable

if TYPE_CHECKING:
    from search_service.ingest.settings import IngestSettings

_log = logging.getLogger(__name__)

# Entries of a stream: id and fields.
Rows: TypeAlias = list[tuple[bytes, dict[bytes, bytes]]]

# Long enough for a worker to free some memory or bytes, short enough to keep a
# steady stream going.
FULL_RETRY_S = 0.5
AWAY_RETRY_S = 1.0


def connect(settings: IngestSettings) -> Redis:
    """Return a client; connects lazily, and again whenever the server was away.

    A command is never repeated by the client library: whoever sends knows whether
    sending twice is harmless.

    Raises:
        InvalidField: the URL is none.
    """
    tls: dict[str, Any] = {}
    if settings.redis.startswith("rediss:"):
        tls = {
            name: value
            for name, value in (
                ("ssl_ca_certs", settings.redis_tls_ca),
                ("ssl_certfile", settings.redis_tls_certificate),
                ("ssl_keyfile", settings.redis_tls_key),
            )
            if value
        }
    try:
        client: Redis = Redis.from_url(
            settings.redis,
            protocol=2,
            socket_timeout=settings.redis_timeout_s,
            socket_connect_timeout=settings.redis_timeout_s,
            socket_read_size=256 * 1024,
            health_check_interval=15,
            retry=Retry(NoBackoff(), 0),
            driver_info=None,  # looking its own version up takes 8 ms for each connection
            client_name="lookalike-search",
            **tls,
        )
    except ValueError:
        # The library's text may quote the URL, and with it the password.
        raise InvalidField("redis", queue.URL_FORM) from None
    return client


async def command(client: Redis, *arguments: str | bytes | int) -> Any:
    """Send a command whose typed form in the library fits no one answer."""
    send: Callable[..., Awaitable[Any]] = client.execute_command
    return await send(*arguments)


@contextlib.contextmanager
def queue_errors() -> Iterator[None]:
    """Turn the client library's failures into ours.

    Raises:
        Exhausted: the server is out of memory.
        Unavailable: it cannot be reached, or refuses to work.
    """
    try:
        yield
    except (RedisError, OSError) as error:
        raise to_error(error) from error


def to_error(error: Exception) -> LookalikeError:
    """Return our error for one of the client library's."""
    if isinstance(error, OutOfMemoryError) or str(error).startswith("OOM "):
        return full("the queue's server is out of memory; send again later")
    if isinstance(error, ResponseError) and not isinstance(error, NoScriptError):
        # MISCONF, READONLY, LOADING, NOPERM, …: an operator's business, not the caller's.
        _log.error("the queue's server refused a command", extra={"answer": str(error)[:200]})
    elif not isinstance(error, RedisConnectionError | RedisTimeoutError | OSError):
        _log.error("the queue failed", extra={"error": type(error).__name__})
    return Unavailable(
        "the ingestion queue cannot be reached; send again later",
        reason=Reason.QUEUE_UNAVAILABLE,
        retry_delay_s=AWAY_RETRY_S,
    )


def full(message: str) -> Exhausted:
    """Return the error for a bound that is reached."""
    return Exhausted(message, retry_delay_s=FULL_RETRY_S)


async def check_server(client: Redis, wait_s: float) -> bool:
    """Check that the server suits, waiting for it up to `wait_s`.

    Returns False when it could not be reached: the caller goes on without it.

    Raises:
        Unavailable: it is too old, or evicts keys.
    """
    deadline = time.monotonic() + wait_s
    while True:
        try:
            info = await client.info()
        except (RedisError, OSError) as error:
            if time.monotonic() >= deadline:
                _log.warning("no queue yet", extra={"error": type(error).__name__})
                return False
            await asyncio.sleep(0.1)
            continue
        queue.check_server(info)
        if not info.get("aof_enabled"):
            _log.warning(
                "the queue's server keeps no append-only file: accepted images are lost when "
                "it dies. Set appendonly yes and appendfsync always"
            )
        return True


async def ensure_group(client: Redis, stream: str) -> None:
    """Create stream and group where they are missing, from the first entry on."""
    try:
        await client.xgroup_create(stream, queue.GROUP, id="0", mkstream=True)
    except ResponseError as error:
        if not str(error).startswith("BUSYGROUP"):
            raise
