"""encoders.6: what do several photographs of a product, and two encoders of it, bring?

Groceries, 60 products with 3 to 6 photographs in shops. Each photograph is a query; an item
is a product, known by 1 to 4 of its other photographs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lookalike.wire.vectors import F32
from tests.bench.encoders.embedding import embed, labelled
from tests.bench.report import Report

_SUBJECT = "efficientnet-lite2"
_STYLE = "style:palette"
_PHOTOGRAPHS = (1, 2, 3, 4)
# Of the palette in the sum; the rest is the subject's.
_WEIGHTS = (0.1, 0.2, 0.3, 0.5)
_SET = "groceries, 60 products"
EXPECTED = ("encoders.6", _SET, "", "stated")

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Products:
    """Product of each photograph, int64 [n]; coarse class of each product, int64 [p]."""

    of_photograph: I64
    coarse: I64


def measure(report: Report) -> None:
    """Add rows for each number of photographs and encoder, and for sums of two."""
    files, names = labelled("grocery", 1)
    _, classes = labelled("grocery", 2)
    _, first, of_photograph = np.unique(names, return_index=True, return_inverse=True)
    products = _Products(of_photograph, np.unique(classes, return_inverse=True)[1][first])
    found = {model: embed(model, files) for model in (_SUBJECT, _STYLE)}
    for letter, model in zip("ab", found, strict=True):
        for count in _PHOTOGRAPHS:
            scores = _best(found[model], products, count)
            _state(report, f"encoders.6{letter}{count}", model, scores, products, count)
    for count in (_PHOTOGRAPHS[0], _PHOTOGRAPHS[-1]):
        subject, style = (_best(vectors, products, count) for vectors in found.values())
        for weight in _WEIGHTS:
            what = f"{1 - weight:.1f} {_SUBJECT} + {weight} {_STYLE}"
            scores = (1 - weight) * subject + weight * style
            _state(report, f"encoders.6c{count}w{weight}", what, scores, products, count)


def _state(
    report: Report, row: str, what: str, scores: F32, products: _Products, count: int
) -> None:
    own, coarse = _precisions(scores, products)
    told = f"{_SET}, {count} photographs an item, {what}"
    report.stated(f"{row}-1", f"{told}: P@1 of the product", own, "")
    report.stated(f"{row}-10", f"{told}: P@10 of its coarse class", coarse, "")


def _best(vectors: F32, products: _Products, count: int) -> F32:
    """Return float32 [photographs, products]: the best cosine of each to `count` photographs.

    A photograph is not compared with itself; a product with fewer others is known by these.
    """
    order = np.random.default_rng(7).permutation(len(vectors))
    members = [order[products.of_photograph[order] == p] for p in range(len(products.coarse))]
    cosines = vectors @ vectors.T
    best = np.empty((len(vectors), len(members)), dtype=np.float32)
    for query in range(len(vectors)):
        for product, photographs in enumerate(members):
            others = photographs[photographs != query][:count]
            best[query, product] = cosines[query, others].max()
    return best


def _precisions(scores: F32, products: _Products) -> tuple[float, float]:
    """Return P@1 of the product and P@10 of its coarse class.

    A class with fewer products is measured by as many as it has.
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    own = float((order[:, 0] == products.of_photograph).mean())
    shares = []
    for product, ranked in zip(products.of_photograph.tolist(), order, strict=True):
        alike = products.coarse == products.coarse[product]
        shares.append(float(alike[ranked[: min(10, int(alike.sum()))]].mean()))
    return round(own, 3), round(float(np.mean(shares)), 3)
