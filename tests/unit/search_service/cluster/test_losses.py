"""When a partition goes on without what nobody has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from search_service.cluster.losses import Losses
from search_service.cluster.status import ReplicaState, ReplicaStatus

WAITS = ReplicaStatus(0, ReplicaState.RECOVERING, position=5, lacks=9)
AHEAD = ReplicaStatus(1, ReplicaState.RECOVERING, position=7, lacks=9)


def test_the_one_that_has_most_goes_on_after_a_while() -> None:
    losses = Losses()

    assert list(losses.look("u", [[WAITS, AHEAD]], 0.0)) == []
    assert list(losses.look("u", [[WAITS, AHEAD]], 59.0)) == []
    assert list(losses.look("u", [[WAITS, AHEAD]], 61.0)) == [(0, 1, 9)]


@pytest.mark.parametrize(
    "other",
    [
        ReplicaStatus(1),
        replace(AHEAD, state=ReplicaState.SERVING),
        replace(AHEAD, lacks=0),
    ],
    ids=["away", "serving", "fetching"],
)
def test_not_while_another_may_have_it(other: ReplicaStatus) -> None:
    losses = Losses()
    list(losses.look("u", [[WAITS, AHEAD]], 0.0))
    assert list(losses.look("u", [[WAITS, other]], 30.0)) == []

    # It may have been there for a moment: the time begins anew.
    assert list(losses.look("u", [[WAITS, AHEAD]], 70.0)) == []
