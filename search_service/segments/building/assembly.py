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

from search_service.compiled.metric import as_scalars
from search_service.compiled.usearch_file import add_links
from search_service.domain.arrays import F32, I64
from search_service.domain.collection import IndexSettings
from search_service.durable_files import publish_directory, remove_tree
from search_service.segments.building.arranging import arranged
from search_service.segments.building.audit import repair
from search_service.segments.building.collector import Collector
from search_service.segments.building.fitting import choose, choose_for_scans
from search_service.segments.building.graph import Graph
from search_service.segments.building.planning import Action, BuildPlan
from search_service.segments.checksums import check_file, sum_file
from search_service.segments.encoder import Encoder, read_encoder
from search_service.segments.errors import SegmentDamaged
from search_service.segments.graph_view import GraphView
from search_service.segments.manifest import (
    CODES,
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
from search_service.segments.rows import RowLayout

# Rows read, encoded and inserted at a time: 8 MiB of 512-dimensional rows.
BATCH_ROWS = 4_096

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

    def run(self, plan: BuildPlan) -> str:
        """Make the planned segment; return the name of its directory.

        An EXTEND whose base proves damaged becomes a BUILD of the same range.
        """
        if plan.action is Action.EXTEND:
            try:
                return self._make(plan, self._open_base(plan.base))
            except SegmentDamaged:
                plan = replace(plan, action=Action.BUILD, base="")
        return self._make(plan, None)

    def _make(self, plan: BuildPlan, base: _Base | None) -> str:
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

    def _fill(self, directory: Path, plan: BuildPlan, base: _Base | None) -> None:
        ordinals, nodes = self._collect(directory, plan, base)
        rows = self._map(directory, nodes)
        side: I64 = np.empty(0, dtype=np.int64)
        names = [ENCODER, SIDE, ORDINALS, DIGESTS, ROW_SUMS]
        has_graph = plan.action is not Action.SEAL and nodes > 0
        self._report(Step.FIT)
        if has_graph:
            known, encoded = (base.encoder, base.manifest.nodes) if base else (None, 0)
            encoder, kept = choose(rows, self._settings, known, encoded)
            self._insert(rows, encoder, base if kept else None, directory / GRAPH)
            side = self._audit(directory / GRAPH, encoder, rows)
            names.append(GRAPH)
        elif scanned := choose_for_scans(rows, self._settings, self._known_encoder(plan)):
            encoder = scanned
            self._encode(rows, encoder, directory / CODES)
            names.append(CODES)
        else:
            encoder = Encoder.identity(self._identity.dimension)
        encoder.write(directory / ENCODER)
        side.astype("<i8").tofile(directory / SIDE)
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

    def _collect(self, directory: Path, plan: BuildPlan, base: _Base | None) -> tuple[int, int]:
        collector = Collector(directory, self._layout)
        try:
            after = plan.after_ordinal
            if base is not None:
                collector.adopt(base.path, base.manifest)
                after = base.manifest.upto_ordinal
            self._report(Step.READ)
            batches = self._vectors(after, plan.upto_ordinal, BATCH_ROWS)
            if plan.action is not Action.SEAL:
                started = base is not None
                batches = arranged(batches, started=started, batch_rows=BATCH_ROWS)
            for ordinals, vectors in batches:
                collector.add(ordinals, vectors)
                self._report(Step.READ)
            found = collector.finish()
        finally:
            collector.close()
        return len(found.ordinals), collector.node_count

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

    def _encode(self, rows: F32, encoder: Encoder, path: Path) -> None:
        self._report(Step.SAVE)
        with path.open("wb") as file:
            for start in range(0, len(rows), BATCH_ROWS):
                codes = encoder.encode(rows[start : start + BATCH_ROWS])
                as_scalars(codes, self._settings.dtype).tofile(file)

    def _audit(self, path: Path, encoder: Encoder, rows: F32) -> I64:
        """Search what was written as queries will; link what is not reached.

        Returns the nodes that are not reached all the same.
        """
        self._report(Step.AUDIT)
        graph = GraphView.open(
            path, self._settings.dtype, encoder.width, reduced=encoder.reduces, to_change=True
        )
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
        return _Base(path, manifest, read_encoder(path, manifest))

    def _known_encoder(self, plan: BuildPlan) -> Encoder | None:
        """Return the encoder of a seal's base, if it has one that is whole."""
        path = self._root / plan.base
        if not plan.base:
            return None
        try:
            manifest = read_manifest(path, self._identity)
            check_file(path / ENCODER, manifest.files[ENCODER])
            return read_encoder(path, manifest)
        except (SegmentDamaged, OSError):  # a build beside this one may have replaced it
            return None

    def _map(self, directory: Path, nodes: int) -> F32:
        sizes = self._layout.chunk_sizes(nodes)
        paths = [self._layout.chunk_path(directory, chunk) for chunk in range(len(sizes))]
        return map_rows(paths, sizes, self._layout.dimension)
