"""Compares rows in their compact form, and the best of them exactly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from search_service.domain.arrays import F32, I64
from search_service.shard.live.head import HeadView
from search_service.shard.live.sealed import Sealed
from search_service.shard.search.exact import scores_each
from search_service.shard.search.parts import Part, search_parts
from search_service.shard.search.ranking import Found
from search_service.shard.search.task import Scope
from search_service.shard.search.tuning import (
    LEAST_HEAD_ROWS,
    MOST_HEAD_QUERIES,
    RERANKED_AT_A_TIME,
)


def scan_compact(
    scope: Scope, segments: Sequence[Sealed], numbers: I64, reranked: int
) -> list[Found]:
    """Compare the rows of segments that count with the queries `numbers`, int64 [n].

    The best `reranked` of each segment are compared exactly.
    """
    matching: dict[Sealed, I64] = {}
    for sealed in segments:
        nodes = np.flatnonzero(sealed.any_of(scope.counts(sealed.ordinals)))
        if len(nodes):
            matching[sealed] = nodes
    found: list[Found] = []
    if not matching:
        return found
    step = max(1, RERANKED_AT_A_TIME // reranked)
    for start in range(0, len(numbers), step):
        these = numbers[start : start + step]
        some = scope.queries[these]

        def find(part: Part, some: F32 = some) -> I64:
            nodes = np.ascontiguousarray(matching[part.sealed][part.share :: part.shares])
            count = min(reranked, len(nodes))
            return part.sealed.segment.nearest_of(nodes, some[part.span], count)

        parts = search_parts(
            list(matching), some, find, scope.pool, scope.reranks, share_nodes=True
        )
        found += [scope.bound.choose_each(*part, these) for part in parts]
    return found


def scan_head_compact(scope: Scope, reranked: int) -> tuple[list[Found], list[HeadView]]:
    """Compare the rows of the head that count; also return those views that are left.

    They have no compact form, or more rows at one score than were re-ranked.
    """
    queries, views = scope.queries, scope.live.head
    if len(queries) > MOST_HEAD_QUERIES:
        return [], list(views)
    codecs = {view.coded.codec for view in views if view.coded is not None}
    encoded = {codec: codec.encode(queries) for codec in codecs}

    def compare(view: HeadView) -> tuple[I64, F32] | None:
        nodes = np.flatnonzero(scope.counts(view.ordinals))
        if view.coded is None or len(nodes) < max(LEAST_HEAD_ROWS, 2 * reranked):
            return None
        codec, codes = view.coded.codec, view.coded.codes
        best = codec.nearest_of(codes, nodes, encoded[codec], reranked)
        with scope.reranks.timed():
            scores = scores_each(view.rows, best, queries)
        return None if scope.bound.may_lack(scores) else (best, scores)

    # What one query compares takes about as long as to hand it over.
    spread = map if len(queries) == 1 else scope.pool.map
    found: list[Found] = []
    left: list[HeadView] = []
    for view, done in zip(views, spread(compare, views), strict=True):
        if done is None:
            left.append(view)
        else:
            found.append(scope.bound.choose_each(view, *done))
    return found, left
