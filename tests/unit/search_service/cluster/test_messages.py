"""What travels between fronts and replicas arrives as it was."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from lookalike.wire.errors import (
    Exhausted,
    InvalidField,
    LimitExceeded,
    LookalikeError,
    NotFound,
    Reason,
    SnapshotInvalid,
    StoreDamaged,
    Unavailable,
)
from search_service.cluster.answering import Told
from search_service.cluster.messages import pack, unpack
from search_service.domain.conditions import AllOf, Equals, In
from search_service.domain.queries import QueryRequest

ERRORS = [
    LookalikeError("all", reason=Reason.INTERNAL, field="f", retry_delay_s=2.0),
    Exhausted("full", retry_delay_s=5.0),
    InvalidField("ids", "no"),
    LimitExceeded("limit", "is too large"),
    NotFound("none", reason=Reason.ITEM_NOT_FOUND, field="id"),
    SnapshotInvalid("damaged"),
    StoreDamaged("damaged"),
    Unavailable("starting", reason=Reason.NOT_READY, retry_delay_s=1.0),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors(error: LookalikeError) -> None:
    told: Told = unpack(pack(Told(error=error)))

    assert told.error is not None
    assert type(told.error) is type(error)
    assert vars(told.error) == vars(error)


def test_requests() -> None:
    condition = AllOf((Equals(("a", "b"), True), In(("c",), ("x", 2.0))))
    request = QueryRequest(np.ones((2, 3), np.float32), filter=condition, limit=7, min_score=0.5)
    method, arrived = unpack(pack(("query", request)))

    assert method == "query"
    assert np.array_equal(arrived.vectors, request.vectors)
    others = [each.name for each in fields(request) if each.name != "vectors"]
    assert [getattr(arrived, name) for name in others] == [
        getattr(request, name) for name in others
    ]
