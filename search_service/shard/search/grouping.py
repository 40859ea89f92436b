"""Searches for groups: from the graph, ever deeper; then value by value, or of all.

What is near a query often holds the same few values. The graph is asked for ever more
rows while that costs less than to compare all. Where its rows do not make enough
groups, the best of each value are searched for, if there are few values, and all is
compared if there are many. Groups that lack hits are filled by their values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from search_service.domain.arrays import F32, I64
from search_service.domain.conditions import FieldPath, Scalar
from search_service.domain.queries import HitGroup, PlanKind, QueryRequest
from search_service.filters.spread import Spread
from search_service.shard.live.matches import Matches
from search_service.shard.live.view import LiveView
from search_service.shard.metadata.filter_index import FilterIndex
from search_service.shard.search import plan, tuning
from search_service.shard.search.by_item import best_of_items, search_items
from search_service.shard.search.group_by import Groups, Wanted, gather
from search_service.shard.search.group_scan import best_of_groups
from search_service.shard.search.ranking import Ranked
from search_service.shard.search.scan_pool import ScanPool
from search_service.shard.search.task import Answer, Scope, Task

# A value that is told from another of its kind and of other kinds: True is not 1.0.
Value: TypeAlias = tuple[bool, Scalar]
# Rows of one query: ordinals int64 [n] and exact scores float32 [n], best first.
Rows: TypeAlias = tuple[I64, F32]


def search_groups(
    live: LiveView,
    task: Task,
    matches: Matches,
    field: FieldPath,
    requests: Sequence[QueryRequest],
    filters: FilterIndex,
    pool: ScanPool,
) -> tuple[Answer, list[list[HitGroup]]]:
    """Return how the queries of `task` were answered, and the groups of each.

    `matches` are the items that have the field, and `task` is to find their vectors.
    """
    near = _without_filter(live, task, matches) if requests[0].filter is None else task
    found = _Search(live, near, matches, field, Wanted.of(requests), filters, pool)
    found.rank_deeper()
    found.rank_values()
    found.fill()
    return found.answer, [
        groups.hits(live.ids, places)
        for groups, places in zip(found.groups, found.places, strict=True)
    ]


class _Search:
    """Groups in the making. `answer` says how they are found; its rows are not kept."""

    def __init__(
        self,
        live: LiveView,
        task: Task,
        matches: Matches,
        field: FieldPath,
        wanted: Sequence[Wanted],
        filters: FilterIndex,
        pool: ScanPool,
    ) -> None:
        """`task` finds the `matches`, or what else is near beside them."""
        self._live = live
        self._task = task
        self._matches = matches
        self._field = field
        self._wanted = wanted
        self._filters = filters
        self._pool = pool
        self._holders: dict[Value, I64] = {}
        self._searched: set[tuple[int, Value]] = set()
        # Of each query: its rows, whether no other row is left, its groups.
        self._rows: list[Rows] = [_NO_ROWS] * len(wanted)
        self._whole = np.zeros(len(wanted), dtype=np.bool_)
        # Which vector of an item a query is nearest to, where that is not its first.
        self.places: list[dict[int, int]] = [{} for _ in wanted]
        self.groups: list[Groups] = [Groups.none()] * len(wanted)
        self.answer = Answer(_NOTHING, (PlanKind.EXACT_FILTERED,) * len(wanted), 0, 0)
        everyone = range(len(wanted))
        if plan.candidates_wanted(live, task) is None:
            self._compare(everyone)
        else:
            self.answer = self._rank(everyone, task)

    def rank_deeper(self) -> None:
        """Rank ever more rows while the graph gives them, until there are enough groups."""
        task = self._task
        while (lacking := self._lacking()) and (count := self._deeper(task.count)) is not None:
            task = replace(task, count=count)
            self._use(self._rank(lacking, task), lacking)

    def rank_values(self) -> None:
        """See to it that there are enough groups, whatever else stands in between."""
        if not (lacking := self._lacking()):
            return
        items = len(self._matches.ordinals)
        values = self._filters.values(self._field, items // tuning.ROWS_A_VALUE)
        if values is None:
            self._compare(lacking)
            kinds = (PlanKind.EXACT_FALLBACK,) * len(lacking)
            self._use(replace(self.answer, kinds=kinds, candidates=items), lacking)
            return
        self._search_values(
            {
                value: short
                for value in map(_key, values)
                if (short := [number for number in lacking if not self._is_full(number, value)])
            }
        )

    def fill(self) -> None:
        """Search for the hits that groups still lack, by their values."""
        missing: dict[Value, list[int]] = {}
        for number in np.flatnonzero(~self._whole).tolist():
            groups, most = self.groups[number], self._wanted[number].hits_per_group
            for value, seen in groups.not_full(most):
                found = (number, _key(value)) in self._searched
                if not found and seen < len(self._holding(_key(value))):
                    missing.setdefault(_key(value), []).append(number)
        self._search_values(missing)

    def _lacking(self) -> list[int]:
        """List the queries that other rows may give more groups."""
        return [
            number
            for number in np.flatnonzero(~self._whole).tolist()
            if len(self.groups[number]) < self._wanted[number].limit
        ]

    def _deeper(self, count: int) -> int | None:
        """Return how many rows to rank next; None where a graph does not give more."""
        deeper = min(count * tuning.MORE_ROWS, plan.deepest(self._live, self._task))
        return deeper if deeper > count else None

    def _use(self, found: Answer, numbers: Sequence[int]) -> None:
        """Say that the queries `numbers` were answered as in `found`."""
        kinds = list(self.answer.kinds)
        for number, kind in zip(numbers, found.kinds, strict=True):
            kinds[number] = kind
        most = max(self.answer.candidates, found.candidates)
        self.answer = replace(self.answer, kinds=tuple(kinds), candidates=most)

    def _rank(self, numbers: Sequence[int], task: Task) -> Answer:
        """Rank and gather anew for the queries `numbers`, as many at a time as memory bears."""
        kinds: list[PlanKind] = []
        for some in _parts(numbers, max(1, tuning.MOST_RANKED // task.count)):
            found = self._search(some, task)
            kinds += found.kinds
            for number, rows in self._rows_of(found.ranked, some):
                self._rows[number] = rows
                everything = task.count >= _items(self._live, task)
                self._whole[number] = everything or len(rows[0]) < task.count
            self._gather(some)
        return replace(found, kinds=tuple(kinds))

    def _search(self, numbers: Sequence[int], task: Task) -> Answer:
        return search_items(self._live, task.part(np.array(numbers, dtype=np.int64)), self._pool)

    def _rows_of(self, ranked: Ranked, numbers: Sequence[int]) -> Iterator[tuple[int, Rows]]:
        """Yield the rows of each of the queries `numbers`, and note which vectors they are of."""
        bounds = np.searchsorted(ranked.query, np.arange(len(numbers) + 1)).tolist()
        for number, (start, end) in zip(numbers, pairwise(bounds), strict=True):
            ordinals = ranked.ordinal[start:end]
            if ranked.matched is not None:
                placed = zip(ordinals.tolist(), ranked.places(slice(start, end)), strict=True)
                self.places[number] |= dict(placed)
            yield number, (ordinals, ranked.score[start:end])

    def _gather(self, numbers: Sequence[int]) -> None:
        spread = self._spread([self._rows[number] for number in numbers])
        for number in numbers:
            ordinals, scores = self._rows[number]
            self.groups[number] = gather(
                ordinals, scores, self._live.ids, spread, self._wanted[number]
            )

    def _spread(self, rows: Sequence[Rows]) -> Spread:
        return self._filters.spread(self._field, np.concatenate([one[0] for one in rows]))

    def _is_full(self, number: int, value: Value) -> bool:
        """Say whether a query has all the hits of a value that it wants."""
        groups, most = self.groups[number], self._wanted[number].hits_per_group
        there = {_key(one) for one in groups.values}
        return value in there - {_key(one) for one, _ in groups.not_full(most)}

    def _holding(self, value: Value) -> I64:
        """Return the matches that hold a value, int64 [n] ascending."""
        if value not in self._holders:
            found = self._filters.holders(self._field, value[1])
            found = found[found < len(self._matches.allowed)]  # the rest came later
            self._holders[value] = found[self._matches.allowed[found]]
        return self._holders[value]

    def _compare(self, numbers: Sequence[int]) -> None:
        """Compare all matches with the queries `numbers`: their groups are final."""
        for number, rows in self._best(numbers, self._matches):
            self._rows[number] = rows
            self._whole[number] = True
            self._gather([number])

    def _search_values(self, missing: dict[Value, list[int]]) -> None:
        """Search for the best of each value for some queries, and gather them with the rest."""
        found: dict[int, list[Rows]] = {}
        few = [value for value in missing if len(self._holding(value)) <= tuning.MAX_GATHERED]
        for value in missing.keys() - set(few):
            for number, rows in self._nearest(missing[value], self._among([value])):
                found.setdefault(number, []).append(rows)
        if few:
            numbers = sorted({number for value in few for number in missing[value]})
            for number, rows in self._best(numbers, self._among(few)):
                found.setdefault(number, []).append(rows)
        self._searched |= {(number, value) for value in missing for number in missing[value]}
        for number, some in found.items():
            self._rows[number] = _joined([self._rows[number], *some])
            self._gather([number])

    def _among(self, values: Iterable[Value]) -> Matches:
        """Return the matches that hold one of `values`."""
        allowed = np.zeros(len(self._matches.allowed), dtype=np.bool_)
        for value in values:
            allowed[self._holding(value)] = True
        return Matches(np.flatnonzero(allowed), allowed)

    def _nearest(self, numbers: Sequence[int], matches: Matches) -> Iterator[tuple[int, Rows]]:
        """Search for the hits of one group, in the way that is cheapest."""
        left_out = max(len(self._wanted[number].left_out) for number in numbers)
        each = max(self._wanted[number].hits_per_group for number in numbers)
        found = self._live.with_further(matches)
        task = replace(self._task, count=each + left_out, matches=found)
        for some in _parts(numbers, max(1, tuning.MOST_RANKED // task.count)):
            yield from self._rows_of(self._search(some, task).ranked, some)

    def _best(self, numbers: Sequence[int], matches: Matches) -> Iterator[tuple[int, Rows]]:
        """Compare all `matches`, and yield what can be among the groups of each query."""
        spread = self._filters.spread(self._field, matches.ordinals)
        vectors = self._live.with_further(matches)
        at_once = max(1, tuning.MOST_RANKED // max(1, len(vectors.ordinals)))
        for some in _parts(numbers, at_once):
            task = replace(self._task.part(np.array(some)), matches=vectors)
            scope = Scope.of(self._live, task, self._pool)
            wanted = [self._wanted[number] for number in some]
            ranked = best_of_groups(scope, vectors.ordinals, spread, wanted)
            yield from self._rows_of(best_of_items(self._live, ranked), some)


_NOTHING = Ranked(
    np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
)
_NO_ROWS: Rows = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))


def _without_filter(live: LiveView, task: Task, matches: Matches) -> Task:
    """Return a task that finds `matches` among all; itself where they are few of all.

    A graph is walked faster for whatever is near than for what meets a filter.
    """
    share = len(matches.ordinals) / max(1, live.items)
    if task.exact or share < tuning.NEARLY_ALL:
        return task
    return replace(task, matches=None, count=int(task.count / share))


def _items(live: LiveView, task: Task) -> int:
    return live.items if task.matches is None else len(task.matches.ordinals)


def _key(value: Scalar) -> Value:
    return isinstance(value, bool), value


def _parts(numbers: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (numbers[start : start + size] for start in range(0, len(numbers), size))


def _joined(rows: Sequence[Rows]) -> Rows:
    """Join rows, each once: a score is the same however it was found."""
    every = np.concatenate([ordinals for ordinals, _ in rows])
    ordinals, once = np.unique(every, return_index=True)
    scores = np.concatenate([scores for _, scores in rows])[once]
    order = np.argsort(-scores)
    return ordinals[order], scores[order]
