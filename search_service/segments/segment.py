"""An open segment: verified, mapped, searchable."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import TypeVar

import numpy as np

from search_service.compiled.walk import Wanted
from search_service.domain.arrays import F32, I32, I64, Flags
from search_service.domain.collection import Dtype
from search_service.segments.api import LEAST_CANDIDATES, LEAST_EXPANSION
from search_service.segments.checksums import check_file
from search_service.segments.codes import Codec, Codes
from search_service.segments.encoder import Encoder, read_encoder
from search_service.segments.errors import SegmentDamaged
from search_service.segments.graph_view import EVERY, UNBOUNDED, GraphView
from search_service.segments.manifest import (
    CODES,
    GRAPH,
    ORDINALS,
    ROW_SUMS,
    SIDE,
    Identity,
    Manifest,
    read_manifest,
)
from search_service.segments.ordinal_map import OrdinalMap
from search_service.segments.rows import RowLayout, RowMatrix

Part = TypeVar("Part")


class Segment:
    """Immutable nodes over ordinals; knows nothing of which ordinals are live.

    Everything but the rows is verified when it is opened; a row is verified
    before a method returns its node for the first time, and `check_rows` does it
    for callers that go to `rows` themselves. Once damage is found every search
    raises `SegmentDamaged`.
    """

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        matrix: RowMatrix,
        ordinal_map: OrdinalMap,
        encoder: Encoder,
        side: I32,
        codes: Codes | None,
        graph: GraphView | None,
    ) -> None:
        self.path = path
        self.manifest = manifest
        self._matrix = matrix
        self._map = ordinal_map
        self.encoder = encoder
        self._side = side
        self._codes = codes
        self._graph = graph
        codec = Codec.of(encoder, manifest.settings.dtype)
        self.codec = codec if manifest.has_codes and codec.pays else None
        self._damage: str | None = None
        self._stop_checking = threading.Event()
        self._checker: threading.Thread | None = None

    @staticmethod
    def open(path: Path, identity: Identity) -> Segment:
        """Verify and map the segment in directory `path`.

        Raises:
            SegmentDamaged: it is not what was written, or not of `identity`.
        """
        manifest = read_manifest(path, identity)
        for name, expected in manifest.files.items():
            check_file(path / name, expected)
        try:
            return _open_verified(path, manifest)
        except (OSError, RuntimeError, ValueError, IndexError) as error:
            raise SegmentDamaged(f"{path.name}: cannot be opened: {error}") from error

    @property
    def rows(self) -> F32:
        """The exact vectors: float32 [N, D], unit L2, memory-mapped, read-only."""
        return self._matrix.array

    @property
    def offsets(self) -> I64:
        """int64 [N + 1]: node n stands for `ordinals[offsets[n]:offsets[n + 1]]`."""
        return self._map.offsets

    @property
    def ordinals(self) -> I64:
        """int64 [M], ascending within a node."""
        return self._map.ordinals

    @property
    def has_graph(self) -> bool:
        """Whether there is a graph; without one all that counts is compared."""
        return self.manifest.has_graph

    @property
    def has_codes(self) -> bool:
        """Whether it can be compared in a compact form, a graph's or not."""
        return self.manifest.has_codes

    @property
    def side_nodes(self) -> int:
        """How many nodes are on the side list."""
        return len(self._side)

    @property
    def damage(self) -> str | None:
        """What was found to be damaged after opening; searches raise it."""
        return self._damage

    @property
    def disk_bytes(self) -> int:
        """Bytes of all files, those shared with another segment included."""
        rows = 4 * self.rows.size
        return rows + sum(file.size for file in self.manifest.files.values())

    def candidates(self, queries: F32, count: int, expansion: int) -> I64:
        """Return int64 [B, C] nodes near each query, padded with -1; no node twice in a row.

        The best of the graph at search expansion `expansion` and of the side list:
        `count`, or `LEAST_CANDIDATES` if that is more, which is what every node
        needs to be found by its own vector. `queries` is float32 [B, D], unit L2.

        Raises:
            SegmentDamaged: a row that was found is not what was written.
        """
        return self.wanted_candidates(queries, count, expansion, EVERY, UNBOUNDED, UNBOUNDED)[0]

    def wanted_candidates(
        self,
        queries: F32,
        count: int,
        expansion: int,
        wanted: Wanted,
        patience: int,
        most: int,
    ) -> tuple[I64, Flags]:
        """As `candidates`, of wanted nodes only, with at most `most` comparisons a query.

        The second result, bool [B], is false where those did not suffice, or `patience`
        not for `expansion` nodes.

        Raises:
            SegmentDamaged: as `candidates` does.
        """
        nodes, ended = self._whole(self._graph, "graph").search(
            self.encoder.encode(queries),
            max(count, LEAST_CANDIDATES),
            max(expansion, LEAST_EXPANSION),
            side=self._side,
            wanted=wanted,
            patience=patience,
            most=most,
        )
        self._matrix.expect(nodes)
        self.check_rows(nodes)
        return nodes, ended

    def nearest_exactly(self, nodes: I64, queries: F32, count: int, most: int) -> tuple[I64, F32]:
        """Compare `nodes`, int64 [n], in the compact form, and the nearest of them exactly.

        See `Codes.nearest_exactly`.

        Raises:
            SegmentDamaged: a row that was compared is not what was written.
        """
        codes = self._whole(self._codes, "compact form")
        found, scores = codes.nearest_exactly(
            nodes, self.encoder, self._matrix, queries, count, most
        )
        self.check_rows(found)
        return found, scores

    def check_rows(self, nodes: I64 | None = None, stop: threading.Event | None = None) -> None:
        """Verify the rows of `nodes` (any shape, -1 skipped), or all of them.

        Cheap once they have been. `stop` ends a check of all rows early.

        Raises:
            SegmentDamaged: they are not what was written.
        """
        try:
            if nodes is None:
                self._matrix.check_all(stop)
            else:
                self._matrix.check_nodes(nodes)
        except SegmentDamaged as error:
            self._damage = str(error)
            raise

    def check_in_background(self) -> None:
        """Verify all rows on a thread of its own; `damage` says what it found."""
        self._checker = threading.Thread(
            target=self._check_quietly, name="segment-check", daemon=True
        )
        self._checker.start()

    def close(self) -> None:
        """Let go of the graph; rows are unmapped once no array refers to them.

        No search may be running or follow.
        """
        self._stop_checking.set()
        if self._checker is not None:
            self._checker.join()
        self._damage = "the segment is closed"
        self._codes = self._graph = None

    def _check_quietly(self) -> None:
        with contextlib.suppress(SegmentDamaged):  # kept in `damage`
            self.check_rows(stop=self._stop_checking)

    def _whole(self, part: Part | None, name: str) -> Part:
        if self._damage is not None or part is None:
            raise SegmentDamaged(self._damage or f"{self.path.name}: it has no {name}")
        return part


def _open_verified(path: Path, manifest: Manifest) -> Segment:
    layout = RowLayout(
        manifest.identity.dimension, manifest.rows_per_block, manifest.rows_per_chunk
    )
    sums = np.fromfile(path / ROW_SUMS, dtype="<u4")
    # Whoever wants four bits a component in memory does not want 32 there.
    on_disk = manifest.settings.dtype is Dtype.I4
    matrix = RowMatrix(path, layout, manifest.nodes, sums, on_disk=on_disk)
    ordinal_map = OrdinalMap.read(path / ORDINALS, manifest.nodes, manifest.ordinals)
    encoder = read_encoder(path, manifest)
    side = np.fromfile(path / SIDE, dtype="<i8")
    matrix.check_nodes(side)
    graph, codes, dtype = None, None, manifest.settings.dtype
    if manifest.has_graph:
        graph = GraphView.open(path / GRAPH, dtype, encoder.width, reduced=encoder.reduces)
        if len(graph) != manifest.nodes:
            raise SegmentDamaged(f"{GRAPH}: {len(graph)} nodes, should be {manifest.nodes}")
        codes = graph.codes
    elif manifest.has_codes:
        codes = Codes.read(path / CODES, manifest.nodes, encoder, dtype)
    side_nodes = side.astype(np.int32)
    return Segment(path, manifest, matrix, ordinal_map, encoder, side_nodes, codes, graph)
