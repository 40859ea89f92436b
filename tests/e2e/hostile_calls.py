"""Sends hostile messages to a whole system, and looks how it takes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc

from lookalike.wire.channel import ChannelOptions, sync_channel
from lookalike_client import Client, VectorItem
from lookalike_client.supervisor.launch import RunningSystem
from tests.hostile.messages import COLLECTION, streams

DIMENSION = 4
# A stream that waits for more than there is ends with its deadline.
_TIMEOUT_S = 5.0
_AT_ONCE = 8
# What starts a process, or writes gigabytes in earnest, is asked for now and then.
_COSTLY = ("AnalysisService", "SnapshotService")


def prepare(system: RunningSystem) -> None:
    """Make the collection that messages are about, unless it is there."""
    with Client(system.search) as client:
        if COLLECTION not in {each.name for each in client.collections.list()}:
            make_collection(client)


def make_collection(client: Client) -> None:
    """Make the collection that messages are about."""
    client.collections.create(COLLECTION, model=None, dimension=DIMENSION)
    items = [
        VectorItem(f"item-{n}", [1.0, n, 0.0, 0.5], metadata={"word": "ab"[n % 2], "n": n})
        for n in range(6)
    ]
    for _ in client.upsert_vectors(COLLECTION, items):
        pass


def attack(
    system: RunningSystem, method: MethodDescriptor, count: int
) -> Counter[tuple[grpc.StatusCode, str]]:
    """Make `count` calls; return their codes, each with a text where it is a fault of ours."""
    service: str = method.containing_service.name
    embedder = service == "EmbedderService"
    address = system.addresses["embedder"] if embedder else system.search
    known = 0.02 if service in _COSTLY else 0.7
    return attack_at(address, method, count, known=known)


def attack_at(
    address: str,
    method: MethodDescriptor,
    count: int,
    *,
    known: float,
    options: ChannelOptions | None = None,
) -> Counter[tuple[grpc.StatusCode, str]]:
    """As `attack`, of the service at an address."""
    with (
        sync_channel(address, options or ChannelOptions()) as channel,
        ThreadPoolExecutor(_AT_ONCE) as pool,
    ):
        # On the wire every call is a stream: so one way to make them does. Not by asyncio,
        # whose client hides the status of a stream that ends while it is written to.
        made: Any = channel.stream_stream(f"/{method.containing_service.full_name}/{method.name}")
        sent = streams(method, count, known=known, dimension=DIMENSION)
        met = Counter(pool.map(lambda messages: _outcome(made, messages), sent))
        said = health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(), timeout=10.0
        )
    assert said.status == health_pb2.HealthCheckResponse.SERVING
    return met


def _outcome(made: Any, messages: Sequence[bytes]) -> tuple[grpc.StatusCode, str]:
    try:
        for _ in made(iter(messages), timeout=_TIMEOUT_S):
            pass
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code, (error.details() or "") if faulty(code) else ""
    return grpc.StatusCode.OK, ""


def faulty(code: grpc.StatusCode) -> bool:
    """Whether a code says that the service is at fault."""
    return code in (
        *(grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE),
        *(grpc.StatusCode.DATA_LOSS, grpc.StatusCode.UNIMPLEMENTED),
    )
