"""Groups of a collection's items."""

from __future__ import annotations

import grpc

from lookalike.v1 import analysis_pb2_grpc
from lookalike_client import calls, convert, requests
from lookalike_client._async.answers import LONG_TIMEOUT_S, OnProgress, answers
from lookalike_client.requests import FilterLike
from lookalike_client.types import ClusteringMethod, ClusterReport


class AsyncGrouping:
    """What `AsyncAnalysis` asks about groups."""

    def __init__(self, channel: grpc.aio.Channel, explain: calls.Explain) -> None:
        self._explain = explain
        self._stub = analysis_pb2_grpc.AnalysisServiceStub(channel)

    async def cluster(
        self,
        collection: str,
        *,
        filter: FilterLike = None,
        method: ClusteringMethod = ClusteringMethod.K_MEANS,
        clusters: int = 0,
        max_clusters: int = 0,
        min_cluster_size: int = 0,
        label_field: str = "",
        map_items: int = 0,
        seed: int = 0,
        on_progress: OnProgress | None = None,
        timeout_s: float = LONG_TIMEOUT_S,
    ) -> ClusterReport:
        """Find groups of items that are near each other.

        K_MEANS makes `clusters` of them, or the clearest number up to `max_clusters` (0 for
        100); HDBSCAN those of at least `min_cluster_size` items (0 for 5). Where
        `label_field` holds the labels of an earlier clustering, groups that are still the
        same keep theirs; nothing is stored. `map_items` items get a place on a map.

        Raises:
            InvalidField: an option is none, or too few items count.
        """
        request = requests.cluster(
            collection,
            filter=filter,
            method=method,
            clusters=clusters,
            max_clusters=max_clusters,
            min_cluster_size=min_cluster_size,
            label_field=label_field,
            map_items=map_items,
            seed=seed,
        )
        with calls.translated(self._explain):
            stream = self._stub.Cluster(request, timeout=timeout_s)
            return convert.cluster_report(await answers(stream, on_progress))
