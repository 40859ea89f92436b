"""Compares all items that meet a filter, and keeps the best of each value of a field.

Scores of float32 products choose, with a margin, what is then scored exactly: of a
million rows that are ranked for their groups, only those few cost more than a product.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from search_service.domain.arrays import F32, I64, Flags
from search_service.filters.spread import Spread
from search_service.shard.live.sealed import Sealed
from search_service.shard.search.group_by import Wanted
from search_service.shard.search.ranking import LEAST, MARGIN, Found, Ranked, Source, rank
from search_service.shard.search.task import Scope
from search_service.shard.search.tuning import DENSE_SHARE, ROWS_PER_GATHER, ROWS_PER_PRODUCT


def best_of_groups(scope: Scope, matches: I64, spread: Spread, wanted: Sequence[Wanted]) -> Ranked:
    """Rank all rows that can be among the groups of a query, and perhaps some more.

    `matches`, int64 [m] ascending, are the vectors that `scope` allows, and `spread` is what
    their items hold.
    """
    sources: list[Source] = [*scope.live.sealed, *scope.live.head]
    parts: list[tuple[Source, I64, I64, F32]] = []
    for source in sources:
        rows, ordinals = _rows_of(source, matches)
        if len(rows):
            parts.append((source, rows, ordinals, _scores(scope, source, rows)))
    kept = np.zeros((len(wanted), scope.live.upto), dtype=np.bool_)
    scores = np.full(scope.live.upto, LEAST, dtype=np.float32)
    item_of = scope.live.item_of
    for number, one in enumerate(wanted):
        if item_of is not None:
            scores.fill(LEAST)
        for _, _, ordinals, found in parts:
            if item_of is None:
                scores[ordinals] = found[number]
            else:  # the best of an item's vectors counts
                np.maximum.at(scores, item_of[ordinals], found[number])
        kept[number, spread.ordinals[_chosen(scores[spread.ordinals], spread, one)]] = True
        if item_of is not None:
            kept[number, matches] = kept[number, item_of[matches]]
    found_in = [_kept(*part, kept) for part in parts]
    most = int(kept.sum(axis=1).max(initial=1))
    return rank(found_in, scope.queries, most, scope.live, scope.allowed)


def _rows_of(source: Source, matches: I64) -> tuple[I64, I64]:
    """Return the rows of `matches` in a source, and their ordinals: int64 [n] both."""
    if isinstance(source, Sealed):
        ordinals, nodes = source.locate(matches)
        return nodes, ordinals
    rows = np.flatnonzero(np.isin(source.ordinals, matches, assume_unique=True))
    return rows, source.ordinals[rows]


def _scores(scope: Scope, source: Source, rows: I64) -> F32:
    """Return float32 [B, n]: the products of the queries with `rows`, int64 [n]."""
    if isinstance(source, Sealed):
        source.segment.check_rows(rows)
    scores = np.empty((len(scope.queries), len(rows)), dtype=np.float32)
    everything = source.rows
    if len(rows) <= DENSE_SHARE * len(everything):

        def gathered(start: int) -> None:
            some = slice(start, start + ROWS_PER_GATHER)
            np.matmul(scope.queries, everything[rows[some]].T, out=scores[:, some])

        list(scope.pool.map(gathered, range(0, len(rows), ROWS_PER_GATHER)))
        return scores
    products = np.empty((len(scope.queries), len(everything)), dtype=np.float32)

    def multiplied(start: int) -> None:
        some = slice(start, start + ROWS_PER_PRODUCT)
        np.matmul(scope.queries, everything[some].T, out=products[:, some])

    list(scope.pool.map(multiplied, range(0, len(everything), ROWS_PER_PRODUCT)))
    return products[:, rows]


def _chosen(scores: F32, spread: Spread, wanted: Wanted) -> Flags:
    """Say of which pairs of `spread`, with scores float32 [p], the items are kept."""
    if not len(scores):
        return np.zeros(0, dtype=np.bool_)
    starts = np.searchsorted(spread.codes, np.arange(len(spread.values) + 1))
    best = np.maximum.reduceat(scores, starts[:-1])
    # Whatever is left out may stand before all that is kept.
    groups = wanted.limit + len(wanted.left_out)
    each = wanted.hits_per_group + len(wanted.left_out)
    bound = wanted.floor - MARGIN
    if groups < len(best):
        bound = max(bound, np.partition(best, -groups)[-groups] - MARGIN)
    least = np.where(best >= bound, bound, np.float32(np.inf))
    for code in np.flatnonzero((best >= bound) & (np.diff(starts) > each)).tolist():
        mine = scores[starts[code] : starts[code + 1]]
        # A hit that is not the best of its group may score less than other groups.
        least[code] = np.partition(mine, -each)[-each] - MARGIN
    few = np.flatnonzero((best >= bound) & (np.diff(starts) <= each))
    least[few] = wanted.floor - MARGIN
    kept: Flags = scores >= least[spread.codes]
    return kept


def _kept(source: Source, rows: I64, ordinals: I64, scores: F32, kept: Flags) -> Found:
    """Return the rows of a source whose ordinals are kept, bool [B, ordinals], each once."""
    query, place = np.nonzero(kept[:, ordinals])
    row = rows[place]
    _, first = np.unique(query << 32 | row, return_index=True)  # some stand for several items
    query, place, row = query[first], place[first], row[first]
    return Found(source, query, row, scores[query, place], exact=False, compared=len(rows))
