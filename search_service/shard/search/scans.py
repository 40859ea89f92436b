"""Compares rows in float32: all of them, or those that meet a filter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from search_service.domain.arrays import I64, Flags
from search_service.shard.live.head import HeadView
from search_service.shard.live.sealed import Sealed
from search_service.shard.search.exact import scores_each
from search_service.shard.search.ranking import LEAST, Found
from search_service.shard.search.task import Scope
from search_service.shard.search.tuning import (
    DENSE_SHARE,
    FEW_QUERIES,
    ROWS_PER_GATHER,
    ROWS_PER_PRODUCT,
)


def scan_all(scope: Scope) -> list[Found]:
    """Compare every live row with the queries."""
    found: list[Found] = []
    for sealed in scope.live.sealed:
        found += scan_segment(scope, sealed)
    return found + scan_head(scope, scope.live.head)


def scan_matches(scope: Scope, matches: I64) -> list[Found]:
    """Compare the rows of `matches`, int64 [m] ascending, the ordinals that are allowed."""
    found: list[Found] = []
    for sealed in scope.live.sealed:
        if sealed.count_between(matches) > DENSE_SHARE * sealed.nodes:
            found += scan_segment(scope, sealed)
        else:
            found += _scan_sparse(scope, sealed, sealed.nodes_of(matches))
    return found + scan_head(scope, scope.live.head)


def scan_segment(scope: Scope, sealed: Sealed) -> list[Found]:
    """Compare the rows of a segment that count."""
    return _scan_dense(scope, sealed, sealed.any_of(scope.counts(sealed.ordinals)))


def scan_head(scope: Scope, views: Sequence[HeadView]) -> list[Found]:
    """Compare the rows that count in some views of the head."""

    def compare(view: HeadView) -> Found:
        scores = scope.queries @ view.rows.T
        scores[:, ~scope.counts(view.ordinals)] = LEAST
        return scope.bound.choose(view, np.arange(len(view.ordinals)), scores)

    return list(scope.pool.map(compare, views))


def _scan_dense(scope: Scope, sealed: Sealed, wanted: Flags) -> list[Found]:
    """Compare the rows flagged in `wanted`, bool [N], most of all, without gathering them."""
    sealed.segment.check_rows()

    def compare(start: int) -> Found:
        here = wanted[start : start + ROWS_PER_PRODUCT]
        scores = scope.queries @ sealed.rows[start : start + len(here)].T
        scores[:, ~here] = LEAST
        return scope.bound.choose(sealed, np.arange(start, start + len(here)), scores)

    return list(scope.pool.map(compare, range(0, len(wanted), ROWS_PER_PRODUCT)))


def _scan_sparse(scope: Scope, sealed: Sealed, rows: I64) -> list[Found]:
    """Compare `rows`, int64 [n], few of all."""
    sealed.segment.check_rows(rows)
    queries = scope.queries

    def compare(start: int) -> Found:
        some = rows[start : start + ROWS_PER_GATHER]
        if len(queries) > FEW_QUERIES:
            scores = queries @ sealed.rows[some].T
        else:
            scores = scores_each(sealed.rows, np.tile(some, (len(queries), 1)), queries)
        return scope.bound.choose(sealed, some, scores)

    return list(scope.pool.map(compare, range(0, len(rows), ROWS_PER_GATHER)))
