"""Clustering requests to the options of the analysis, and its answers to messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lookalike.v1 import clustering_pb2 as pb
from lookalike.wire.errors import InvalidField
from search_service import limits
from search_service.servicers.translate import read_path

_MOST_CLUSTERS = 1_000
_DEFAULT_MOST_CLUSTERS = 100
_MOST_LEAST_SIZE = 1_000
_DEFAULT_LEAST_SIZE = 5
_MOST_ON_MAP = 20_000
_METHODS = {
    pb.CLUSTERING_METHOD_UNSPECIFIED: "k_means",
    pb.CLUSTERING_METHOD_K_MEANS: "k_means",
    pb.CLUSTERING_METHOD_HDBSCAN: "hdbscan",
}
_MESSAGES = {
    "k_means": pb.CLUSTERING_METHOD_K_MEANS,
    "hdbscan": pb.CLUSTERING_METHOD_HDBSCAN,
}


def clustering_options(request: pb.ClusterRequest) -> dict[str, Any]:
    """Return the options of a request.

    Raises:
        InvalidField: naming the field.
    """
    method = _METHODS.get(request.method)
    if method is None:
        raise InvalidField("method", "must be CLUSTERING_METHOD_K_MEANS or _HDBSCAN")
    if method == "hdbscan" and (request.clusters or request.max_clusters):
        field = "clusters" if request.clusters else "max_clusters"
        raise InvalidField(field, "goes with K_MEANS: HDBSCAN finds how many there are")
    if method == "k_means" and request.min_cluster_size:
        raise InvalidField("min_cluster_size", "goes with HDBSCAN")
    if request.map_items:
        limits.check_range("map_items", request.map_items, 1, _MOST_ON_MAP)
    if request.clusters:
        limits.check_range("clusters", request.clusters, 2, _MOST_CLUSTERS)
    path = read_path(request.label_field, "label_field") if request.label_field else None
    return {
        "method": method,
        "clusters": request.clusters,
        "max_clusters": limits.check_range(
            "max_clusters", request.max_clusters or _DEFAULT_MOST_CLUSTERS, 2, _MOST_CLUSTERS
        ),
        "min_cluster_size": limits.check_range(
            "min_cluster_size",
            request.min_cluster_size or _DEFAULT_LEAST_SIZE,
            2,
            _MOST_LEAST_SIZE,
        ),
        "label_path": None if path is None else list(path),
        "map_items": request.map_items,
        "seed": request.seed,
    }


def clustering_part(content: Mapping[str, Any]) -> pb.ClusterResponse:
    """Return the message of a part of the answer."""
    if "members" in content:
        members = [pb.ClusterMember(**each) for each in content["members"]]
        return pb.ClusterResponse(members=pb.ClusterMembers(members=members))
    if "places" in content:
        places = [pb.MapPlace(**each) for each in content["places"]]
        return pb.ClusterResponse(places=pb.MapPlaces(places=places))
    if "clusters_part" in content:
        clusters = [pb.Cluster(**each) for each in content["clusters_part"]]
        return pb.ClusterResponse(clusters=pb.Clusters(clusters=clusters))
    summary = dict(content)
    summary["method"] = _MESSAGES[summary["method"]]
    summary["tried"] = [pb.ClusterCount(**each) for each in summary["tried"]]
    return pb.ClusterResponse(summary=pb.ClusteringSummary(**summary))
