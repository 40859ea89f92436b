"""The way of a task through a shard, from the top.

`plan.py` says how; graphs are walked (`graphs.py`), what has none is compared in the
compact form (`compact.py`) or in float32 (`scans.py`); what each found is ranked by
exact cosines (`ranking.py`). Where that cannot be all, queries are searched again.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from search_service.domain.arrays import I64, Flags
from search_service.domain.queries import PlanKind
from search_service.segments.api import LEAST_EXPANSION
from search_service.shard.live.matches import Matches
from search_service.shard.live.sealed import Sealed
from search_service.shard.live.view import LiveView
from search_service.shard.search import compact, graphs, plan, scans
from search_service.shard.search.ranking import LEAST_FLOOR, MARGIN, Found, radius_of
from search_service.shard.search.scan_pool import ScanPool
from search_service.shard.search.task import Answer, Scope, Task

# What an answer is called that only leaves out what is dead.
_UNFILTERED = {
    PlanKind.GRAPH_FILTERED: PlanKind.GRAPH,
    PlanKind.COMPACT_FILTERED: PlanKind.COMPACT_FALLBACK,
    PlanKind.COMPACT_FALLBACK: PlanKind.COMPACT_FALLBACK,
    PlanKind.EXACT_FILTERED: PlanKind.EXACT_FALLBACK,
}


def search(live: LiveView, task: Task, pool: ScanPool) -> Answer:
    """Answer a task with the cheapest plan that is right for it."""
    wanted = plan.candidates_wanted(live, task)
    if wanted is None:
        return _compare_all(live, task, pool)
    if task.matches is not None:
        return _search_matches(live, task, task.matches, wanted, pool)
    return _search_all(live, task, wanted, pool)


def _compare_all(live: LiveView, task: Task, pool: ScanPool) -> Answer:
    """Compare all that counts in float32."""
    scope = Scope.of(live, task, pool)
    if task.matches is None:
        found, kind = scans.scan_all(scope), PlanKind.EXACT
    else:
        found = scans.scan_matches(scope, task.matches.ordinals)
        kind = PlanKind.EXACT_FILTERED
    return scope.answer(found, (kind,) * len(task.queries), 0)


def _search_all(live: LiveView, task: Task, wanted: int, pool: ScanPool) -> Answer:
    """Walk all graphs, and scan what has none; queries that find too little go on."""
    scope = Scope.of(live, task, pool)
    walked = plan.graphs_of(live)
    expansion = max(task.expansion, wanted)
    found = graphs.walk_all(scope, walked, wanted, expansion)
    found += _scan_without_graph(scope, plan.rows_reranked(task))
    kind = PlanKind.GRAPH if walked else PlanKind.COMPACT
    answer = scope.answer(found, (kind,) * len(task.queries), expansion if walked else 0)
    short = _short(live, task, answer, found)
    if not len(short):
        return answer
    return answer.with_others(short, _search_living(live, task.part(short), wanted, pool))


def _search_living(live: LiveView, task: Task, wanted: int, pool: ScanPool) -> Answer:
    """Answer queries around which most nodes are dead: the walk leaves out what is dead."""
    living = Matches(
        np.flatnonzero(live.died_at[: live.upto] > live.epoch),
        np.ones(live.upto, dtype=np.bool_),
    )
    found = _search_matches(live, task, living, wanted, pool)
    answer = replace(found, kinds=tuple(_UNFILTERED[kind] for kind in found.kinds))
    # What no graph reaches must not be missing where there is nothing else.
    some = np.bincount(answer.ranked.query, minlength=len(task.queries))
    open_below = task.floor <= LEAST_FLOOR
    short = np.flatnonzero((some < min(task.count, live.vectors)) & open_below)
    if not len(short):
        return answer
    return answer.with_others(short, _compare_all(live, task.part(short), pool))


def _search_matches(
    live: LiveView, task: Task, matches: Matches, wanted: int, pool: ScanPool
) -> Answer:
    """Find matches in each graph by the cheaper way, and scan what has no graph."""
    task = replace(task, matches=matches)
    expansion = max(task.expansion, wanted, LEAST_EXPANSION)
    ways = plan.ways_to(live, matches, expansion)
    walks = {sealed: way for sealed, way in ways.items() if way is not None}
    if not walks and plan.share_rows(task, matches):
        return _compare_all(live, task, pool)
    scope = Scope.of(live, task, pool)
    found, given_up = graphs.walk_matches(scope, walks, wanted, expansion)
    everyone = np.arange(len(task.queries))
    for sealed in ways.keys() - walks.keys():
        found += compact.scan_compact(scope, [sealed], everyone)
    found += _scan_given_up(scope, given_up)
    found += _scan_without_graph(scope, plan.rows_reranked(task))
    kind = PlanKind.GRAPH_FILTERED if walks else PlanKind.COMPACT_FILTERED
    fallen_back = np.logical_or.reduce([everyone < 0, *given_up.values()])
    kinds = tuple(PlanKind.COMPACT_FALLBACK if short else kind for short in fallen_back.tolist())
    return scope.answer(found, kinds, expansion if walks else 0)


def _scan_given_up(scope: Scope, given_up: dict[Sealed, Flags]) -> list[Found]:
    """Scan graphs for the queries whose walk through them was given up."""
    found: list[Found] = []
    for sealed, flags in given_up.items():
        if len(numbers := np.flatnonzero(flags)):
            found += compact.scan_compact(scope, [sealed], numbers)
    return found


def _scan_without_graph(scope: Scope, rows: int) -> list[Found]:
    """Compare the rows of segments without a graph, and the head's, `rows` of these exactly."""
    flat = [sealed for sealed in scope.live.sealed if not sealed.segment.has_graph]
    coded = [sealed for sealed in flat if sealed.segment.has_codes]
    found = compact.scan_compact(scope, coded, np.arange(len(scope.queries)))
    for sealed in flat:
        if not sealed.segment.has_codes:
            found += scans.scan_segment(scope, sealed)
    in_head, left = compact.scan_head_compact(scope, rows)
    return found + in_head + scans.scan_head(scope, left)


def _short(live: LiveView, task: Task, answer: Answer, found: list[Found]) -> I64:
    """Return the numbers, int64 [n], of queries that may lack rows.

    Rows below the radius count only where no unseen row can stand before them; nothing
    above the floor is unseen where the graphs reached down to it.
    """
    radius = radius_of(found, len(task.queries))
    near = answer.ranked.score >= radius[answer.ranked.query] - MARGIN
    certain = np.bincount(answer.ranked.query[near], minlength=len(radius))
    return np.flatnonzero((certain < min(task.count, live.vectors)) & (radius > task.floor))
