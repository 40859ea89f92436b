"""Groups of pairs: connected, and each member linked to the representative itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from search_service.domain.arrays import I64, Flags

# So many members of a group are asked whether another one belongs to it.
_MOST_ASKED = 8
# In components of more than this, which only a threshold that is too low makes, not all are
# compared with a representative, but those within two links of it.
_MOST_COMPARED = 64
_MOST_BEYOND = 256
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


class Adjacency:
    """Which rows are linked to which."""

    def __init__(self, first: I64, second: I64, rows: int) -> None:
        one, other = np.concatenate([first, second]), np.concatenate([second, first])
        order = np.lexsort((other, one))
        self._others = other[order]
        self._starts = np.searchsorted(one[order], np.arange(rows + 1))
        self.degrees: I64 = np.diff(self._starts).astype(np.int64)

    def of(self, row: int) -> I64:
        """Return the rows that are linked to one."""
        return self._others[self._starts[row] : self._starts[row + 1]]

    def around(self, row: int) -> I64:
        """Return the rows that are linked to one, and some that are linked to those."""
        near = self.of(row)
        beyond: list[int] = []
        for other in near.tolist():
            if len(beyond) >= _MOST_BEYOND:
                break
            beyond.extend(self.of(other)[:_MOST_BEYOND].tolist())
        return np.unique(np.concatenate([near, np.array(beyond, dtype=np.int64)]))


def stars(members: I64, adjacency: Adjacency, linked: LinkedTo) -> Iterator[tuple[int, I64]]:
    """Yield the groups of a component: the representative, and those that belong to it.

    A member is linked to the representative, and to half of those that came before it:
    of a chain, in which each is near the next and far from the first, several groups come.
    The representative is the member that is linked most.
    """
    left = set(members.tolist())
    for representative in members[np.lexsort((members, -adjacency.degrees[members]))].tolist():
        if representative not in left:
            continue
        left.discard(representative)
        asked = left
        if len(left) > _MOST_COMPARED:
            asked = left.intersection(adjacency.around(representative).tolist())
        others = np.array(sorted(asked), dtype=np.int64)
        if not len(others):
            continue
        joined = _agreeing(representative, others[linked(representative, others)], linked)
        left.difference_update(joined.tolist())
        if len(joined):
            yield representative, np.sort(joined)


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


def unique_pairs(parts: Sequence[tuple[I64, I64]]) -> tuple[I64, I64]:
    """Return pairs `first` < `second` in order, none twice."""
    first = np.concatenate([np.minimum(*part) for part in parts])
    second = np.concatenate([np.maximum(*part) for part in parts])
    pairs = np.unique(np.stack([first, second], axis=1), axis=0)
    return pairs[:, 0], pairs[:, 1]
