"""Groups of pairs: connected, and each member linked to the representative itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from search_service.domain.arrays import I64, Flags

# So many members of a group are asked whether another one belongs to it.
_MOST_ASKED = 8
# Whether each of some rows is linked to one: bool [m].
LinkedTo = Callable[[int, I64], Flags]


def components(first: I64, second: I64, rows: int) -> Iterator[I64]:
    """Yield the rows of each component of two or more, ascending; those first that begin first."""
    links = coo_array((np.ones(len(first), dtype=np.int8), (first, second)), shape=(rows, rows))
    _, labels = connected_components(links, directed=False)
    order = np.argsort(labels, kind="stable")
    ends = np.flatnonzero(np.diff(labels[order], append=-1)) + 1
    starts = np.concatenate([[0], ends[:-1]])
    several = np.flatnonzero(ends - starts > 1)
    groups = [order[starts[at] : ends[at]].astype(np.int64) for at in several.tolist()]
    yield from sorted(groups, key=lambda group: int(group[0]))


def stars(members: I64, degrees: I64, linked: LinkedTo) -> Iterator[tuple[int, I64]]:
    """Yield the groups of a component: the representative, and those that belong to it.

    A member is linked to the representative, and to half of those that came before it:
    of a chain, in which each is near the next and far from the first, several groups come.
    `degrees` are of all rows: the representative is the member that is linked most.
    """
    left = members[np.lexsort((members, -degrees[members]))]
    while len(left) > 1:
        representative, others = int(left[0]), left[1:]
        near = linked(representative, others)
        joined = _agreeing(representative, others[near], linked)
        if len(joined):
            yield representative, np.sort(joined)
        left = others[~np.isin(others, joined)]


def _agreeing(representative: int, near: I64, linked: LinkedTo) -> I64:
    """Return which of the rows that are linked to a representative are so to one another."""
    asked = [representative]
    joined: list[int] = []
    for row in near.tolist():
        others = np.array(asked[1:], dtype=np.int64)
        links = 1 + (int(linked(row, others).sum()) if len(others) else 0)
        if 2 * links >= len(asked):
            joined.append(row)
            if len(asked) < _MOST_ASKED:
                asked.append(row)
    return np.array(joined, dtype=np.int64)


def chained(numbers: I64) -> tuple[I64, I64]:
    """Return pairs that link each row to the first of its number; -1 is none."""
    known = np.flatnonzero(numbers >= 0)
    order = known[np.lexsort((known, numbers[known]))]
    _, starts, counts = np.unique(numbers[order], return_index=True, return_counts=True)
    first = np.repeat(order[starts], counts)
    different = first != order
    return first[different], order[different]


def degrees_of(first: I64, second: I64, rows: int) -> I64:
    """Return how many links each row has, int64 [rows]."""
    return np.bincount(np.concatenate([first, second]), minlength=rows).astype(np.int64)


def unique_pairs(parts: Sequence[tuple[I64, I64]]) -> tuple[I64, I64]:
    """Return pairs `first` < `second` in order, none twice."""
    first = np.concatenate([np.minimum(*part) for part in parts])
    second = np.concatenate([np.maximum(*part) for part in parts])
    pairs = np.unique(np.stack([first, second], axis=1), axis=0)
    return pairs[:, 0], pairs[:, 1]
