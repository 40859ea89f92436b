"""Finds the best rows of a snapshot: by comparing all, some, or a graph's choice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from search_service.domain.arrays import F32, I64, Flags
from search_service.shard.live.head import HeadView
from search_service.shard.live.memory import LiveView
from search_service.shard.live.sealed import Sealed
from search_service.shard.search.candidates import LEAST, Candidates, Chosen
from search_service.shard.search.compact import Scan, scan_compact, scan_head_compact
from search_service.shard.search.exact import scores_each
from search_service.shard.search.parts import Part, search_parts
from search_service.shard.search.scan_pool import ScanPool

# Rows in one matrix product: 32 MiB of rows at 512 dimensions.
ROWS_PER_PRODUCT = 16_384
# Rows gathered for one, which stay in a core's cache: 2 MiB at 512 dimensions.
ROWS_PER_GATHER = 1_024
# Of a graph's candidates, the nearer ones among which none is missing: towards the
# end of its list rows are, and a filter that excludes all but that end would show
# it (20,000 x 512, the nearest tenth excluded: recall@10 .977 with the whole list).
SURE_SHARE = 0.5
# Past this share of rows, to compare all costs less than to gather these: a
# gathered row is copied at about a quarter of the speed of a product.
DENSE_SHARE = 0.3
# Below this share of a segment, matches are looked up; above it, flags of all its
# rows cost less than to look up and to sort so many.
LOCATED_SHARE = 0.05
# Up to so many queries, gathered rows are compared where they are; for more, a copy of
# them and a matrix product cost less.
FEW_QUERIES = 4


def scan_all(snapshot: LiveView, queries: F32, lanes: ScanPool, into: Candidates) -> None:
    """Compare every live row with `queries`, float32 [B, D]."""
    for sealed in snapshot.sealed:
        live = sealed.any_of(snapshot.alive(sealed.ordinals))
        _scan_dense(sealed, queries, live, lanes, into)
    _scan_head(snapshot, snapshot.head, queries, None, lanes, into)


def _scan_head(
    snapshot: LiveView,
    views: Sequence[HeadView],
    queries: F32,
    allowed: Flags | None,
    lanes: ScanPool,
    into: Candidates,
) -> None:
    """Compare every live, allowed row of views of the head with `queries`."""

    def compare(view: HeadView) -> Chosen:
        counts = snapshot.alive(view.ordinals)
        if allowed is not None:
            counts &= allowed[view.ordinals]
        scores = queries @ view.rows.T
        scores[:, ~counts] = LEAST
        return into.choose(scores)

    for view, chosen in zip(views, lanes.map(compare, views), strict=True):
        into.take(view, np.arange(len(view.ordinals)), chosen)


def scan_matches(
    snapshot: LiveView,
    queries: F32,
    matches: I64,
    allowed: Flags,
    lanes: ScanPool,
    into: Candidates,
) -> None:
    """Compare the rows of `matches`, live ordinals int64 [m] ascending, with `queries`.

    `allowed` are the same as flags, indexed by ordinal.
    """
    for sealed in snapshot.sealed:
        if len(matches) < LOCATED_SHARE * len(sealed.ordinals):
            _, nodes = sealed.locate(matches)
            _scan_sparse(sealed, queries, np.unique(nodes), lanes, into)  # some share a node
            continue
        live = snapshot.alive(sealed.ordinals) & allowed[sealed.ordinals]
        wanted = sealed.any_of(live)
        if np.count_nonzero(wanted) > DENSE_SHARE * sealed.nodes:
            _scan_dense(sealed, queries, wanted, lanes, into)
        else:
            _scan_sparse(sealed, queries, np.flatnonzero(wanted), lanes, into)
    _scan_head(snapshot, snapshot.head, queries, allowed, lanes, into)


def _scan_dense(
    source: Sealed, queries: F32, wanted: Flags, lanes: ScanPool, into: Candidates
) -> None:
    """Compare the rows flagged in `wanted`, bool [N], most of all, without gathering them."""
    source.segment.check_rows()

    def compare(start: int) -> Chosen:
        here = wanted[start : start + ROWS_PER_PRODUCT]
        scores = queries @ source.rows[start : start + len(here)].T
        scores[:, ~here] = LEAST
        return into.choose(scores)

    starts = range(0, len(wanted), ROWS_PER_PRODUCT)
    for start, chosen in zip(starts, lanes.map(compare, starts), strict=True):
        into.take(source, np.arange(start, min(start + ROWS_PER_PRODUCT, len(wanted))), chosen)


def _scan_sparse(
    source: Sealed, queries: F32, rows: I64, lanes: ScanPool, into: Candidates
) -> None:
    """Compare `rows`, int64 [n], few of all."""
    source.segment.check_rows(rows)

    def compare(start: int) -> Chosen:
        some = rows[start : start + ROWS_PER_GATHER]
        if len(queries) > FEW_QUERIES:
            return into.choose(queries @ source.rows[some].T)
        return into.choose(scores_each(source.rows, np.tile(some, (len(queries), 1)), queries))

    starts = range(0, len(rows), ROWS_PER_GATHER)
    for start, chosen in zip(starts, lanes.map(compare, starts), strict=True):
        into.take(source, rows[start : start + ROWS_PER_GATHER], chosen)


def search_graphs(
    snapshot: LiveView,
    queries: F32,
    *,
    count: int,
    expansion: int,
    scan: Scan,
    lanes: ScanPool,
    into: Candidates,
) -> None:
    """Compare `count` candidates from each graph, and by `scan` what has no graph."""

    def find(part: Part) -> I64:
        return part.sealed.segment.candidates(queries[part.span], count, expansion)

    for sealed, nodes, scores in search_parts(graphs_of(snapshot), queries, find, lanes):
        if sealed.nodes > count:  # else those are all that it has
            sure = max(1, int(SURE_SHARE * count))
            into.reach(np.partition(scores, -sure, axis=1)[:, -sure])
        scores[~_alive(snapshot, sealed, nodes)] = LEAST
        into.take_each(sealed, nodes, scores)
    scan_flat(snapshot, queries, scan, None, lanes, into)


def graphs_of(snapshot: LiveView) -> list[Sealed]:
    """Return the segments with a graph."""
    return [sealed for sealed in snapshot.sealed if sealed.segment.has_graph]


def scan_flat(
    snapshot: LiveView,
    queries: F32,
    scan: Scan,
    allowed: Flags | None,
    lanes: ScanPool,
    into: Candidates,
) -> None:
    """Compare the rows of segments without a graph, and the head's."""
    flat = [sealed for sealed in snapshot.sealed if not sealed.segment.has_graph]
    coded = [sealed for sealed in flat if sealed.segment.has_codes]
    bare = [sealed for sealed in flat if not sealed.segment.has_codes]
    every = np.arange(len(queries))
    scan_compact(snapshot, coded, queries, every, scan, allowed, lanes, into)
    for sealed in bare:
        live = snapshot.alive(sealed.ordinals)
        if allowed is not None:
            live &= allowed[sealed.ordinals]
        _scan_dense(sealed, queries, sealed.any_of(live), lanes, into)
    left = scan_head_compact(snapshot, queries, scan, allowed, lanes, into)
    _scan_head(snapshot, left, queries, allowed, lanes, into)


def _alive(snapshot: LiveView, sealed: Sealed, nodes: I64) -> Flags:
    """Say which of `nodes`, any shape, -1 for none, have a live ordinal."""
    if sealed.one_each:
        return snapshot.alive(sealed.ordinals[nodes]) & (nodes >= 0)
    flat = nodes.ravel()
    which, ordinals = sealed.expand(np.maximum(flat, 0))
    counts = np.zeros(len(flat), dtype=np.bool_)
    counts[which[snapshot.alive(ordinals)]] = True
    return counts.reshape(nodes.shape) & (nodes >= 0)
