"""Whatever is sent to a method, the answer is the sender's fault, and the service goes on."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor import MethodDescriptor

from lookalike_client.supervisor.launch import RunningSystem
from tests.e2e.hostile_calls import attack, faulty, prepare
from tests.hostile.messages import methods

_CALLS = 30


@pytest.fixture(scope="module")
def attacked(system: RunningSystem) -> RunningSystem:
    prepare(system)
    return system


@pytest.mark.parametrize("method", methods(), ids=lambda method: method.full_name.split(".", 2)[-1])
def test_hostile_messages_are_refused(attacked: RunningSystem, method: MethodDescriptor) -> None:
    pids = attacked.pids
    met = attack(attacked, method, _CALLS)

    assert not {key: count for key, count in met.items() if faulty(key[0])}
    assert sum(met.values()) == _CALLS
    assert attacked.pids == pids
