"""Finds the best rows of a snapshot: by comparing all, some, or a graph's choice."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from lookalike.wire.vectors import F32
from search_service.shard.candidates import LEAST, Candidates, Chosen
from search_service.shard.head import HeadView
from search_service.shard.lanes import Lanes
from search_service.shard.memory import Snapshot
from search_service.shard.sealed import Flags, Sealed
from search_service.shard.segment_api import I64

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
# Gathered rows of a re-ranking step are kept below this.
GATHER_BYTES = 32 << 20


def scan_all(snapshot: Snapshot, queries: F32, lanes: Lanes, into: Candidates) -> None:
    """Compare every live row with `queries`, float32 [B, D]."""
    for sealed in snapshot.sealed:
        live = sealed.any_of(snapshot.alive(sealed.ordinals))
        _scan_dense(sealed, queries, live, lanes, into)
    scan_head(snapshot, queries, None, lanes, into)


def scan_head(
    snapshot: Snapshot, queries: F32, allowed: Flags | None, lanes: Lanes, into: Candidates
) -> None:
    """Compare every live, allowed row of the head with `queries`."""

    def compare(view: HeadView) -> Chosen:
        counts = snapshot.alive(view.ordinals)
        if allowed is not None:
            counts &= allowed[view.ordinals]
        scores = queries @ view.rows.T
        scores[:, ~counts] = LEAST
        return into.choose(scores)

    for view, chosen in zip(snapshot.head, lanes.map(compare, snapshot.head), strict=True):
        into.take(view, np.arange(len(view.ordinals)), chosen)


def scan_matches(
    snapshot: Snapshot,
    queries: F32,
    matches: I64,
    allowed: Flags,
    lanes: Lanes,
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
    scan_head(snapshot, queries, allowed, lanes, into)


def _scan_dense(
    source: Sealed, queries: F32, wanted: Flags, lanes: Lanes, into: Candidates
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


def _scan_sparse(source: Sealed, queries: F32, rows: I64, lanes: Lanes, into: Candidates) -> None:
    """Compare `rows`, int64 [n], few of all."""
    source.segment.check_rows(rows)

    def compare(start: int) -> Chosen:
        some = rows[start : start + ROWS_PER_GATHER]
        return into.choose(queries @ source.rows[some].T)

    starts = range(0, len(rows), ROWS_PER_GATHER)
    for start, chosen in zip(starts, lanes.map(compare, starts), strict=True):
        into.take(source, rows[start : start + ROWS_PER_GATHER], chosen)


def search_graphs(
    snapshot: Snapshot,
    queries: F32,
    *,
    count: int,
    expansion: int,
    allowed: Flags | None,
    lanes: Lanes,
    into: Candidates,
) -> None:
    """Compare `count` graph candidates from each segment, and the head."""
    found = _candidates(snapshot, queries, count, expansion, lanes)
    for sealed, nodes in zip(snapshot.sealed, found, strict=True):
        scores = _compare(sealed, queries, nodes, lanes)
        if sealed.nodes > count:  # else those are all that it has
            sure = max(1, int(SURE_SHARE * count))
            into.reach(np.partition(scores, -sure, axis=1)[:, -sure])
        scores[~_counts(snapshot, sealed, nodes, allowed)] = LEAST
        into.take_each(sealed, nodes, into.choose(scores))
    scan_head(snapshot, queries, allowed, lanes, into)


def _candidates(
    snapshot: Snapshot, queries: F32, count: int, expansion: int, lanes: Lanes
) -> list[I64]:
    """Return int64 [B, C] nodes of each segment.

    Few queries leave cores idle in a graph, so segments and side lists share them.
    """
    sealed = snapshot.sealed
    few = len(queries) < lanes.threads
    threads = 1 if few else lanes.threads
    graphs = [partial(one.segment.candidates, queries, count, expansion, threads) for one in sealed]
    beside = [one for one in sealed if one.segment.side_nodes]
    sides = [partial(one.segment.side_candidates, queries, count) for one in beside]
    if few:
        found = list(lanes.map(_call, [*graphs, *sides]))
    else:
        found = [*map(_call, graphs), *lanes.map(_call, sides)]
    of_side = dict(zip(map(id, beside), found[len(sealed) :], strict=True))
    return [
        np.concatenate([nodes, of_side[id(one)]], axis=1) if id(one) in of_side else nodes
        for one, nodes in zip(sealed, found, strict=False)
    ]


def _call(find: Callable[[], I64]) -> I64:
    return find()


def _compare(sealed: Sealed, queries: F32, nodes: I64, lanes: Lanes) -> F32:
    """Return float32 [B, C]: exact products with `nodes`, -inf where there is none."""
    scores = np.empty(nodes.shape, dtype=np.float32)
    fit = GATHER_BYTES // max(1, nodes.shape[1] * queries.shape[1] * 4)
    step = max(1, min(fit, -(-len(nodes) // lanes.threads)))

    def compare(start: int) -> None:
        span = slice(start, start + step)
        gathered = sealed.rows[nodes[span]]  # -1 reads the last row, and is masked below
        np.matmul(gathered, queries[span, :, None], out=scores[span, :, None])

    for _ in lanes.map(compare, range(0, len(nodes), step)):
        pass
    scores[nodes < 0] = LEAST
    return scores


def _counts(snapshot: Snapshot, sealed: Sealed, nodes: I64, allowed: Flags | None) -> Flags:
    if sealed.one_each:
        ordinals = sealed.ordinals[nodes]
        counts = snapshot.alive(ordinals)
        if allowed is not None:
            counts &= allowed[ordinals]
        return counts & (nodes >= 0)
    flat = nodes.ravel()
    which, ordinals = sealed.expand(np.maximum(flat, 0))
    alive = snapshot.alive(ordinals)
    if allowed is not None:
        alive &= allowed[ordinals]
    counts = np.zeros(len(flat), dtype=np.bool_)
    counts[which[alive]] = True
    return counts.reshape(nodes.shape) & (nodes >= 0)
