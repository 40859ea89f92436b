"""Ten thousand hostile messages to each method; a few are in tests/e2e."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.protobuf.descriptor import MethodDescriptor

from lookalike_client.supervisor.launch import RunningSystem
from tests.e2e.conftest import UP_OPTIONS
from tests.e2e.hostile_calls import attack, faulty, prepare
from tests.hostile.messages import methods

pytestmark = pytest.mark.chaos

_CALLS = 10_000


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    with RunningSystem(tmp_path_factory.mktemp("attacked"), UP_OPTIONS) as system:
        yield system


@pytest.mark.parametrize("method", methods(), ids=lambda method: method.full_name.split(".", 2)[-1])
def test_hostile_messages_are_refused(attacked: RunningSystem, method: MethodDescriptor) -> None:
    prepare(attacked)  # what was attacked before may have deleted it
    pids = attacked.pids
    met = attack(attacked, method, _CALLS)

    assert not {key: count for key, count in met.items() if faulty(key[0])}
    assert sum(met.values()) == _CALLS
    assert attacked.pids == pids
