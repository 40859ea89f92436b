"""Gathers the rows of a new segment: one node for each distinct vector."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from search_service.domain.arrays import F32, I64, U32, U64
from search_service.segments.building.digests import DigestIndex, digest_rows
from search_service.segments.building.row_writer import RowWriter
from search_service.segments.manifest import DIGESTS, ORDINALS, ROW_SUMS, Manifest
from search_service.segments.ordinal_map import OrdinalMap
from search_service.segments.rows import RowLayout


class Collector:
    """Takes (ordinals, vectors) in any order; writes rows as they come."""

    def __init__(self, directory: Path, layout: RowLayout) -> None:
        self._directory = directory
        self._dimension = layout.dimension
        self._writer = RowWriter(directory, layout)
        self._index = DigestIndex()
        self._digests: list[U64] = []
        self._ordinals: list[I64] = []
        self._nodes: list[I64] = []

    @property
    def node_count(self) -> int:
        """Distinct vectors so far."""
        return self._writer.rows

    def adopt(self, base: Path, manifest: Manifest) -> None:
        """Start with all nodes of the verified segment in `base`.

        Raises:
            SegmentDamaged: a row block that had to be copied is damaged.
        """
        self._writer.adopt(base, manifest.nodes, np.fromfile(base / ROW_SUMS, dtype="<u4"))
        digests = np.fromfile(base / DIGESTS, dtype="<u8")
        self._digests.append(digests)
        self._index.add(digests, np.arange(len(digests), dtype=np.int64))
        pairs = OrdinalMap.read(base / ORDINALS, manifest.nodes, manifest.ordinals).pairs()
        self._ordinals.append(pairs[0])
        self._nodes.append(pairs[1])

    def add(self, ordinals: I64, vectors: F32) -> None:
        """Add int64 [n] ordinals and their float32 [n, D] vectors.

        Raises:
            ValueError: the vectors have another dimension.
        """
        if vectors.shape[1] != self._dimension:
            raise ValueError(
                f"the store's vectors have dimension {vectors.shape[1]}, "
                f"the collection has {self._dimension}"
            )
        digests = digest_rows(vectors)
        nodes = self._known_nodes(digests, vectors)
        fresh = np.flatnonzero(nodes < 0)
        first, which = self._first_of_each(digests[fresh], vectors[fresh])
        start = self._writer.rows
        nodes[fresh] = start + which
        kept = fresh[first]
        self._writer.append(vectors[kept])
        self._digests.append(digests[kept])
        # Where two different vectors share a digest, the first keeps it.
        novel = self._index.find(digests[kept]) < 0
        novel &= np.isin(np.arange(len(kept)), np.unique(digests[kept], return_index=True)[1])
        self._index.add(digests[kept][novel], start + np.flatnonzero(novel))
        self._ordinals.append(ordinals)
        self._nodes.append(nodes)

    def finish(self) -> OrdinalMap:
        """Write row checksums, digests and ordinals; return the ordinals."""
        self._writer.finish().tofile(self._directory / ROW_SUMS)
        digests = np.concatenate([np.empty(0, dtype=np.uint64), *self._digests])
        digests.astype("<u8").tofile(self._directory / DIGESTS)
        empty = np.empty(0, dtype=np.int64)
        ordinals = np.concatenate([empty, *self._ordinals])
        nodes = np.concatenate([empty, *self._nodes])
        ordinal_map = OrdinalMap.from_pairs(ordinals, nodes, self._writer.rows)
        ordinal_map.write(self._directory / ORDINALS)
        return ordinal_map

    def close(self) -> None:
        """Close the files, finished or not."""
        self._writer.close()

    def _known_nodes(self, digests: U64, vectors: F32) -> I64:
        nodes = self._index.find(digests)
        likely = np.flatnonzero(nodes >= 0)
        stored = self._writer.read(nodes[likely])
        equal = (stored.view(np.uint32) == _words(vectors[likely])).all(axis=1)
        nodes[likely[~equal]] = -1
        return nodes

    @staticmethod
    def _first_of_each(digests: U64, vectors: F32) -> tuple[I64, I64]:
        """Return (places of the distinct vectors, for each vector which one it is)."""
        _, first, inverse = np.unique(digests, return_index=True, return_inverse=True)
        owner = first[inverse]
        words = _words(vectors)
        repeated = np.flatnonzero(owner != np.arange(len(owner)))
        differs = (words[repeated] != words[owner[repeated]]).any(axis=1)
        owner[repeated[differs]] = repeated[differs]
        places, which = np.unique(owner, return_inverse=True)
        return places.astype(np.int64), which.astype(np.int64)


def _words(vectors: F32) -> U32:
    return np.ascontiguousarray(vectors, dtype="<f4").view(np.uint32)
