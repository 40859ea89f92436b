"""Requests for groups of items."""

from __future__ import annotations

from lookalike.v1 import clustering_pb2
from lookalike_client.requests.bounds import not_negative
from lookalike_client.requests.filters import FilterLike, condition
from lookalike_client.types import ClusteringMethod

_METHODS = {
    ClusteringMethod.K_MEANS: clustering_pb2.CLUSTERING_METHOD_K_MEANS,
    ClusteringMethod.HDBSCAN: clustering_pb2.CLUSTERING_METHOD_HDBSCAN,
}


def cluster(
    collection: str,
    *,
    filter: FilterLike,
    method: ClusteringMethod,
    clusters: int,
    max_clusters: int,
    min_cluster_size: int,
    label_field: str,
    map_items: int,
    seed: int,
) -> clustering_pb2.ClusterRequest:
    """Return the request.

    Raises:
        InvalidField: a number is negative.
    """
    return clustering_pb2.ClusterRequest(
        collection=collection,
        filter=condition(filter),
        method=_METHODS[ClusteringMethod(method)],
        clusters=not_negative(clusters, "clusters"),
        max_clusters=not_negative(max_clusters, "max_clusters"),
        min_cluster_size=not_negative(min_cluster_size, "min_cluster_size"),
        label_field=label_field,
        map_items=not_negative(map_items, "map_items"),
        seed=not_negative(seed, "seed"),
    )
