"""A search service in a process of its own, for tests over a real socket."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

import grpc
import numpy as np
from google.protobuf import struct_pb2

from lookalike.v1 import collection_pb2 as cpb
from lookalike.v1 import collection_pb2_grpc, search_pb2_grpc
from lookalike.v1 import search_pb2 as spb
from lookalike.wire import vectors
from lookalike.wire.channel import ChannelOptions, sync_channel
from lookalike.wire.errors import LookalikeError
from lookalike.wire.status import from_rpc_error

ROOT = Path(__file__).resolve().parents[2]
START_S = 60.0


class SearchServer:
    """The process and stubs for it; `stop` or `kill` ends it."""

    def __init__(self, data: Path, options: Sequence[str] = ()) -> None:
        paths = [str(ROOT), str(ROOT / "protos"), str(ROOT / "client")]
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "search_service",
                *("--data", str(data), "--port", "0", "--grace-s", "2"),
                *options,
            ],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            text=True,
        )
        self.port = self._read_port()
        self.channel = sync_channel(f"127.0.0.1:{self.port}", ChannelOptions())
        self.search = search_pb2_grpc.SearchServiceStub(self.channel)
        self.collections = collection_pb2_grpc.CollectionServiceStub(self.channel)

    def stop(self) -> int:
        """Send SIGTERM and return the exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """Send SIGKILL and return the exit code."""
        return self._end(signal.SIGKILL)

    def create(self, name: str, dimension: int, **settings: Any) -> cpb.Collection:
        """Create a collection of the caller's vectors."""
        request = cpb.CreateCollectionRequest(
            name=name, dimension=dimension, external_vectors=True, **settings
        )
        return self.collections.CreateCollection(request).collection

    def upsert(
        self, collection: str, items: Sequence[spb.VectorUpsert]
    ) -> list[spb.MutationResult]:
        """Store items in one message; return their results."""
        request = spb.UpsertVectorsRequest(collection=collection, items=items)
        (response,) = self.search.UpsertVectors(iter([request]))
        return list(response.results)

    def find(self, collection: str, vector: Sequence[float], limit: int = 10) -> list[spb.Hit]:
        """Search one vector."""
        query = spb.Query(vector_f32_le=packed(vector))
        response = self.search.Search(
            spb.SearchRequest(collection=collection, queries=[query], limit=limit)
        )
        return list(response.results[0].hits)

    def _read_port(self) -> int:
        assert self.process.stdout is not None
        lines: Queue[str] = Queue()
        stream = self.process.stdout
        threading.Thread(target=lambda: lines.put(stream.readline()), daemon=True).start()
        line = lines.get(timeout=START_S)
        if not line:
            raise AssertionError(f"the service did not start: exit code {self.process.wait()}")
        event = json.loads(line)
        assert event["event"] == "serving"
        return int(event["port"])

    def _end(self, number: int) -> int:
        self.channel.close()
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout=30)
        finally:  # one that hangs is a failure of its test, and no other's
            self.process.kill()
            self.process.wait()
            if self.process.stdout is not None:
                self.process.stdout.close()


@contextmanager
def running(data: Path, *options: str) -> Iterator[SearchServer]:
    """Run a service for a while."""
    server = SearchServer(data, options)
    try:
        yield server
    finally:
        server.stop()


def packed(vector: Sequence[float]) -> bytes:
    """Return a vector as it travels."""
    return vectors.encode(np.asarray(vector, dtype=np.float32))


def item(item_id: str, vector: Sequence[float], **fields: Any) -> spb.VectorUpsert:
    """Return an item to store."""
    return spb.VectorUpsert(id=item_id, vector_f32_le=packed(vector), **fields)


def metadata(**values: Any) -> struct_pb2.Struct:
    """Return metadata as it travels."""
    struct = struct_pb2.Struct()
    struct.update(values)
    return struct


@contextmanager
def refused() -> Iterator[list[LookalikeError]]:
    """Expect the block to fail as an RPC; the list then holds the error."""
    found: list[LookalikeError] = []
    try:
        yield found
    except grpc.RpcError as error:
        found.append(from_rpc_error(error))
    assert found, "the call was not refused"
