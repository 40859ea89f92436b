"""Groups of items that are near each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class ClusteringMethod(StrEnum):
    """A way to find groups.

    `K_MEANS`: every item belongs to the nearest of k centres. `HDBSCAN`: dense places are
    clusters, and what lies between them is noise.
    """

    K_MEANS = "k-means"
    HDBSCAN = "hdbscan"


@dataclass(frozen=True, slots=True)
class ClusterCount:
    """A number of clusters that was tried, and its mean silhouette."""

    clusters: int
    silhouette: float


@dataclass(frozen=True, slots=True)
class Cluster:
    """A group of items that are near each other.

    `medoid_id` is the item in its middle, `example_ids` those next to it. `silhouette` is
    the mean of its sampled items, None where none was sampled. `kept_share`: of the items
    that are in it or had its label earlier, the share that is both; None for a new label.
    """

    label: str
    items: int
    medoid_id: str
    example_ids: Sequence[str]
    cosine_to_middle: float
    silhouette: float | None
    kept_share: float | None


@dataclass(frozen=True, slots=True)
class ClusterMember:
    """An item with its cluster, "" for noise, and its earlier label, "" for none."""

    id: str
    label: str
    cosine_to_middle: float
    earlier_label: str


@dataclass(frozen=True, slots=True)
class MapPlace:
    """An item's place on a map, both from 0 to 1, from the left and from the top."""

    id: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class ClusterReport:
    """Groups of items, how they were found, and how clear they are.

    The items were compared along `dimensions` directions that hold `variance_kept` of their
    variance. Clusters were found among `fitted_items`; the others joined the nearest centre
    (K_MEANS) or the cluster of the nearest of these (HDBSCAN). `silhouette`, -1 to 1, is the
    mean over `silhouette_items` sampled items in clusters. `kept_labels` clusters kept the
    label of an earlier one. `clusters` are in their order, the largest first.
    """

    items: int
    method: ClusteringMethod
    noise: int
    dimensions: int
    variance_kept: float
    fitted_items: int
    silhouette: float
    silhouette_items: int
    kept_labels: int
    tried: Sequence[ClusterCount]
    clusters: Sequence[Cluster]
    members: Sequence[ClusterMember]
    places: Sequence[MapPlace]
