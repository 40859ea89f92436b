"""Which servers suit, and what their failures become."""

from __future__ import annotations

import pytest
from redis.exceptions import (
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    RedisError,
    ResponseError,
)

from lookalike.serving.queue.connection import check_server, queue_errors
from lookalike.wire.errors import Exhausted, LookalikeError, Reason, Unavailable


@pytest.mark.parametrize(
    "info",
    [
        {"redis_version": "7.0.15", "maxmemory_policy": "noeviction"},
        {"redis_version": "7.2.4", "valkey_version": "9.1.2"},
    ],
)
def test_servers_that_suit(info: dict[str, object]) -> None:
    check_server(info)


@pytest.mark.parametrize(
    ("info", "told"),
    [
        ({"redis_version": "6.2.14"}, "use Redis 7"),
        ({"redis_version": "7.0.0", "maxmemory_policy": "allkeys-lru"}, "to noeviction"),
    ],
)
def test_servers_that_do_not_suit(info: dict[str, object], told: str) -> None:
    with pytest.raises(Unavailable, match=told) as raised:
        check_server(info)
    assert "\n" not in raised.value.message


@pytest.mark.parametrize(
    ("failure", "kind", "reason"),
    [
        (OutOfMemoryError("OOM command not allowed"), Exhausted, Reason.OVERLOADED),
        (ResponseError("OOM command not allowed"), Exhausted, Reason.OVERLOADED),
        (BusyLoadingError("Redis is loading"), Unavailable, Reason.QUEUE_UNAVAILABLE),
        (NoPermissionError("NOPERM this user"), Unavailable, Reason.QUEUE_UNAVAILABLE),
        (RedisError("hush"), Unavailable, Reason.QUEUE_UNAVAILABLE),
        (ConnectionResetError("hush"), Unavailable, Reason.QUEUE_UNAVAILABLE),
    ],
)
def test_failures_become_our_errors(
    failure: Exception, kind: type[LookalikeError], reason: Reason
) -> None:
    with pytest.raises(kind) as raised, queue_errors():
        raise failure
    assert raised.value.reason is reason
    assert raised.value.retry_delay_s
    assert str(failure) not in raised.value.message


def test_other_faults_pass_through() -> None:
    with pytest.raises(ZeroDivisionError), queue_errors():
        raise ZeroDivisionError
