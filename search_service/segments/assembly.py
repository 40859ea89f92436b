"""Makes one segment: read, fit, insert, save, audit, publish.

Everything happens in a hidden directory that is renamed at the end, so a crash
at any point leaves the old set whole and a leftover that is removed at open.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np

from lookalike.wire.vectors import F32
from search_service.compiled.usearch_file import add_links
from search_service.segments.audit import repair
from search_service.segments.checksums import check_file, sum_file
from search_service.segments.collector import Collector
from search_service.segments.encoder import SAMPLE_ROWS, Encoder, fit_encoder
from search_service.segments.errors import SegmentDamaged
from search_service.segments.files import publish_directory, remove_tree
from search_service.segments.graph import Graph
from search_service.segments.graph_view import GraphView
from search_service.segments.manifest import (
    DIGESTS,
    ENCODER,
    GRAPH,
    ORDINALS,
    ROW_SUMS,
    SIDE,
    Identity,
    Manifest,
    read_manifest,
    write_manifest,
)
from search_service.segments.mapping import map_rows
from search_service.segments.planning import Action, Plan
from search_service.segments.rows import I64, RowLayout
from search_service.shard.types import IndexSettings

# Rows read, encoded and inserted at a time: 8 MiB of 512-dimensional rows.
BATCH_ROWS = 4_096
# The PCA basis is fitted anew when it keeps this much less of newer rows' variance …
ENERGY_DROP = 0.03
# … of which there are enough to say so, and when a new one would keep more of it.
_LEAST_DRIFT_ROWS = 1_000
_LEAST_GAIN = 0.01

VectorSource = Callable[[int, int, int], Iterator[tuple[I64, F32]]]
"""(after_ordinal, upto_ordinal, batch) → batches of live (ordinals, vectors)."""


class Step(StrEnum):
    """Where a build is."""

    READ = "read"
    FIT = "fit"
    INSERT = "insert"
    SAVE = "save"
    AUDIT = "audit"
    PUBLISH = "publish"


@dataclass(frozen=True, slots=True)
class _Base:
    path: Path
    manifest: Manifest
    encoder: Encoder


class Assembly:
    """One build in `root`, for the collection `identity`."""

    def __init__(
        self,
        root: Path,
        identity: Identity,
        settings: IndexSettings,
        threads: int,
        vectors: VectorSource,
        report: Callable[[Step], None],
    ) -> None:
        """`report` is called before each step, and again for each batch of it."""
        self._root = root
        self._identity = identity
        self._settings = settings
        self._threads = threads
        self._vectors = vectors
        self._report = report
        self._layout = RowLayout.of(identity.dimension)

    def run(self, plan: Plan) -> str:
        """Make the planned segment; return the name of its directory.

        An EXTEND whose base proves damaged becomes a BUILD of the same range.
        """
        if plan.action is Action.EXTEND:
            try:
                return self._make(plan, self._open_base(plan.base))
            except SegmentDamaged:
                plan = replace(plan, action=Action.BUILD, base="")
        return self._make(plan, None)

    def _make(self, plan: Plan, base: _Base | None) -> str:
        unique = uuid.uuid4().hex[:12]
        temporary = self._root / f".building-{unique}"
        temporary.mkdir()
        try:
            self._fill(temporary, plan, base)
            final = self._root / f"segment-{plan.upto_ordinal:016d}-{unique}"
            self._report(Step.PUBLISH)
            publish_directory(temporary, final)
        except BaseException:
            remove_tree(temporary)
            raise
        return final.name

    def _fill(self, directory: Path, plan: Plan, base: _Base | None) -> None:
        ordinals, nodes = self._collect(directory, plan, base)
        rows = self._map(directory, nodes)
        side: I64 = np.empty(0, dtype=np.int64)
        encoder = Encoder.identity(self._identity.dimension)
        has_graph = plan.action is not Action.SEAL and nodes > 0
        if has_graph:
            self._report(Step.FIT)
            encoder, kept = self._choose_encoder(rows, base)
            self._insert(rows, encoder, base if kept else None, directory / GRAPH)
            side = self._audit(directory / GRAPH, encoder, rows)
        encoder.write(directory / ENCODER)
        side.astype("<i8").tofile(directory / SIDE)
        names = [ENCODER, SIDE, ORDINALS, DIGESTS, ROW_SUMS, *([GRAPH] if has_graph else [])]
        write_manifest(
            directory,
            Manifest(
                identity=self._identity,
                settings=self._settings,
                after_ordinal=plan.after_ordinal,
                upto_ordinal=plan.upto_ordinal,
                nodes=nodes,
                ordinals=ordinals,
                side=len(side),
                has_graph=has_graph,
                graph_dimension=encoder.basis.shape[1],
                captured_energy=encoder.captured_energy,
                quantum=encoder.quantum,
                rows_per_chunk=self._layout.rows_per_chunk,
                rows_per_block=self._layout.rows_per_block,
                files={name: sum_file(directory / name) for name in names},
            ),
        )

    def _collect(self, directory: Path, plan: Plan, base: _Base | None) -> tuple[int, int]:
        collector = Collector(directory, self._layout)
        try:
            after = plan.after_ordinal
            if base is not None:
                collector.adopt(base.path, base.manifest)
                after = base.manifest.upto_ordinal
            self._report(Step.READ)
            for ordinals, vectors in self._vectors(after, plan.upto_ordinal, BATCH_ROWS):
                collector.add(ordinals, vectors)
                self._report(Step.READ)
            found = collector.finish()
        finally:
            collector.close()
        return len(found.ordinals), collector.node_count

    def _choose_encoder(self, rows: F32, base: _Base | None) -> tuple[Encoder, bool]:
        """Return the encoder, and whether it is the base's."""
        fresh = _sample(rows, 0)
        if base is None:
            return self._fit(fresh), False
        newer = _sample(rows, base.manifest.nodes)
        energy = base.encoder.energy_of(newer)
        if len(newer) < _LEAST_DRIFT_ROWS or energy > base.manifest.captured_energy - ENERGY_DROP:
            return base.encoder, True
        refitted = self._fit(fresh)
        if refitted.energy_of(newer) < energy + _LEAST_GAIN:
            return base.encoder, True
        return refitted, False

    def _fit(self, sample: F32) -> Encoder:
        return fit_encoder(sample, self._settings.graph_dimension, self._settings.dtype)

    def _insert(self, rows: F32, encoder: Encoder, base: _Base | None, path: Path) -> None:
        graph = Graph(self._settings, encoder.width, reduced=encoder.reduces)
        if base is not None:
            graph.load(base.path / GRAPH)
        for start in range(len(graph), len(rows), BATCH_ROWS):
            self._report(Step.INSERT)
            graph.add(encoder.encode(rows[start : start + BATCH_ROWS]), self._threads)
        self._report(Step.SAVE)
        graph.save(path)
        graph.close()

    def _audit(self, path: Path, encoder: Encoder, rows: F32) -> I64:
        """Search what was written as queries will; link what is not reached.

        Returns the nodes that are not reached all the same.
        """
        self._report(Step.AUDIT)
        graph = GraphView.open(path, self._settings.dtype, encoder.width, reduced=encoder.reduces)
        links, missed = repair(
            graph,
            lambda start, stop: encoder.encode(rows[start:stop]),
            self._threads,
            lambda: self._report(Step.AUDIT),
        )
        add_links(path, links)
        return missed

    def _open_base(self, name: str) -> _Base:
        path = self._root / name
        manifest = read_manifest(path, self._identity)
        for file, expected in manifest.files.items():
            check_file(path / file, expected)
        if (manifest.rows_per_chunk, manifest.rows_per_block) != (
            self._layout.rows_per_chunk,
            self._layout.rows_per_block,
        ):
            raise SegmentDamaged(f"{name}: its rows are laid out in another way")
        encoder = Encoder.read(
            path / ENCODER,
            self._identity.dimension,
            manifest.graph_dimension,
            manifest.quantum,
            manifest.captured_energy,
        )
        return _Base(path, manifest, encoder)

    def _map(self, directory: Path, nodes: int) -> F32:
        sizes = self._layout.chunk_sizes(nodes)
        paths = [self._layout.chunk_path(directory, chunk) for chunk in range(len(sizes))]
        return map_rows(paths, sizes, self._layout.dimension)


def _sample(rows: F32, start: int) -> F32:
    """Return up to SAMPLE_ROWS rows from `start` on, evenly spread."""
    count = len(rows) - start
    step = max(1, -(-count // SAMPLE_ROWS))
    return np.ascontiguousarray(rows[start::step])
