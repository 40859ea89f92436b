"""Searches for items where some have several vectors: the best of an item's counts.

Rows of vectors are ranked until they are those of enough items, so that an item whose
vectors are all near takes the place of one.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from search_service.shard.live.view import LiveView
from search_service.shard.search.ranking import Ranked
from search_service.shard.search.scan_pool import ScanPool
from search_service.shard.search.search import search
from search_service.shard.search.task import Answer, Task
from search_service.shard.search.tuning import MORE_ROWS


def search_items(live: LiveView, task: Task, pool: ScanPool) -> Answer:
    """Answer a task with one row for each item, `task.count` a query where there are as many."""
    if live.item_of is None:
        return search(live, task, pool)
    countable = live.vectors if task.matches is None else len(task.matches.ordinals)
    most = max(task.count, countable)
    each = math.ceil(live.vectors / max(1, live.items))
    wider = replace(task, count=min(task.count * each, most))
    while True:
        found = search(live, wider, pool)
        ranked = best_of_items(live, found.ranked)
        if wider.count >= most or not _lacks_items(found.ranked, ranked, task, wider):
            return replace(found, ranked=ranked)
        wider = replace(wider, count=min(wider.count * MORE_ROWS, most))


def best_of_items(live: LiveView, ranked: Ranked) -> Ranked:
    """Keep of each query and item the row with the greatest score, of equal ones the first
    vector's; `ordinal` is the item's then, and `matched` the vector's."""
    if live.item_of is None:
        return ranked
    order = np.lexsort((ranked.ordinal, -ranked.score, ranked.query))
    query, matched, score = ranked.query[order], ranked.ordinal[order], ranked.score[order]
    items = live.item_of[matched]
    _, first = np.unique(query << 32 | items, return_index=True)
    kept = np.sort(first)
    return Ranked(query[kept], items[kept], score[kept], matched[kept])


def _lacks_items(rows: Ranked, items: Ranked, task: Task, wider: Task) -> bool:
    """Say whether a query with too few items may have more: it got all rows it asked for."""
    queries = len(task.queries)
    found = np.bincount(items.query, minlength=queries)
    full = np.bincount(rows.query, minlength=queries) >= wider.count
    return bool(((found < task.count) & full).any())
