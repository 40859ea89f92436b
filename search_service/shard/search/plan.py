"""Which way a group of queries is answered, and the answering."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from search_service.domain.arrays import F32, I64
from search_service.domain.queries import PlanKind
from search_service.segments.api import LEAST_EXPANSION
from search_service.shard.live.matches import Matches
from search_service.shard.live.memory import LiveView
from search_service.shard.live.sealed import Sealed
from search_service.shard.search.candidates import LEAST_FLOOR, MARGIN, Candidates, Ranked
from search_service.shard.search.compact import Scan
from search_service.shard.search.scan_pool import ScanPool
from search_service.shard.search.search import graphs_of, scan_all, scan_matches, search_graphs
from search_service.shard.search.search_filtered import Walk, Way, search_filtered

# Matches up to here are compared in float32, exactly: 4,096 x 512 is 8 MB.
MAX_GATHERED = 4_096
# Past this many candidates a query, or this share of the nodes, a scan is cheaper.
MAX_FETCH = 4_096
MAX_FETCH_SHARE = 0.05
# Candidates fetched beyond what is asked for, so that exact re-ranking can give
# back what a short or quantised form of the vectors lost.
OVERFETCH = 3.0
OVERFETCH_MORE = 32
# A walk that keeps `expansion` nodes compares 20 (of 256) to 29 (of 64) times as many
# (tests/bench/search/walk.py, 200,000 nodes with 32 links), and when a filter keeps a
# share of them, the more: one over the share.
WALK_COMPARISONS = 21
# What a comparison costs a walk, in those of a scan, which goes through the memory.
WALK_COST = 3
# A walk that needs so many times what it should is given up for a scan: its filter
# keeps what is far from the query, and sends it through all that is near. That shows
# early: otherwise each match that it comes by is kept, until it has enough.
MOST_WALK = 2.0
PATIENCE = 4.0
MORE = 1_000  # comparisons on the way there
# What an answer is called that only leaves out what is dead.
_UNFILTERED = {
    PlanKind.GRAPH_FILTERED: PlanKind.GRAPH,
    PlanKind.COMPACT_FILTERED: PlanKind.COMPACT_FALLBACK,
    PlanKind.COMPACT_FALLBACK: PlanKind.COMPACT_FALLBACK,
    PlanKind.EXACT_FILTERED: PlanKind.EXACT_FALLBACK,
}


@dataclass(frozen=True, slots=True)
class Task:
    """Queries that are answered by one call: float32 [B, D], floors float32 [B]."""

    queries: F32
    floor: F32
    count: int
    exact: bool
    expansion: int
    matches: Matches | None


@dataclass(frozen=True, slots=True)
class Answer:
    """Ranked rows of all queries, and how each was found."""

    ranked: Ranked
    kinds: tuple[PlanKind, ...]
    candidates: int
    expansion: int


def answer(snapshot: LiveView, task: Task, lanes: ScanPool) -> Answer:
    """Answer a task with the cheapest plan that is right for it."""
    fetch = _graph_fetch(snapshot, task)
    if fetch is None:
        return _scan(snapshot, task, lanes)
    if task.matches is None:
        return _walk(snapshot, task, fetch, lanes)
    return _search_matches(snapshot, task, task.matches, fetch, lanes)


def _walk(snapshot: LiveView, task: Task, fetch: int, lanes: ScanPool) -> Answer:
    into = Candidates(task.queries, task.count, task.floor)
    expansion = max(task.expansion, fetch)
    search_graphs(
        snapshot,
        task.queries,
        count=fetch,
        expansion=expansion,
        scan=Scan.of_all(task.count),
        lanes=lanes,
        into=into,
    )
    walked = bool(graphs_of(snapshot))
    kinds = (PlanKind.GRAPH if walked else PlanKind.COMPACT,) * len(task.queries)
    ranked = into.rank(snapshot, None)
    found = Answer(ranked, kinds, into.compared, expansion if walked else 0)
    wanted = min(task.count, snapshot.items)
    # Nothing above the floor is unseen where the graphs reached down to it.
    open_below = into.radius > task.floor
    short = np.flatnonzero((_certain(found.ranked, into.radius) < wanted) & open_below)
    if not len(short):
        return found
    return _replaced(found, short, _search_living(snapshot, _part(task, short), fetch, lanes))


def _search_living(snapshot: LiveView, task: Task, fetch: int, lanes: ScanPool) -> Answer:
    """Answer queries around which most nodes are dead: the walk is told which live."""
    living = Matches(
        np.flatnonzero(snapshot.died_at[: snapshot.upto] > snapshot.epoch),
        np.ones(snapshot.upto, dtype=np.bool_),
    )
    found = _search_matches(snapshot, task, living, fetch, lanes)
    kinds = tuple(_UNFILTERED[kind] for kind in found.kinds)
    found = replace(found, kinds=kinds)
    # What no graph reaches must not be missing where there is nothing else.
    some = np.bincount(found.ranked.query, minlength=len(kinds))
    open_below = task.floor <= LEAST_FLOOR
    short = np.flatnonzero((some < min(task.count, snapshot.items)) & open_below)
    if not len(short):
        return found
    return _replaced(found, short, _scan(snapshot, _part(task, short), lanes))


def _search_matches(
    snapshot: LiveView, task: Task, matches: Matches, fetch: int, lanes: ScanPool
) -> Answer:
    expansion = max(task.expansion, fetch, LEAST_EXPANSION)
    ways: dict[Sealed, Way] = {}
    for sealed in graphs_of(snapshot):
        if count := sealed.count_between(matches.ordinals):
            ways[sealed] = _way(sealed, count, expansion, task.count)
    walked = any(isinstance(way, Walk) for way in ways.values())
    # Many queries would re-rank more rows than match, one by one; those share the rows.
    reranked = len(task.queries) * Scan.of_matches(task.count).count
    if not walked and reranked >= len(matches.ordinals):
        return _scan(snapshot, replace(task, matches=matches), lanes)
    into = Candidates(task.queries, task.count, task.floor)
    given_up = search_filtered(
        snapshot,
        task.queries,
        count=fetch,
        expansion=expansion,
        allowed=matches.allowed,
        ways=ways,
        scan=Scan.of_matches(task.count),
        fallback=Scan.after_walk(task.count),
        lanes=lanes,
        into=into,
    )
    kind = PlanKind.GRAPH_FILTERED if walked else PlanKind.COMPACT_FILTERED
    kinds = tuple(PlanKind.COMPACT_FALLBACK if short else kind for short in given_up.tolist())
    ranked = into.rank(snapshot, matches.allowed)
    return Answer(ranked, kinds, into.compared, expansion if walked else 0)


def _way(sealed: Sealed, matches: int, expansion: int, count: int) -> Way:
    """Return the cheaper way to find `matches` of a graph's nodes."""
    met = expansion * sealed.nodes / matches
    comparisons = WALK_COMPARISONS * met
    if WALK_COST * comparisons > matches:
        return Scan.of_matches(count)
    return Walk(int(PATIENCE * met) + MORE, int(MOST_WALK * comparisons) + MORE)


def _scan(snapshot: LiveView, task: Task, lanes: ScanPool) -> Answer:
    into = Candidates(task.queries, task.count, task.floor)
    if task.matches is None:
        scan_all(snapshot, task.queries, lanes, into)
        ranked, kind = into.rank(snapshot, None), PlanKind.EXACT
    else:
        matches = task.matches
        scan_matches(snapshot, task.queries, matches.ordinals, matches.allowed, lanes, into)
        ranked, kind = into.rank(snapshot, task.matches.allowed), PlanKind.EXACT_FILTERED
    return Answer(ranked, (kind,) * len(task.queries), into.compared, 0)


def _graph_fetch(snapshot: LiveView, task: Task) -> int | None:
    """Return how many candidates to ask each graph for; None: compare all exactly.

    Nodes count that are in a graph, or will soon be and are scanned in its form.
    """
    nodes = sum(sealed.nodes for sealed in snapshot.sealed if sealed.segment.has_codes)
    if task.exact or not nodes or not snapshot.items:
        return None
    if task.matches is not None:
        fetch = _fetch(task.count)
        few = len(task.matches.ordinals) <= max(MAX_GATHERED, Scan.of_matches(task.count).count)
    else:
        # Items in the head hide dead nodes here; the fallback is there for what is left.
        held = sum(len(sealed.ordinals) for sealed in graphs_of(snapshot))
        live = min(1.0, snapshot.items / max(1, held))
        fetch = int(_fetch(task.count) / live)
        few = False
    return None if few or fetch > min(MAX_FETCH, MAX_FETCH_SHARE * nodes) else fetch


def _fetch(count: int) -> int:
    return int(count * OVERFETCH) + OVERFETCH_MORE


def _certain(ranked: Ranked, radius: F32) -> I64:
    """Count each query's rows, int64 [B], that no unseen row can stand before.

    Those that stand lower may be all that is live among what the graph found.
    """
    near = ranked.score >= radius[ranked.query] - MARGIN
    return np.bincount(ranked.query[near], minlength=len(radius))


def _part(task: Task, numbers: I64) -> Task:
    return replace(task, queries=task.queries[numbers], floor=task.floor[numbers])


def _replaced(found: Answer, short: I64, scanned: Answer) -> Answer:
    """Put the answers of a scan in the place of those of the queries `short`, int64 [n]."""
    kept = ~np.isin(found.ranked.query, short)
    query = np.concatenate([found.ranked.query[kept], short[scanned.ranked.query]])
    order = np.argsort(query, kind="stable")
    ranked = Ranked(
        query[order],
        np.concatenate([found.ranked.ordinal[kept], scanned.ranked.ordinal])[order],
        np.concatenate([found.ranked.score[kept], scanned.ranked.score])[order],
    )
    kinds = list(found.kinds)
    for index, kind in zip(short.tolist(), scanned.kinds, strict=True):
        kinds[index] = PlanKind.EXACT_FALLBACK if kind is PlanKind.EXACT else kind
    return Answer(ranked, tuple(kinds), max(found.candidates, scanned.candidates), found.expansion)
