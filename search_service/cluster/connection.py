"""How the cluster's Redis is reached, and what its refusals mean."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    NoScriptError,
    OutOfMemoryError,
    RedisError,
    ResponseError,
)
from redis.retry import Retry

from lookalike.wire.errors import Exhausted, InvalidField, Reason, Unavailable

_TIMEOUT_S = 5.0


class OtherRun(Exception):
    """The server was started anew since the log was prepared for it: see `prepare`."""

    def __init__(self, run: str) -> None:
        super().__init__(run)
        self.run = run


def connect(url: str, tls_ca: Path | None = None) -> Redis:
    """Return a client that connects lazily and repeats nothing by itself.

    Raises:
        InvalidField: the URL cannot be read.
    """
    tls: dict[str, Any] = {"ssl_ca_certs": str(tls_ca)} if tls_ca else {}
    try:
        client: Redis = Redis.from_url(
            url,
            protocol=2,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            driver_info=None,
            client_name="lookalike-cluster",
            **tls,
        )
    except ValueError:
        # The library's text may quote the URL, and with it the password.
        raise InvalidField("cluster_log", "must be redis://user:password@host:6379/0") from None
    return client


@contextlib.contextmanager
def log_errors() -> Iterator[None]:
    """Raise what the client says as ours.

    Raises:
        OtherRun, Exhausted, Unavailable.
    """
    try:
        yield
    except OutOfMemoryError as error:
        raise Exhausted("the log is full: write more slowly", retry_delay_s=5.0) from error
    except (RedisError, OSError) as error:
        # Of a pipeline it stands behind the number of its command.
        if isinstance(error, ResponseError) and (run := re.search(r"OTHERRUN (\w+)", str(error))):
            raise OtherRun(run[1]) from None
        if isinstance(error, ResponseError) and not isinstance(
            error, NoScriptError | AuthenticationError
        ):
            if "OOM" in str(error):
                raise Exhausted("the log is full: write more slowly", retry_delay_s=5.0) from error
            if not re.search(r"\b(LOADING|READONLY|MASTERDOWN|NOAUTH|MISCONF|BUSY)\b", str(error)):
                raise
        raise Unavailable(
            "the log of the cluster cannot be reached",
            reason=Reason.QUEUE_UNAVAILABLE,
            retry_delay_s=1.0,
        ) from error
