"""What nodes of a graph take, and sizes for people."""

from __future__ import annotations

from lookalike_client.advise import tables
from lookalike_client.advise.tables import Way


def file_node_bytes(way: Way, width: int) -> int:
    """What a node takes in its file, whose links and bytes are those of usearch."""
    return way.component_bytes * width + tables.LINK_BYTES * way.connectivity + tables.NODE_BYTES


def node_bytes(way: Way, width: int, count: int) -> float:
    """What a node takes in memory."""
    if not way.packed:
        return file_node_bytes(way, width)
    bits = max(1, (count - 1).bit_length())
    links = tables.LINKS_USED * way.connectivity * bits / 8
    return way.memory_component_bytes * width + links + tables.PACKED_NODE_BYTES


def size_text(size_bytes: float) -> str:
    """A size for people, as in `3.2 GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size_bytes < 1_024:
            return f"{size_bytes:.0f} B" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1_024
    return f"{size_bytes:.1f} TiB"
