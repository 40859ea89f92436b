"""`lookalike.v1.ClusterService`: translates and delegates."""

# ruff: noqa: N802 - the contract names the methods

from __future__ import annotations

from typing import Any

import grpc

from lookalike.v1 import cluster_pb2 as pb
from lookalike.v1 import cluster_pb2_grpc
from search_service.access.gate import Gate
from search_service.cluster.catalog import ClusterCatalog
from search_service.cluster.status import PartitionStatus, ReplicaStatus
from search_service.offload import Offload

SERVICE_NAME = "lookalike.v1.ClusterService"

Context = grpc.aio.ServicerContext[Any, Any]


class ClusterServicer(cluster_pb2_grpc.ClusterServiceServicer):
    """The service over the catalog of a cluster."""

    def __init__(self, gate: Gate, catalog: ClusterCatalog, slow: Offload) -> None:
        self._gate = gate
        self._catalog = catalog
        self._slow = slow

    async def DescribeCluster(
        self, request: pb.DescribeClusterRequest, context: Context
    ) -> pb.DescribeClusterResponse:
        """Describe partitions and replicas of one collection."""
        uid = self._gate.find(request.collection).uid
        found = await self._slow.run(self._catalog.describe, uid)
        return pb.DescribeClusterResponse(partitions=[_partition(each) for each in found])


def _partition(status: PartitionStatus) -> pb.Partition:
    return pb.Partition(
        number=status.number,
        log_position=status.log_position,
        log_entries=status.log_entries,
        snapshot_position=status.snapshot_position,
        replicas=[_replica(each) for each in status.replicas],
    )


def _replica(status: ReplicaStatus) -> pb.Replica:
    return pb.Replica(
        number=status.number,
        state=pb.ReplicaState.ValueType(status.state.value),
        node=status.node,
        position=status.position,
        lag_entries=status.lag_entries,
        items=status.items,
        trouble=status.trouble,
    )
