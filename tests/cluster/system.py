"""Three nodes, a log, shared storage, and fronts."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from lookalike.v1 import cluster_pb2 as pb
from lookalike.v1 import cluster_pb2_grpc
from tests.cluster.nodes import HEAD, PORT, Node
from tests.integration.ingest.valkey import Valkey
from tests.integration.search_server import SearchServer


class System:
    """What `running_system` gives."""

    def __init__(self, root: Path, ray_root: Path, *, durable_head: bool) -> None:
        self.root = root
        self.valkey = Valkey(root)
        self.valkey.start()
        redis = f"127.0.0.1:{self.valkey.port}" if durable_head else ""
        self.nodes = [Node(number, ray_root, redis) for number in (1, 2, 3)]
        self.fronts: list[SearchServer] = []
        self._made = 0

    def start(self) -> None:
        """Start the nodes, one after another."""
        for node in self.nodes:
            node.start()

    def front(self, *options: str) -> SearchServer:
        """Start a front, joined through the head's machine."""
        self._made += 1
        data = self.root / f"front-{self._made}"
        server = SearchServer(data, [*self.options(), *options])
        self.fronts.append(server)
        return server

    def options(self) -> Sequence[str]:
        """The settings of a front."""
        return [
            *("--cluster-log", self.valkey.url),
            *("--cluster-snapshots", f"file://{self.root}/snapshots"),
            *("--cluster-data", str(self.root / "{node}")),
            *("--cluster-address", f"{HEAD}:{PORT}"),
            *("--cluster-node-address", HEAD),
            *("--cluster-replica-cpus", "0.1", "--cluster-snapshot-entries", "2000"),
            *("--threads", "1", "--build-threads", "1"),
        ]

    def stop(self) -> None:
        """End everything."""
        for front in self.fronts:
            front.kill()
        for node in reversed(self.nodes):
            node.kill()
        self.valkey.kill()


def describe(server: SearchServer, collection: str) -> pb.DescribeClusterResponse:
    """Say how a collection is."""
    stub = cluster_pb2_grpc.ClusterServiceStub(server.channel)
    request = pb.DescribeClusterRequest(collection=collection)
    answer: pb.DescribeClusterResponse = stub.DescribeCluster(request)
    return answer


def wait_until_whole(server: SearchServer, collection: str, within_s: float = 90.0) -> None:
    """Wait until every replica serves and has no lag."""
    deadline_s = time.monotonic() + within_s
    while True:
        replicas = [
            replica
            for partition in describe(server, collection).partitions
            for replica in partition.replicas
        ]
        if all(
            each.state == pb.REPLICA_STATE_SERVING and not each.lag_entries for each in replicas
        ):
            return
        assert time.monotonic() < deadline_s, replicas
        time.sleep(0.3)


@contextmanager
def new_system(root: Path, *, durable_head: bool) -> Iterator[System]:
    """Run a system as `running_system` does, with a folder for Ray and without Ray's tokens."""
    # Ray's sockets lie below; their paths are bounded to 107 bytes.
    ray_root = Path(tempfile.mkdtemp(prefix="lr"))
    try:
        with pytest.MonkeyPatch.context() as patch:
            # A token that some other Ray of the user has made is not this cluster's.
            patch.setenv("RAY_AUTH_MODE", "disabled")
            with running_system(root, ray_root, durable_head=durable_head) as system:
                yield system
    finally:
        shutil.rmtree(ray_root, ignore_errors=True)


@contextmanager
def running_system(root: Path, ray_root: Path, *, durable_head: bool) -> Iterator[System]:
    """Run a system for a while; with `durable_head` Ray's own state lies in Redis."""
    system = System(root, ray_root, durable_head=durable_head)
    try:
        system.start()
        yield system
    finally:
        system.stop()
