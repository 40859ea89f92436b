"""The connection to the queue's server, and its failures as our errors."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    NoScriptError,
    OutOfMemoryError,
    RedisError,
    ResponseError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

from lookalike.serving.queue.keys import GROUP
from lookalike.serving.settings.shared import QueueSettings
from lookalike.wire.errors import Exhausted, InvalidField, LookalikeError, Reason, Unavailable

_log = logging.getLogger(__name__)

# Entries of a stream: id and fields.
Rows: TypeAlias = list[tuple[bytes, dict[bytes, bytes]]]

# Streams with entries_read and lag, XAUTOCLAIM with the third element, and
# scripts with flags came with Redis 7.0; every Valkey has them.
LEAST_MAJOR_VERSION = 7

RISKS = ("eviction", "persistence")

# Long enough for a worker to free some memory or bytes, short enough to keep a
# steady stream going.
FULL_RETRY_S = 0.5
AWAY_RETRY_S = 1.0

_LOOK_AGAIN_S = 0.1

URL_FORM = 'must be of the form "redis://user:password@host:6379/0", or "rediss://…" for TLS'


def connect(settings: QueueSettings, client_name: str) -> Redis:
    """Return a client; connects lazily, and again whenever the server was away.

    A command is never repeated by the client library: its sender knows whether
    sending it twice is harmless.

    Raises:
        InvalidField: the URL cannot be read.
    """
    tls: dict[str, Any] = {}
    if settings.redis.startswith("rediss:"):
        files = {
            "ssl_ca_certs": settings.redis_tls_ca,
            "ssl_certfile": settings.redis_tls_certificate,
            "ssl_keyfile": settings.redis_tls_key,
        }
        tls = {name: value for name, value in files.items() if value}
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
            client_name=client_name,
            **tls,
        )
    except ValueError:
        # The library's text may quote the URL, and with it the password.
        raise InvalidField("redis", URL_FORM) from None
    return client


async def reach(client: Redis, streams: Sequence[str], wait_s: float) -> Mapping[str, Any] | str:
    """Wait for the server up to `wait_s`, check that it suits, create streams and groups.

    Returns what INFO says or, when the server could not be reached in time, why, for the
    operator. A refused password is not waited for.

    Raises:
        Unavailable: it is too old, or evicts keys.
    """
    deadline_s = time.monotonic() + wait_s
    while True:
        try:
            info: Mapping[str, Any] = await client.info()
            check_server(info)
            await ensure_groups(client, streams)
        except (RedisError, OSError) as error:
            refused = isinstance(error, AuthenticationError | AuthenticationWrongNumberOfArgsError)
            if refused or time.monotonic() >= deadline_s:
                return _why_not(client, error)
        else:
            return info
        await asyncio.sleep(_LOOK_AGAIN_S)


def _why_not(client: Redis, error: Exception) -> str:
    """Say in words why a server was not reached; without password."""
    kept = client.connection_pool.connection_kwargs
    address = f"{kept.get('host', 'localhost')}:{kept.get('port', 6379)}"
    if isinstance(error, AuthenticationError | AuthenticationWrongNumberOfArgsError):
        return f"the Redis at {address} refuses the user or password of --redis"
    if answer := _answer(error):
        return f"the Redis at {address} refuses to work: {answer}"
    cause = error.__cause__ or error.__context__ or error
    said = cause.strerror if isinstance(cause, OSError) and cause.strerror else ""
    return f"no Redis answers at {address}" + (f": {said}" if said else "")


def check_server(info: Mapping[str, object]) -> None:
    """Check what INFO says about the server.

    Raises:
        Unavailable: it is too old, or throws entries away when memory is short.
    """
    version = str(info.get("valkey_version") or info.get("redis_version") or "0")
    if int(version.split(".", maxsplit=1)[0]) < LEAST_MAJOR_VERSION:
        raise _unsuitable(f"the queue's server is Redis {version}: use Redis 7 or Valkey")
    if (eviction := risks(info).get("eviction")) is not None:
        raise _unsuitable(eviction)


def risks(info: Mapping[str, object]) -> dict[str, str]:
    """Return what may make the server lose entries, by the names of `RISKS`, with what to
    change."""
    found: dict[str, str] = {}
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        found["eviction"] = (
            f"the queue's server evicts keys ({policy}): set maxmemory-policy to noeviction"
        )
    if not info.get("aof_enabled", 1):
        found["persistence"] = (
            "the queue's server keeps no append-only file: accepted images are lost when it dies. "
            "Set appendonly yes and appendfsync always"
        )
    elif info.get("aof_last_write_status", "ok") != "ok":
        found["persistence"] = (
            "the queue's server cannot write its append-only file: accepted images are lost when "
            "it dies. Look at its disk"
        )
    return found


async def ensure_groups(client: Redis, streams: Sequence[str]) -> None:
    """Create streams and their group where they are missing, from the first entry on.

    Raises:
        RedisError, OSError: as the client library; see `queue_errors`.
    """
    for stream in streams:
        try:
            await client.xgroup_create(stream, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise


async def command(client: Redis, *arguments: str | bytes | int) -> Any:
    """Send a command whose answer has another type than the library says."""
    send: Callable[..., Awaitable[Any]] = client.execute_command
    return await send(*arguments)


@contextlib.contextmanager
def queue_errors() -> Iterator[None]:
    """Turn the client library's failures into our errors.

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
        # MISCONF, READONLY, NOPERM, …: for the operator, not for the caller.
        _log.error("the queue's server refused a command", extra={"answer": _answer(error)})
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


def _answer(error: Exception) -> str:
    """Return what the server answered; only that is certain to hold no password."""
    return str(error)[:200] if isinstance(error, ResponseError) else ""


def _unsuitable(message: str) -> Unavailable:
    return Unavailable(message, reason=Reason.QUEUE_UNAVAILABLE)
