"""Groups of items."""

from __future__ import annotations

from collections.abc import Iterable

from lookalike.v1 import clustering_pb2
from lookalike_client import types

_METHODS = {
    clustering_pb2.CLUSTERING_METHOD_K_MEANS: types.ClusteringMethod.K_MEANS,
    clustering_pb2.CLUSTERING_METHOD_HDBSCAN: types.ClusteringMethod.HDBSCAN,
}


def cluster_report(messages: Iterable[clustering_pb2.ClusterResponse]) -> types.ClusterReport:
    """Return what the messages of one answer say together."""
    summary = clustering_pb2.ClusteringSummary()
    clusters: list[types.Cluster] = []
    members: list[types.ClusterMember] = []
    places: list[types.MapPlace] = []
    for message in messages:
        if message.HasField("summary"):
            summary = message.summary
        clusters += map(_cluster, message.clusters.clusters)
        members += [
            types.ClusterMember(each.id, each.label, each.cosine_to_middle, each.earlier_label)
            for each in message.members.members
        ]
        places += [types.MapPlace(each.id, each.x, each.y) for each in message.places.places]
    return types.ClusterReport(
        items=summary.items,
        method=_METHODS[summary.method],
        noise=summary.noise,
        dimensions=summary.dimensions,
        variance_kept=summary.variance_kept,
        fitted_items=summary.fitted_items,
        silhouette=summary.silhouette,
        silhouette_items=summary.silhouette_items,
        kept_labels=summary.kept_labels,
        tried=[types.ClusterCount(each.clusters, each.silhouette) for each in summary.tried],
        clusters=clusters,
        members=members,
        places=places,
    )


def _cluster(message: clustering_pb2.Cluster) -> types.Cluster:
    return types.Cluster(
        label=message.label,
        items=message.items,
        medoid_id=message.medoid_id,
        example_ids=list(message.example_ids),
        cosine_to_middle=message.cosine_to_middle,
        silhouette=message.silhouette if message.HasField("silhouette") else None,
        kept_share=message.kept_share if message.HasField("kept_share") else None,
    )
