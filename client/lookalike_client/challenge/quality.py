"""How much of what was found is alike, and how much could be.

Queries are left out of their own answers. An answer that is shorter than ten counts as
filled up with what is not alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

DEPTH = 10

# Ids with scores, best first.
Ranking: TypeAlias = Sequence[tuple[str, float]]

# Scores are float32: of equal pictures they may differ in their last digit.
_EQUAL = 1e-6


@dataclass(frozen=True, slots=True)
class Measured:
    """Means over `queries`, those that had something to find, and the greatest possible ones."""

    queries: int
    precision: float
    precision_attainable: float
    recall: float
    recall_attainable: float


@dataclass(frozen=True, slots=True)
class ClassQuality:
    """What the queries of one label reached: unfiltered on the label, filtered on the sub-label.

    The latter are None where no query had another item of its sub-label.
    """

    label: str
    items: int
    precision: float
    recall: float
    filtered_precision: float | None
    filtered_recall: float | None


@dataclass(frozen=True, slots=True)
class Judged:
    """Values for each query that had something to find, in the order of `ids`."""

    ids: Sequence[str]
    found: NDArray[np.int64]  # relevant ones among the first ten
    relevant: NDArray[np.int64]  # relevant ones that there are

    def measured(self) -> Measured:
        """Return the means; of no query, zeros."""
        if not self.ids:
            return Measured(0, 0.0, 0.0, 0.0, 0.0)
        most = np.minimum(self.relevant, DEPTH)
        return Measured(
            queries=len(self.ids),
            precision=float((self.found / DEPTH).mean()),
            precision_attainable=float((most / DEPTH).mean()),
            recall=float((self.found / self.relevant).mean()),
            recall_attainable=float((most / self.relevant).mean()),
        )


def judge(rankings: Mapping[str, Ranking], group: Mapping[str, object]) -> Judged:
    """Judge answers by whether what they hold has the query's `group`.

    `group` holds all items that can be found and have one; queries without one, or with
    one of their own, have nothing to find and are left out.
    """
    sizes = Counter(group.values())
    ids = [id for id in rankings if id in group and sizes[group[id]] > 1]
    found = [
        sum(group.get(hit) == group[id] for hit, _ in rankings[id][:DEPTH] if hit != id)
        for id in ids
    ]
    return Judged(
        ids,
        np.array(found, dtype=np.int64),
        np.array([sizes[group[id]] - 1 for id in ids], dtype=np.int64),
    )


def by_label(unfiltered: Judged, filtered: Judged, labels: Mapping[str, str]) -> list[ClassQuality]:
    """Return what each label reached, the least precise first."""
    items = Counter(labels.values())
    first, second = _grouped(unfiltered, labels), _grouped(filtered, labels)
    found = []
    for label, (precision, recall) in first.items():
        inner = second.get(label, (None, None))
        found.append(ClassQuality(label, items[label], precision, recall, *inner))
    return sorted(found, key=lambda each: (each.precision, each.label))


def _grouped(judged: Judged, labels: Mapping[str, str]) -> dict[str, tuple[float, float]]:
    places: dict[str, list[int]] = {}
    for place, id in enumerate(judged.ids):
        places.setdefault(labels[id], []).append(place)
    return {
        label: (
            float((judged.found[some] / DEPTH).mean()),
            float((judged.found[some] / judged.relevant[some]).mean()),
        )
        for label, some in places.items()
    }


def recall_of_exact(found: Mapping[str, Ranking], exact: Mapping[str, Ranking]) -> float:
    """Return the share of the exact ten nearest that searches found, mean over the queries.

    Items as near as the tenth are as good as it: equal pictures take turns there.
    """
    shares = [_share(found[id], best) for id, best in exact.items() if best]
    return float(np.mean(shares)) if shares else 1.0


def _share(found: Ranking, best: Ranking) -> float:
    nearest = best[:DEPTH]
    floor = nearest[-1][1] - _EQUAL
    return min(1.0, sum(score >= floor for _, score in found[:DEPTH]) / len(nearest))


def pairs_at(rankings: Iterable[tuple[str, Ranking]], threshold: float) -> tuple[int, int]:
    """Return how many images have another at `threshold`, and how many pairs they are in.

    Pairs are those among the ten nearest of each image.
    """
    images = 0
    pairs: set[tuple[str, str]] = set()
    for id, ranking in rankings:
        near = [hit for hit, score in ranking if score >= threshold and hit != id]
        images += bool(near)
        pairs.update((min(id, hit), max(id, hit)) for hit in near)
    return images, len(pairs)
