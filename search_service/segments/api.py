"""What a shard needs from sealed segments and from their builder.

`search_service.segments` implements it. A segment is immutable: a set of nodes,
one for each distinct vector, each standing for the ordinals of the items that
hold that vector. A shard decides which ordinals are live; segments never know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from search_service.compiled.walk import Wanted
from search_service.domain.arrays import F32, I64, U8, Flags
from search_service.domain.collection import IndexSettings

# A search of a graph asks for no less, whatever is asked for: the audit of a build
# searches for every node by itself, with somewhat less.
LEAST_CANDIDATES = 16
LEAST_EXPANSION = 64


class CodecApi(Protocol):
    """Makes the compact form of rows, and compares rows in it."""

    @property
    def width_bytes(self) -> int:
        """What a row takes."""

    def encode(self, vectors: F32) -> U8:
        """Return uint8 [B, width_bytes] of float32 [B, D], unit L2."""

    def nearest_of(self, codes: U8, nodes: I64, encoded: U8, count: int) -> I64:
        """Return int64 [B, count] of `nodes`, int64 [n], rows of `codes`, padded with -1.

        Nearest first; `encoded` is what `encode` makes of B queries.
        """


class SegmentApi(Protocol):
    """An open, verified segment: N nodes over M ordinals."""

    @property
    def path(self) -> Path:
        """Its directory."""

    @property
    def rows(self) -> F32:
        """The exact vectors: float32 [N, D], unit L2, memory-mapped."""

    @property
    def offsets(self) -> I64:
        """int64 [N + 1]: node n stands for `ordinals[offsets[n]:offsets[n + 1]]`."""

    @property
    def ordinals(self) -> I64:
        """int64 [M], ascending within a node."""

    @property
    def has_graph(self) -> bool:
        """Whether there is a graph; without one all that counts is compared."""

    @property
    def has_codes(self) -> bool:
        """Whether there is a compact form of the rows; with a graph there always is."""

    @property
    def codec(self) -> CodecApi | None:
        """What makes the compact form; None where that is not much less than the rows."""

    @property
    def side_nodes(self) -> int:
        """How many nodes the graph does not reach; every search of it compares them."""

    def candidates(self, queries: F32, count: int, expansion: int) -> I64:
        """Return int64 [B, >= count] nodes near each query, padded with -1.

        The `count` best at search expansion `expansion`, in the graph's compact form,
        and no node twice in a row. `queries` is float32 [B, D], unit L2. There is a
        graph; any number of calls may run at a time.
        """

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

        A query that has not found `expansion` nodes after `patience` is given up as well.
        The second result, bool [B], is false for those that were.
        """

    def nearest_exactly(self, nodes: I64, queries: F32, count: int, most: int) -> tuple[I64, F32]:
        """Compare `nodes`, int64 [n], in the compact form, and the nearest of them exactly.

        The compact form is there. As many are compared exactly as it takes to have the best
        `count` of each query, and at most `most`: nodes int64 [B, C], padded with -1, and
        cosines float32 [B, C], padded with -inf.
        """

    def check_rows(self, nodes: I64 | None = None) -> None:
        """Verify the rows of `nodes` (any shape, -1 skipped), or all of them.

        Call it before `rows` is read for nodes that no search returned; cheap
        once they were verified.

        Raises:
            SegmentDamaged: as do the methods that return nodes.
        """

    @property
    def damage(self) -> str | None:
        """What was found to be damaged since it was opened."""

    @property
    def disk_bytes(self) -> int:
        """Bytes of its files."""

    def close(self) -> None:
        """Unmap; no method may be called afterwards."""


@dataclass(frozen=True, slots=True)
class BuildJob:
    """Index all vectors that are live at or below `upto_ordinal`.

    Which segments are extended, merged or rebuilt is the builder's choice, from
    what is current and from which of its ordinals are still live.
    """

    store_path: Path
    segments_path: Path
    uid: str
    dimension: int
    fingerprint: str
    settings: IndexSettings
    upto_ordinal: int
    threads: int
    # Quickly, without a graph, only what no segment covers yet: frees the head
    # while a long build runs beside it.
    seal_only: bool = False
    # Not behind queries: the head grows faster than it can be sealed in their shadow.
    hurried: bool = False
    # Leave out what was deleted, however little it is.
    erase: bool = False
    # The number of the name whose vectors these are, 0 for the items' own.
    space: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return its JSON form, as the builder's child gets it."""
        paths = {"store_path": str(self.store_path), "segments_path": str(self.segments_path)}
        return asdict(self) | paths

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> BuildJob:
        """Return the job whose JSON form this is.

        Raises:
            KeyError, TypeError, ValueError: a field is missing, unknown or of no such value.
        """
        typed = {
            "store_path": Path(fields["store_path"]),
            "segments_path": Path(fields["segments_path"]),
            "settings": IndexSettings.from_json(fields["settings"]),
        }
        return cls(**{**fields, **typed})


@dataclass(frozen=True, slots=True)
class BuildResult:
    """The set that is current now, by `segments.json`."""

    paths: Sequence[Path]
    upto_ordinal: int


class SegmentSource(Protocol):
    """Opens segments and has them built (in a child process)."""

    def open_current(self) -> tuple[Sequence[SegmentApi], Sequence[str]]:
        """Open the segments that `segments.json` names.

        Returns those that are whole, and for each that is damaged, foreign or of
        another collection a text that says so; those are left out, and are not
        used again by later builds. Directories that `segments.json` does not name
        are removed.
        """

    def build(self, job: BuildJob) -> Future[BuildResult]:
        """Run `job`; one at a time, and one with `seal_only` beside it.

        A build whose `upto_ordinal` is covered by segments already is never in the
        way of a seal beside it; otherwise the one that ends last fails.
        The future fails with the child's reason.
        """

    def open(self, path: Path) -> SegmentApi:
        """Open and verify one segment.

        Raises:
            SegmentDamaged: it is not whole, or not of this collection.
        """

    def discard(self, path: Path) -> None:
        """Take a segment that proved damaged out of `segments.json`."""

    def remove(self, path: Path) -> None:
        """Delete a segment's directory that is no longer named or open."""

    def close(self) -> None:
        """End a running child; its future fails."""
