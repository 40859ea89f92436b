"""Decides what is cheapest for a task: to compare all exactly, to walk, or to scan."""

from __future__ import annotations

import math
from typing import TypeAlias

from search_service.shard.live.matches import Matches
from search_service.shard.live.sealed import Sealed
from search_service.shard.live.view import LiveView
from search_service.shard.search import tuning
from search_service.shard.search.graphs import Walk
from search_service.shard.search.task import Task

# How the matches among a graph's nodes are found; None: they are all compared in the
# compact form.
Way: TypeAlias = Walk | None


def graphs_of(live: LiveView) -> list[Sealed]:
    """Return the segments with a graph."""
    return [sealed for sealed in live.sealed if sealed.segment.has_graph]


def deepest(live: LiveView, task: Task) -> int:
    """Return how many rows a query gets from graphs, at most."""
    most = _most_candidates(live) * _share_alive(live, task)
    count = int((most - tuning.OVERFETCH_MORE) / tuning.OVERFETCH)
    if task.matches is not None:
        gathered = len(task.matches.ordinals) - tuning.MATCHES_RERANKED_MORE
        count = min(count, gathered // tuning.RERANKED - 1)
    return count


def candidates_wanted(live: LiveView, task: Task) -> int | None:
    """Return how many candidates to ask each graph for; None: compare all exactly.

    Nodes count that are in a graph, or will soon be and are scanned in its form.
    """
    if task.exact or not _nodes(live) or not live.vectors:
        return None
    exactly = tuning.gathered(task.count, len(task.queries))
    if task.matches is not None and len(task.matches.ordinals) <= exactly:
        return None
    wanted = int(tuning.walked(task.count) / _share_alive(live, task))
    return None if wanted > _most_candidates(live) else wanted


def _share_alive(live: LiveView, task: Task) -> float:
    """Return the share of what graphs give that lives; walks for matches leave out the rest."""
    if task.matches is not None:
        return 1.0
    # Vectors in the head hide dead nodes here; the fallback is there for what is left.
    held = sum(len(sealed.ordinals) for sealed in graphs_of(live))
    return min(1.0, live.vectors / max(1, held))


def _nodes(live: LiveView) -> int:
    return sum(sealed.nodes for sealed in live.sealed if sealed.segment.has_codes)


def _most_candidates(live: LiveView) -> float:
    return min(tuning.MAX_FETCH, tuning.MAX_FETCH_SHARE * _nodes(live))


def rows_reranked(task: Task) -> int:
    """Return how many rows of a head a compact scan compares exactly."""
    if task.matches is None:
        return tuning.reranked(task.count, tuning.NEAR_RERANKED_MORE)
    return tuning.reranked(task.count, tuning.MATCHES_RERANKED_MORE)


def share_rows(task: Task, matches: Matches) -> bool:
    """Say whether it costs less to compare all matches exactly than each query by itself.

    Queries share the rows that are read for a product.
    """
    queries = len(task.queries)
    return queries > tuning.FEW_QUERIES and queries * rows_reranked(task) >= len(matches.ordinals)


def ways_to(live: LiveView, matches: Matches, expansion: int) -> dict[Sealed, Way]:
    """Return the cheaper way through each graph that has matches."""
    ways: dict[Sealed, Way] = {}
    for sealed in graphs_of(live):
        if count := sealed.count_between(matches.ordinals):
            ways[sealed] = _cheaper(sealed, count, expansion)
    return ways


def _cheaper(sealed: Sealed, matches: int, expansion: int) -> Way:
    share = min(1.0, matches / sealed.nodes)
    met = expansion / math.sqrt(share)
    comparisons = tuning.WALK_COMPARISONS * met
    if tuning.WALK_COST * comparisons > matches:
        return None
    patience = int(tuning.PATIENCE * met) + tuning.MORE
    return Walk(share, patience, int(tuning.MOST_WALK * comparisons) + tuning.MORE)
