"""Ten thousand hostile messages to each method; a few are in tests/e2e."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.protobuf.descriptor import MethodDescriptor

from lookalike.wire.channel import ChannelOptions
from lookalike.wire.keys import Scope
from lookalike.wire.tokens import GivenToken
from lookalike_client import Client
from lookalike_client.supervisor.launch import RunningSystem
from tests.e2e.conftest import UP_OPTIONS
from tests.e2e.hostile_calls import attack, attack_at, faulty, make_collection, prepare
from tests.hostile.messages import methods
from tests.integration.keyed import KeyFile
from tests.integration.search_server import running

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


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ChannelOptions]]:
    """The address of a service, and how a tenant calls it."""
    root = tmp_path_factory.mktemp("keyed")
    keys = KeyFile(root / "keys.json")
    scopes = frozenset({Scope.READ, Scope.WRITE})
    tenant = GivenToken(keys.add("tenant", scopes, tenant=((("word",), "a"),)))
    with running(root / "data", "--keys-file", str(keys.path)) as server:
        address = f"127.0.0.1:{server.port}"
        with Client(address, token=keys.add("admin")) as admin:
            make_collection(admin)
        yield address, ChannelOptions(token=tenant)


@pytest.mark.parametrize(
    "method",
    [each for each in methods() if each.containing_service.name == "SearchService"],
    ids=lambda method: method.name,
)
def test_a_tenants_hostile_messages_are_refused(
    keyed: tuple[str, ChannelOptions], method: MethodDescriptor
) -> None:
    address, options = keyed
    met = attack_at(address, method, _CALLS, known=0.7, options=options)

    assert not {key: count for key, count in met.items() if faulty(key[0])}
