"""Walks through graphs: for all that is live, or for what meets a filter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from search_service.domain.arrays import F32, I64, Flags
from search_service.shard.live.sealed import Sealed
from search_service.shard.search.exact import scores_each
from search_service.shard.search.parts import Part, search_parts
from search_service.shard.search.ranking import LEAST, Found
from search_service.shard.search.task import Scope
from search_service.shard.search.tuning import SURE_SHARE


@dataclass(frozen=True, slots=True)
class Walk:
    """Bounds of a walk for wanted nodes, which are a `share` of all.

    See `SegmentApi.wanted_candidates`.
    """

    share: float
    patience: int
    most: int


def walk_all(scope: Scope, graphs: Sequence[Sealed], count: int, expansion: int) -> list[Found]:
    """Ask each graph for its best `count` nodes, dead ones among them."""

    def find(part: Part) -> tuple[I64, F32]:
        queries = scope.queries[part.span]
        nodes = part.sealed.segment.candidates(queries, count, expansion)
        with scope.reranks.timed():
            return nodes, scores_each(part.sealed.rows, nodes, queries)

    found: list[Found] = []
    for sealed, nodes, scores in search_parts(graphs, scope.queries, find, scope.pool):
        radius = None
        if sealed.nodes > count:  # else those are all that it has
            sure = max(1, int(SURE_SHARE * count))
            radius = np.partition(scores, -sure, axis=1)[:, -sure]
        scores[~_alive(scope, sealed, nodes)] = LEAST
        found.append(scope.bound.choose_each(sealed, nodes, scores, radius=radius))
    return found


def walk_matches(
    scope: Scope, walks: Mapping[Sealed, Walk], count: int, expansion: int
) -> tuple[list[Found], dict[Sealed, Flags]]:
    """Ask each graph for its best `count` nodes that count.

    Also returns for each graph the queries, bool [B], whose walk was given up: what was
    found for these is left out.
    """
    given_up: dict[Sealed, Flags] = {
        sealed: np.zeros(len(scope.queries), dtype=np.bool_) for sealed in walks
    }
    allowed = scope.allowed
    assert allowed is not None, "a walk for all needs no flags"

    def find(part: Part) -> tuple[I64, F32]:
        way, queries = walks[part.sealed], scope.queries[part.span]
        wanted = part.sealed.wanted(scope.live.died_at, scope.live.epoch, allowed, way.share)
        nodes, ended = part.sealed.segment.wanted_candidates(
            queries, count, expansion, wanted, way.patience, way.most
        )
        given_up[part.sealed][part.span] = ~ended
        with scope.reranks.timed():
            return nodes, scores_each(part.sealed.rows, nodes, queries)

    found: list[Found] = []
    for sealed, nodes, scores in search_parts(list(walks), scope.queries, find, scope.pool):
        scores[given_up[sealed]] = LEAST
        found.append(scope.bound.choose_each(sealed, nodes, scores))
    return found, given_up


def _alive(scope: Scope, sealed: Sealed, nodes: I64) -> Flags:
    """Say which of `nodes`, any shape, -1 for none, have a live ordinal."""
    live = scope.live
    if sealed.one_each:
        return live.alive(sealed.ordinals[nodes]) & (nodes >= 0)
    flat = nodes.ravel()
    which, ordinals = sealed.expand(np.maximum(flat, 0))
    counts = np.zeros(len(flat), dtype=np.bool_)
    counts[which[live.alive(ordinals)]] = True
    return counts.reshape(nodes.shape) & (nodes >= 0)
