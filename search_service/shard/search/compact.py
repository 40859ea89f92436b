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
    LEAST_SHARED,
    MOST_HEAD_QUERIES,
    MOST_RERANKED_MORE,
    RERANKED_AT_A_TIME,
    reranked,
)


def scan_compact(scope: Scope, segments: Sequence[Sealed], numbers: I64) -> list[Found]:
    """Compare the rows of segments that count with the queries `numbers`, int64 [n].

    The nearest of each segment are compared exactly, as many as it takes.
    """
    matching = {sealed: nodes for sealed in segments if len(nodes := scope.nodes(sealed))}
    found: list[Found] = []
    if not matching:
        return found
    count = scope.bound.count
    most = reranked(count, MOST_RERANKED_MORE)
    shared = max(map(len, matching.values())) >= LEAST_SHARED
    step = max(1, RERANKED_AT_A_TIME // most)
    for start in range(0, len(numbers), step):
        these = numbers[start : start + step]
        some = scope.queries[these]

        def find(part: Part, some: F32 = some) -> tuple[I64, F32]:
            nodes = np.ascontiguousarray(matching[part.sealed][part.share :: part.shares])
            return part.sealed.segment.nearest_exactly(nodes, some[part.span], count, most)

        parts = search_parts(list(matching), some, find, scope.pool, share_nodes=shared)
        found += [scope.bound.choose_each(*part, these) for part in parts]
    return found


def scan_head_compact(scope: Scope, rows: int) -> tuple[list[Found], list[HeadView]]:
    """Compare what counts in the head, `rows` exactly; also return those views that are left.

    They have no compact form, or more rows at one score than were re-ranked.
    """
    queries, views = scope.queries, scope.live.head
    if len(queries) > MOST_HEAD_QUERIES:
        return [], list(views)
    codecs = {view.coded.codec for view in views if view.coded is not None}
    encoded = {codec: codec.encode(queries) for codec in codecs}

    def compare(view: HeadView) -> tuple[I64, F32] | None:
        nodes = np.flatnonzero(scope.counts(view.ordinals))
        if view.coded is None or len(nodes) < max(LEAST_HEAD_ROWS, 2 * rows):
            return None
        codec, codes = view.coded.codec, view.coded.codes
        best = codec.nearest_of(codes, nodes, encoded[codec], rows)
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
