"""One caller, as a process of its own; `python path_caller.py --help`.

Imports nothing but the client and numpy, so that it can also be run by a checkout of
an earlier version, against a service of that version.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import grpc
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc

from lookalike.v1 import search_pb2, search_pb2_grpc
from lookalike.wire import vectors
from lookalike.wire.channel import ChannelOptions, sync_channel
from lookalike.wire.vectors import F32
from lookalike_client import Client, Query

LIMIT = 10
_WARM_UP_S = 1.0


def main() -> None:
    """Call for some seconds, and print what was found as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("one", "sdk", "raw"))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--collection", default="bench")
    parser.add_argument("--queries", required=True, help=".npy of float32 [Q, D]")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0)
    flags = parser.parse_args()
    queries = np.load(flags.queries)
    queries = np.roll(queries, -flags.first, axis=0)
    channel = sync_channel(f"127.0.0.1:{flags.port}", ChannelOptions())
    with Client(f"127.0.0.1:{flags.port}") as client:
        if flags.what == "one":
            found: object = _one(client, channel, flags.collection, queries, flags.seconds)
        else:
            call = (_sdk if flags.what == "sdk" else _raw)(
                client, channel, flags.collection, queries, flags.batch
            )
            found = _rate(call, flags.seconds) * flags.batch
    print(json.dumps(found))


def _one(
    client: Client, channel: grpc.Channel, collection: str, queries: F32, seconds: float
) -> dict[str, list[float]]:
    """Call in turns, so that all meet the same other load; return the ms of each call."""
    search = search_pb2_grpc.SearchServiceStub(channel)
    health = health_pb2_grpc.HealthStub(channel)
    taken: dict[str, list[float]] = {"sdk": [], "raw": [], "health": [], "search": []}
    raw = [_request(collection, query[None]) for query in queries]
    explained = search_pb2.SearchRequest()
    for query in queries:  # as in everyday use, most of what is found was found before
        client.search(collection, Query.by_vector(query), limit=LIMIT)
    end_s = time.perf_counter() + seconds
    place = 0
    while time.perf_counter() < end_s:
        place = (place + 1) % len(queries)
        # Another query for each kind of call: none warms the memory for the next.
        query = queries[place]
        started_s = time.perf_counter()
        result = client.search(collection, Query.by_vector(query), limit=LIMIT)
        for hit in result.hits:
            len(hit.metadata)
        taken["sdk"].append((time.perf_counter() - started_s) * 1e3)
        request = raw[(place * 7 + 3) % len(raw)]
        started_s = time.perf_counter()
        search.Search(request)
        taken["raw"].append((time.perf_counter() - started_s) * 1e3)
        explained.CopyFrom(raw[(place * 11 + 5) % len(raw)])
        explained.explain = True
        plan = search.Search(explained).results[0].plan
        taken["search"].append(plan.search_time.ToNanoseconds() / 1e6)
        started_s = time.perf_counter()
        health.Check(health_pb2.HealthCheckRequest())
        taken["health"].append((time.perf_counter() - started_s) * 1e3)
    return taken


def _sdk(
    client: Client, _channel: grpc.Channel, collection: str, queries: F32, batch: int
) -> Callable[[int], object]:
    parts = [
        [Query.by_vector(query) for query in queries[start : start + batch]]
        for start in range(0, len(queries) - batch + 1, batch)
    ]

    def call(place: int) -> None:
        found = client.search_many(collection, parts[place % len(parts)], limit=LIMIT)
        for result in found:
            for hit in result.hits:
                len(hit.metadata)

    return call


def _raw(
    _client: Client, channel: grpc.Channel, collection: str, queries: F32, batch: int
) -> Callable[[int], object]:
    search = search_pb2_grpc.SearchServiceStub(channel)
    parts = [
        _request(collection, queries[start : start + batch])
        for start in range(0, len(queries) - batch + 1, batch)
    ]
    return lambda place: search.Search(parts[place % len(parts)])


def _rate(call: Callable[[int], object], seconds: float) -> float:
    """Return calls a second."""
    end_s = time.perf_counter() + _WARM_UP_S
    place = 0
    while time.perf_counter() < end_s:
        call(place)
        place += 1
    first, started_s = place, time.perf_counter()
    while time.perf_counter() < started_s + seconds:
        call(place)
        place += 1
    return (place - first) / (time.perf_counter() - started_s)


def _request(collection: str, queries: F32) -> search_pb2.SearchRequest:
    return search_pb2.SearchRequest(
        collection=collection,
        queries=[search_pb2.Query(vector_f32_le=vectors.encode(query)) for query in queries],
        limit=LIMIT,
    )


if __name__ == "__main__":
    main()
