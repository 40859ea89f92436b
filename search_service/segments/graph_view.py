"""The HNSW graph while it is searched: read from its file, never changed.

The walk is our own, over links that usearch made (`search_service/compiled/walk.py`):
usearch waits for the memory at each node, cannot leave out what is not wanted, and
serves one call at a time.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from search_service.compiled.addresses import address_of
from search_service.compiled.metric import as_scalars
from search_service.compiled.packed_file import read_packed_graph
from search_service.compiled.usearch_file import GraphParts, read_graph
from search_service.compiled.walk import Links, Wanted, walk
from search_service.compiled.warm import warm_reader
from search_service.domain.arrays import F32, I8, I32, I64, Flags
from search_service.domain.collection import Dtype
from search_service.segments.codes import Codes, metric_of
from search_service.segments.errors import SegmentDamaged

_NONE = np.empty(0, dtype=np.int64)
# Every node may be found.
EVERY = Wanted(True, _NONE, _NONE, _NONE, 0, np.empty(0, dtype=np.bool_))
# More comparisons than a walk can make.
UNBOUNDED = 1 << 62


class GraphView:
    """Nodes 0 … N-1 over encoded vectors; all methods may run at the same time."""

    def __init__(self, codes: Codes, links: Links) -> None:
        """Use what a file held; see `open`."""
        self.codes = codes
        self._links = links

    @staticmethod
    def open(
        path: Path, dtype: Dtype, width: int, *, reduced: bool, to_change: bool = False
    ) -> GraphView:
        """Read a verified file over vectors of `width` components into memory.

        Links of nibbles are packed, unless they are `to_change`.

        Raises:
            SegmentDamaged: it is no such graph.
        """
        metric = metric_of(dtype, width, reduced=reduced)
        warm_reader()
        try:
            parts = _read(path, dtype, to_change=to_change)
        except (OSError, ValueError) as error:
            raise SegmentDamaged(f"{path.name}: {error}") from error
        if parts.codes.shape[1] != metric.width_bytes:
            raise SegmentDamaged(f"{path.name}: its vectors are not of {width} components")
        return GraphView(Codes(parts.codes, metric, dtype), parts.links)

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def near(self) -> I32:
        """Links on the lowest level, int32 [N, 2M], padded with -1; none that are packed."""
        return self._links.near

    @property
    def memory_bytes(self) -> int:
        """What it takes of memory."""
        links = self._links
        parts = (links.near, links.first, links.above, links.packed.starts, links.packed.words)
        return self.codes.nbytes + sum(part.nbytes for part in parts)

    def search(
        self,
        queries: F32 | I8,
        count: int,
        expansion: int,
        *,
        side: I32,
        wanted: Wanted = EVERY,
        patience: int = UNBOUNDED,
        most: int = UNBOUNDED,
        goals: I64 = _NONE,
    ) -> tuple[I64, Flags]:
        """Return int64 [B, count] wanted nodes, nearest first, padded with -1.

        `queries` is [B, width]; `side` int32 are nodes to compare in any case. The
        second result, bool [B], says which queries ended within `most` comparisons, and
        with `patience` before they had found `expansion` nodes.
        A query that reaches its goal, int64 [B], ends with it alone.
        """
        found = np.empty((len(queries), count), dtype=np.int64)
        ended = np.zeros(len(queries), dtype=np.bool_)
        if not len(self) or not len(queries):
            found[:] = -1
            return found, ~ended
        scalars = self.codes.scalars(queries)
        walk(
            self.codes.metric,
            self.codes.address,
            self._links,
            side,
            wanted,
            address_of(scalars),
            max(expansion, count),
            patience,
            most,
            goals,
            found,
            ended,
        )
        return found, ended


def _read(path: Path, dtype: Dtype, *, to_change: bool) -> GraphParts:
    data = np.asarray(np.memmap(path, dtype=np.uint8, mode="c"))
    if dtype is not Dtype.I4:
        return read_graph(data)
    if not to_change:
        return read_packed_graph(data)
    parts = read_graph(data)
    return GraphParts(as_scalars(parts.codes.view(np.int8), dtype), parts.links)
