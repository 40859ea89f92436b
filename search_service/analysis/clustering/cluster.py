"""Finds groups of items that are near each other.

Options: `method` ("k_means" or "hdbscan"), `clusters` (0: the clearest number),
`max_clusters`, `min_cluster_size`, `label_path` (keys, or None), `map_items`, `seed`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from search_service.analysis.clustering.directions import reduce
from search_service.analysis.clustering.middles import Middles, find_middles
from search_service.analysis.clustering.naming import Names, name_clusters
from search_service.analysis.clustering.places import chosen_for_map, places_of
from search_service.analysis.clustering.ways import (
    Grouped,
    by_centres,
    by_density,
    silhouettes,
)
from search_service.analysis.gallery import Gallery, read_gallery
from search_service.analysis.jobs import AnalysisJob, Progress, Refused
from search_service.domain.arrays import F32, F64, I64

LEAST_ITEMS = 4
# More are no labels of groups, and the table of what is shared would take gigabytes.
_MOST_EARLIER = 5_000
_CLUSTERS_PER_PART = 100
_PER_PART = 1_000


def cluster(job: AnalysisJob, report: Callable[[Progress], None]) -> Iterator[Mapping[str, Any]]:
    """Yield a summary, clusters, members and places; keys are those of the contract.

    Raises:
        Refused: too few items count, or the labels are none of groups.
    """
    with threadpool_limits(limits=job.threads):  # scikit-learn's own threads, too
        yield from _cluster(job, report)


def _cluster(job: AnalysisJob, report: Callable[[Progress], None]) -> Iterator[Mapping[str, Any]]:
    options = job.options
    seed = int(options["seed"])
    gallery = read_gallery(job, report)
    if len(gallery) < LEAST_ITEMS:
        raise Refused("filter", f"{len(gallery)} items count, and groups take {LEAST_ITEMS}")
    earlier = _earlier(gallery, options["label_path"])
    reduced = reduce(gallery.vectors, seed, job.work_path, report)
    grouped = _grouped(reduced.rows, options, report)
    labels, count = _by_size(grouped.labels)
    report(Progress("finding middles", 0, 1))
    middles = find_middles(gallery.vectors, labels, count)
    names = name_clusters(labels, count, earlier)
    sampled, clear = silhouettes(reduced.rows, labels, seed)
    yield {
        "items": len(gallery),
        "method": options["method"],
        "clusters": count,
        "noise": int((labels < 0).sum()),
        "dimensions": reduced.rows.shape[1],
        "variance_kept": reduced.kept,
        "fitted_items": grouped.fitted,
        "silhouette": float(clear.mean()) if len(clear) else 0.0,
        "silhouette_items": len(clear),
        "tried": [{"clusters": number, "silhouette": value} for number, value in grouped.tried],
        "kept_labels": int(np.isfinite(names.kept).sum()),
    }
    described = _clusters(gallery, labels, middles, names, labels[sampled], clear)
    for start in range(0, count, _CLUSTERS_PER_PART):
        yield {"clusters_part": described[start : start + _CLUSTERS_PER_PART]}
    for start in range(0, len(gallery), _PER_PART):
        yield {"members": _members(gallery, labels, middles, names, earlier, start)}
    if options["map_items"]:
        yield from _map(gallery, reduced.rows, middles, job, report)


def _grouped(rows: F32, options: Mapping[str, Any], report: Callable[[Progress], None]) -> Grouped:
    seed = int(options["seed"])
    if options["method"] == "hdbscan":
        return by_density(rows, int(options["min_cluster_size"]), seed, report)
    if options["clusters"] > len(rows):
        raise Refused("clusters", f"{options['clusters']} are more than the {len(rows)} items")
    return by_centres(rows, options["clusters"], options["max_clusters"], seed, report)


def _by_size(labels: I64) -> tuple[I64, int]:
    """Number the clusters that have items anew, the largest first; ties by their first item."""
    inside = labels >= 0
    numbers, first, places, sizes = np.unique(
        labels[inside], return_index=True, return_inverse=True, return_counts=True
    )
    rank = np.empty(len(numbers), dtype=np.int64)
    rank[np.lexsort((first, -sizes))] = np.arange(len(numbers))
    ordered = np.full(len(labels), -1, dtype=np.int64)
    ordered[inside] = rank[places]
    return ordered, len(numbers)


def _earlier(gallery: Gallery, path: Sequence[str] | None) -> list[str]:
    """Return each item's earlier label; empty for none, and for what is no text.

    Raises:
        Refused: there are far more labels than groups can be.
    """
    if path is None:
        return [""] * len(gallery)
    labels = [value if isinstance(value, str) else "" for value in gallery.values(tuple(path))]
    different = len(set(labels))
    if different > _MOST_EARLIER:
        raise Refused(
            "label_field",
            f'the field "{".".join(path)}" holds {different:,} texts, and {_MOST_EARLIER:,} at '
            "most can be labels of an earlier clustering",
        )
    return labels


def _clusters(
    gallery: Gallery,
    labels: I64,
    middles: Middles,
    names: Names,
    sampled: I64,
    clear: F64,
) -> list[dict[str, Any]]:
    """Describe the clusters; `sampled` are the clusters of sampled items, int64 [m]."""
    count = len(names.labels)
    sizes = np.bincount(labels[labels >= 0], minlength=count)
    cosines = np.bincount(np.maximum(labels, 0), weights=middles.cosines, minlength=count)
    judged = np.bincount(sampled, minlength=count)
    sums = np.bincount(sampled, weights=clear, minlength=count)
    found = []
    for number in range(count):
        near = [gallery.ids[row] for row in middles.nearest[number].tolist()]
        described: dict[str, Any] = {
            "label": names.labels[number],
            "items": int(sizes[number]),
            "medoid_id": near[0],
            "example_ids": near[1:],
            "cosine_to_middle": float(cosines[number] / sizes[number]),
        }
        if judged[number]:
            described["silhouette"] = float(sums[number] / judged[number])
        if np.isfinite(names.kept[number]):
            described["kept_share"] = float(names.kept[number])
        found.append(described)
    return found


def _members(
    gallery: Gallery,
    labels: I64,
    middles: Middles,
    names: Names,
    earlier: Sequence[str],
    start: int,
) -> list[dict[str, Any]]:
    rows = range(start, min(start + _PER_PART, len(gallery)))
    return [
        {
            "id": gallery.ids[row],
            "label": names.labels[labels[row]] if labels[row] >= 0 else "",
            "cosine_to_middle": float(middles.cosines[row]),
            "earlier_label": earlier[row],
        }
        for row in rows
    ]


def _map(
    gallery: Gallery,
    rows: F32,
    middles: Middles,
    job: AnalysisJob,
    report: Callable[[Progress], None],
) -> Iterator[Mapping[str, Any]]:
    seed, most = int(job.options["seed"]), int(job.options["map_items"])
    medoids = np.array([near[0] for near in middles.nearest], dtype=np.int64)
    chosen = chosen_for_map(len(gallery), most, medoids, seed)
    report(Progress("placing items on a map", 0, len(chosen)))
    places = places_of(np.asarray(rows[chosen]), seed, job.threads)
    report(Progress("placing items on a map", len(chosen), len(chosen)))
    for start in range(0, len(chosen), _PER_PART):
        part = slice(start, start + _PER_PART)
        yield {
            "places": [
                {"id": gallery.ids[row], "x": float(x), "y": float(y)}
                for row, (x, y) in zip(chosen[part].tolist(), places[part].tolist(), strict=True)
            ]
        }
