"""encoders.6: what do several photographs of a product, and two encoders of it, bring?

Groceries, 81 classes. Photographs of a class are dealt to its items in turn, a fifth of
them are kept as queries. With one photograph an item there are as many items as with
several, each known by its first.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from lookalike.wire.vectors import F32
from tests.bench.encoders.embedding import embed, labelled
from tests.bench.report import Report

_SUBJECT = "efficientnet-lite2"
_STYLE = "style:palette"
_PHOTOGRAPHS = (1, 3, 5)
# Of the palette in the sum; the rest is the subject's.
_WEIGHTS = (0.1, 0.2, 0.3, 0.5)
_WHAT = "groceries, 81 classes, P@10 of items"
EXPECTED = ("encoders.6", _WHAT, "", "stated")


@dataclass(frozen=True)
class _Deal:
    """Places of photographs: `items` has those of each item, [n][k]; `queries` is int64 [m]."""

    items: list[list[int]]
    queries: np.ndarray


def measure(report: Report) -> None:
    """Add a row for each number of photographs, by subject and by style, and for sums."""
    files, labels = labelled("grocery", 1)
    classes = np.unique(labels, return_inverse=True)[1]
    subject, style = embed(_SUBJECT, files), embed(_STYLE, files)
    deal = _deal(classes, max(_PHOTOGRAPHS))
    for letter, name, vectors in (("a", _SUBJECT, subject), ("b", _STYLE, style)):
        for count in _PHOTOGRAPHS:
            scores = _best(vectors, deal, count)
            what = f"{_WHAT}, {count} of {max(_PHOTOGRAPHS)} photographs each, {name}"
            report.stated(f"encoders.6{letter}{count}", what, _p10(scores, deal, classes), "")
    for count in (_PHOTOGRAPHS[0], _PHOTOGRAPHS[-1]):
        near, alike = (_best(vectors, deal, count) for vectors in (subject, style))
        for weight in _WEIGHTS:
            what = f"{_WHAT}, {count} photographs each, {1 - weight:.1f} {_SUBJECT} + {weight}"
            found = _p10((1 - weight) * near + weight * alike, deal, classes)
            report.stated(f"encoders.6c{count}w{weight}", f"{what} {_STYLE}", found, "")


def _deal(classes: np.ndarray, each: int) -> _Deal:
    """Deal the photographs of each class out: whole items of `each`, and queries."""
    of_class: dict[int, list[int]] = defaultdict(list)
    for place, label in enumerate(classes.tolist()):
        of_class[label].append(place)
    items: list[list[int]] = []
    queries: list[int] = []
    for places in of_class.values():
        shuffled = np.random.default_rng(7).permutation(places).tolist()
        held = max(1, len(shuffled) // 5)
        queries += shuffled[:held]
        rest = shuffled[held:]
        items += [rest[start : start + each] for start in range(0, len(rest) - each + 1, each)]
    return _Deal(items, np.array(queries))


def _best(vectors: F32, deal: _Deal, count: int) -> F32:
    """Return float32 [queries, items]: the best cosine to an item's first photographs."""
    queries = vectors[deal.queries]
    each = [queries @ vectors[[item[place] for item in deal.items]].T for place in range(count)]
    best: F32 = np.max(each, axis=0)
    return best


def _p10(scores: F32, deal: _Deal, classes: np.ndarray) -> float:
    """Return the mean share of the ten best items that are of the query's class.

    A class with fewer items is measured by as many as it has.
    """
    of_item = classes[[item[0] for item in deal.items]]
    order = np.argsort(-scores, axis=1, kind="stable")
    shares = []
    for query, ranked in zip(classes[deal.queries].tolist(), order, strict=True):
        wanted = min(10, int((of_item == query).sum()))
        if wanted:
            shares.append(float((of_item[ranked[:wanted]] == query).mean()))
    return round(float(np.mean(shares)), 3)
