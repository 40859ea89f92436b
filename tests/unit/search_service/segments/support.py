"""A small store, jobs for it, and the searches that tests compare."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import apsw
import numpy as np

from lookalike.wire.vectors import F32
from search_service.domain.arrays import I64
from search_service.domain.collection import Dtype, IndexSettings, Preset
from search_service.segments.api import BuildJob
from search_service.segments.building.assembly import Assembly
from search_service.segments.building.planning import BuildPlan
from search_service.segments.manifest import Identity
from search_service.segments.segment import Segment
from search_service.segments.source import DiskSegments
from search_service.store.vectors import iter_live_vectors

DIMENSION = 48
IDENTITY = Identity("collection-1", DIMENSION, "model-1")
SETTINGS = IndexSettings(
    preset=Preset.BALANCED,
    dtype=Dtype.BF16,
    connectivity=16,
    expansion_add=64,
    expansion_search=128,
    graph_dimension=24,
)


def unit_vectors(
    count: int, *, seed: int = 0, dimension: int = DIMENSION, tilt: float = 0.0
) -> F32:
    """Unit vectors with a power-law spectrum, float32 [count, dimension].

    `tilt` 1.0 turns the spectrum round, as another kind of picture would.
    """
    rng = np.random.default_rng(seed)
    falling = np.arange(1, dimension + 1) ** -0.6
    spectrum = (1.0 - tilt) * falling + tilt * falling[::-1]
    rows = rng.standard_normal((count, dimension)) * spectrum
    unit: F32 = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


class SmallStore:
    """A real SQLite file with the tables that the builder reads."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.path = directory / "store.db"
        self.segments_path = directory / "segments"
        self.vectors: dict[int, F32] = {}
        self._db = apsw.Connection(str(self.path))
        self._db.execute("PRAGMA journal_mode=WAL").fetchall()
        self._db.execute("CREATE TABLE IF NOT EXISTS vectors(ordinal INTEGER PRIMARY KEY, vector)")
        self._db.execute("CREATE TABLE IF NOT EXISTS items(ordinal INTEGER PRIMARY KEY)")
        self._db.execute(
            "CREATE INDEX IF NOT EXISTS items_by_ordinal ON items (ordinal)"
            " WHERE ordinal IS NOT NULL"
        )
        self.last_ordinal = 0

    def add(self, vectors: F32) -> None:
        """Store vectors under the next ordinals."""
        with self._db:
            for vector in vectors:
                self.last_ordinal += 1
                self.vectors[self.last_ordinal] = vector
                self._db.execute(
                    "INSERT INTO vectors VALUES (?, ?)", (self.last_ordinal, vector.tobytes())
                )
                self._db.execute("INSERT INTO items VALUES (?)", (self.last_ordinal,))

    def delete(self, ordinals: Iterable[int]) -> None:
        """Make ordinals dead."""
        with self._db:
            for ordinal in ordinals:
                del self.vectors[ordinal]
                self._db.execute("DELETE FROM vectors WHERE ordinal = ?", (ordinal,))
                self._db.execute("DELETE FROM items WHERE ordinal = ?", (ordinal,))

    def job(
        self, *, settings: IndexSettings = SETTINGS, upto: int | None = None, seal: bool = False
    ) -> BuildJob:
        """A job over all that is stored."""
        return BuildJob(
            store_path=self.path,
            segments_path=self.segments_path,
            uid=IDENTITY.uid,
            dimension=IDENTITY.dimension,
            fingerprint=IDENTITY.model_fingerprint,
            settings=settings,
            upto_ordinal=self.last_ordinal if upto is None else upto,
            threads=1,
            seal_only=seal,
        )

    def source(self) -> DiskSegments:
        """The collection's segments, builds at normal priority."""
        return DiskSegments(
            self.segments_path,
            uid=IDENTITY.uid,
            dimension=IDENTITY.dimension,
            fingerprint=IDENTITY.model_fingerprint,
            nice=0,
        )

    def close(self) -> None:
        """Close the writer's connection."""
        self._db.close()


def live_ordinals_of(segments: Iterable[Segment], store: SmallStore) -> list[int]:
    """All ordinals of the segments that are live in the store, sorted."""
    held = [int(ordinal) for segment in segments for ordinal in segment.ordinals]
    return sorted(ordinal for ordinal in held if ordinal in store.vectors)


def exact_nearest(rows: F32, queries: F32, count: int) -> I64:
    """The nearest rows, best first: int64 [B, count]."""
    return np.argsort(-(queries @ rows.T), axis=1, kind="stable")[:, :count]


def best_candidates(segment: Segment, queries: F32, count: int, expansion: int = 128) -> I64:
    """Four times as many candidates, exactly re-ranked: int64 [B, count] nodes."""
    found = segment.candidates(queries, 4 * count, expansion)
    scores = np.einsum("bd,bcd->bc", queries, segment.rows[found])
    scores[found < 0] = -np.inf
    best = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(found, best, axis=1)


def recall_of(segment: Segment, queries: F32, count: int) -> float:
    """Share of the exactly nearest that the graph finds."""
    exact = exact_nearest(np.asarray(segment.rows), queries, count)
    found = best_candidates(segment, queries, count)
    shared = [len(set(a) & set(b)) for a, b in zip(exact.tolist(), found.tolist(), strict=True)]
    return sum(shared) / exact.size


def self_misses(segment: Segment) -> I64:
    """Nodes that do not come first, or level with the first, for their own row."""
    first = best_candidates(segment, np.asarray(segment.rows), 1, expansion=64)[:, 0]
    return np.flatnonzero(first != np.arange(len(segment.rows)))


def assemble(store: SmallStore, plan: BuildPlan, *, settings: IndexSettings = SETTINGS) -> Path:
    """Make one planned segment in this process; return its directory."""
    store.segments_path.mkdir(exist_ok=True)
    vectors = partial(iter_live_vectors, store.path)
    assembly = Assembly(store.segments_path, IDENTITY, settings, 2, vectors, lambda _: None)
    return store.segments_path / assembly.run(plan)
