"""How many nodes a collection needs: memory, disk, latency and cost from figures of one shard.

    python deploy/ray/plan.py                            10 million, 100 million, 1 billion
    python deploy/ray/plan.py --images 50000000 --node-memory-gib 128

Every assumption is an option with its default below. Measure your own first: `make
bench-search-million` prints a shard's time a query and bytes an item, `make bench-cluster` what
asking several adds.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

_GIB = 1 << 30
_MILLION = 1_000_000
_SIZES = (10 * _MILLION, 100 * _MILLION, 1_000 * _MILLION)


@dataclass(frozen=True)
class Assumptions:
    """What the model is given; each is an option of the same name."""

    # The collection.
    dimension: int = 512
    graph_dimension: int = 256
    connectivity: int = 32
    metadata_bytes: int = 200
    facts_bytes: int = 3_000
    replicas: int = 2
    # A row of the store beside its vector, metadata and facts; pages of 16 KiB are 85 % full.
    store_row_bytes: int = 60
    store_fill: float = 0.85
    # Of an item in memory whatever is searched: its id, its place in the maps, its metadata.
    resident_item_bytes: int = 220
    # Of the float32 rows, which re-ranking reads, that have to be in memory to be quick.
    rows_in_memory: float = 0.25
    # While a build runs, its copy of the graph lies beside.
    build_share: float = 1.3
    # One shard of a million, one thread, 100 hits; each tenfold of items takes so much longer.
    query_ms_at_million: float = 2.4
    query_growth_tenfold: float = 0.35
    # Asking all partitions and merging, and what each further partition adds: the slowest counts.
    fan_out_ms: float = 5.0
    fan_out_ms_tenfold_partitions: float = 2.0
    # What a call of a replica takes of a processor, at the front and there, with one query each;
    # requests of many queries share it. Empty calls, measured on two cores.
    call_ms_core: float = 1.1
    # Images that one core embeds a second, and adds to a graph a second.
    embed_rate_core: float = 30.0
    build_rate_core: float = 310.0
    # Entries of a partition's log until it is cut (`--cluster-snapshot-entries`), and what one has
    # beside vector, metadata and facts.
    log_entries: int = 100_000
    log_entry_bytes: int = 250
    # A node.
    node_memory_gib: float = 64.0
    node_cores: int = 16
    node_memory_usable: float = 0.75
    most_items_partition: int = 20_000_000
    node_hour_price: float = 0.80
    disk_gib_month_price: float = 0.10


@dataclass(frozen=True)
class Plan:
    """What a collection needs; of all replicas together where nothing else is said."""

    images: int
    partitions: int
    nodes: int
    memory_gib: float
    disk_gib: float
    log_gib: float
    query_ms: float
    queries_per_s: float
    index_hours: float
    month_price: float


def item_bytes(given: Assumptions) -> tuple[float, float]:
    """Return what one item takes in memory and on the disk, in one replica."""
    vector = 4 * given.dimension
    codes = given.graph_dimension or given.dimension
    # Twice the links on the lowest level, 4 bytes each, and a 32nd of the nodes above it.
    graph = 4 * 2 * given.connectivity * (1 + 1 / 32) + 16
    row = vector + given.metadata_bytes + given.facts_bytes + given.store_row_bytes
    resident = given.resident_item_bytes + given.metadata_bytes + codes + graph
    memory = resident + given.rows_in_memory * vector
    disk = row / given.store_fill + (vector + codes + graph) * given.build_share
    return memory, disk


def plan(images: int, given: Assumptions) -> Plan:
    """Return what `images` need."""
    memory, disk = item_bytes(given)
    usable = given.node_memory_gib * given.node_memory_usable * _GIB
    fitting = min(given.most_items_partition, int(usable / memory))
    partitions = math.ceil(images / fitting)
    each = images / partitions
    per_node = max(1, int(usable / (each * memory)))
    nodes = max(given.replicas, math.ceil(partitions * given.replicas / per_node))
    slower = 1 + given.query_growth_tenfold * max(0.0, math.log10(each / _MILLION))
    shard_ms = given.query_ms_at_million * slower
    spread = given.fan_out_ms_tenfold_partitions * math.log10(partitions)
    fan_out_ms = 0.0 if partitions == given.replicas == 1 else given.fan_out_ms + spread
    call_ms = given.call_ms_core if fan_out_ms else 0.0
    cores = nodes * given.node_cores
    seconds = images / (cores * given.embed_rate_core) + given.replicas * images / (
        cores * given.build_rate_core
    )
    disk_gib = images * disk * given.replicas / _GIB
    entry = 4 * given.dimension + given.metadata_bytes + given.facts_bytes + given.log_entry_bytes
    hours = 730
    return Plan(
        images=images,
        partitions=partitions,
        nodes=nodes,
        memory_gib=images * memory * given.replicas / _GIB,
        disk_gib=disk_gib,
        log_gib=partitions * given.log_entries * entry / _GIB,
        query_ms=shard_ms + fan_out_ms,
        queries_per_s=cores * 1_000 / ((shard_ms + call_ms) * partitions),
        index_hours=seconds / 3_600,
        month_price=nodes * given.node_hour_price * hours + disk_gib * given.disk_gib_month_price,
    )


def table(plans: Sequence[Plan]) -> str:
    """Return plans as a table in Markdown."""
    lines = [
        "| images | partitions | nodes | memory, GiB | disk, GiB | log in Redis, GiB | "
        "median query, ms | "
        "queries/s at most | first index, hours | a month |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.images:,} | {one.partitions} | {one.nodes} | {one.memory_gib:,.0f} | "
        f"{one.disk_gib:,.0f} | {one.log_gib:,.1f} | {one.query_ms:.1f} | "
        f"{one.queries_per_s:,.0f} | {one.index_hours:,.1f} | {one.month_price:,.0f} |"
        for one in plans
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the plans that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="*", default=list(_SIZES))
    for each in fields(Assumptions):
        flag = f"--{each.name.replace('_', '-')}"
        parser.add_argument(flag, type=type(each.default), default=each.default)
    values = vars(parser.parse_args())
    sizes = values.pop("images")
    given = Assumptions(**values)
    memory, disk = item_bytes(given)
    print(f"One item takes {memory:,.0f} bytes in memory and {disk:,.0f} on the disk.\n")
    print(table([plan(images, given) for images in sizes]))


if __name__ == "__main__":
    main()
