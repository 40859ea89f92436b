"""What `lookalike collections` says of one collection."""

from __future__ import annotations

import dataclasses

from lookalike_client.cli.output import Output
from lookalike_client.reports.calibration import constraint_of
from lookalike_client.types import Collection, CollectionStats

# Among ten times the items, ten times as many others are as near by chance.
OUTGROWN = 10


def print_collection(output: Output, collection: Collection) -> None:
    """Print whether all is well with a collection, its settings and its numbers."""
    index, stats = collection.index, collection.stats
    trouble = trouble_of(stats)
    state = f"NOT WELL: {trouble}" if trouble else f"well: {found_how(stats)}"
    if output.as_json:
        fields = {
            each.name: getattr(collection, each.name) for each in dataclasses.fields(collection)
        }
        output.document({**fields, "healthy": not trouble, "state": state})
        return
    duplicates = collection.duplicates
    output.facts(
        {
            "name": collection.name,
            "state": state,
            "items": f"{stats.items:,}",
            "dimension": collection.dimension,
            "model": collection.model_fingerprint or "(external vectors)",
            "preset": index.preset,
            "graph": f"{index.scalar_type}, {index.connectivity} links, "
            f"expansion {index.expansion_add} at build, {index.expansion_search} at search, "
            f"{index.graph_dimension or 'all'} dimensions",
            "layout": _layout(collection),
            "duplicates": duplicates.policy
            + (f" from {duplicates.threshold:.3f}" if duplicates.policy != "off" else ""),
            "thumbnails": f"{side_px} px" if (side_px := collection.thumbnail_side_px) else "none",
            "calibrated": _calibrated(collection),
            "compared one by one": f"{stats.unindexed_vectors:,}",
            "places in graphs": _places(stats),
            "on disk": f"{stats.disk_bytes / 1e6:,.1f} MB",
            "builds": f"{stats.builds}" + (" (one is running)" if stats.building else ""),
            "aliases": ", ".join(collection.aliases) or "none",
        }
    )


def _layout(collection: Collection) -> str:
    if collection.partitions == collection.replicas == 1:
        return "one shard"
    return f"{collection.partitions} partitions, each {collection.replicas} times"


def trouble_of(stats: CollectionStats) -> str:
    """Say what somebody has to look at; "" where all is well."""
    if stats.store_damage:
        return stats.store_damage
    if stats.last_build_error:
        return (
            f"the last build of a graph failed ({stats.last_build_error}); all items can be found, "
            "and the newest ones are compared one by one until a build succeeds"
        )
    return ""


def found_how(stats: CollectionStats) -> str:
    """Say how items are found where all is well: waiting for a graph is no fault."""
    items, flat = stats.items, stats.unindexed_vectors
    if not items:
        return "it is empty"
    every = "its one item can be found" if items == 1 else f"all {items:,} items can be found"
    if not flat:
        return f"{every}, through a graph"
    if flat >= items:
        later = "a graph is being built" if stats.building else "so few need no graph"
        return f"{every}, each compared with the query; {later}"
    newest = (
        "a graph that has them is being built" if stats.building else "a later build takes them"
    )
    return f"{every}; the newest {flat:,} are compared with the query one by one, {newest}"


def _places(stats: CollectionStats) -> str:
    """Say how many nodes graphs have, and why that is not the number of items in them."""
    said = f"{stats.graph_vectors:,}"
    if stats.graph_vectors == stats.items - stats.unindexed_vectors:
        return said
    return (
        f"{said} (equal vectors share one; what was replaced or deleted keeps its own until a "
        "later build)"
    )


def _calibrated(collection: Collection) -> str:
    """Say which threshold was calibrated, and whether the collection has outgrown it."""
    decision = collection.calibration
    if decision is None:
        return "no threshold"
    said = f"{decision.threshold:.3f} ({decision.mode}, {constraint_of(decision)})"
    if collection.stats.items >= OUTGROWN * decision.gallery_items:
        said += f"; it had {decision.gallery_items:,} items then: calibrate again"
    return said
