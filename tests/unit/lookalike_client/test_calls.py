"""Patience, and errors of streams."""

import json

import pytest

from lookalike.v1 import (
    bank_pb2,
    collection_pb2,
    ingest_pb2,
    reembedding_pb2,
    search_pb2,
    snapshot_pb2,
)
from lookalike.wire.errors import Exhausted, LookalikeError, Reason, Unavailable
from lookalike_client import calls

AWAY = Unavailable("away", reason=Reason.NOT_READY)


def test_delays_grow_and_start_anew_after_progress() -> None:
    patience = calls.Patience(patience_s=100)

    delays = [patience.delay_s(AWAY) for _ in range(8)]
    patience.progress()

    assert delays[0] < delays[3] < 6.1
    assert max(delays) <= 6.0
    assert patience.delay_s(AWAY) < 0.3


def test_a_delay_that_the_service_asks_for_is_kept() -> None:
    assert calls.Patience().delay_s(Exhausted("full", retry_delay_s=9.0)) == 9.0


def test_patience_ends_with_the_error_itself() -> None:
    patience = calls.Patience(patience_s=0.0)

    with pytest.raises(Unavailable) as given_up:
        patience.strain(AWAY)

    assert given_up.value is AWAY


def test_exactly_the_calls_that_may_run_twice_are_retried() -> None:
    options = calls.channel_options(None, 5.0, use_proxy=False)
    config = json.loads(options.service_config or "")

    unary = {
        (service.full_name, method.name)
        for file in (
            bank_pb2,
            collection_pb2,
            ingest_pb2,
            reembedding_pb2,
            search_pb2,
            snapshot_pb2,
        )
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
        if not (method.client_streaming or method.server_streaming)
    }
    retried = {(each["service"], each["method"]) for each in config["methodConfig"][0]["name"]}
    # Run twice, each of these makes two things, or ends in an error or another answer.
    assert {method for _, method in unary - retried} == {
        *("CreateCollection", "DeleteCollection", "RenameCollection", "DeleteAlias"),
        *("CreateSnapshot", "DeleteSnapshot", "RestoreSnapshot"),
        *("RetryFailures", "EndReembedding"),
    }
    assert retried < unary
    assert ("lookalike.v1.SearchService", "CountFacets") in retried


def test_results_must_be_as_many_as_asked() -> None:
    assert calls.same_length([1, 2], "ab") == [1, 2]
    with pytest.raises(LookalikeError):
        calls.same_length([1], "ab")
