"""Vectors of two models in one collection: two groups that never come near each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from search_service.analysis.checking.finding import Finding, Verdict
from search_service.analysis.gallery import Gallery
from search_service.domain.arrays import F32, I64, Flags

_SAMPLE = 1_500
_LEAST_SHARE, _LEAST = 0.01, 5
# Halves and tenths of photographs by two networks of one family came to .36 to .41 at the
# nearest pair of both; nine of ten items had a neighbour in their own group .09 to .38
# above that. Groups of one sort of picture that lie apart under one network are tight: half
# of their pairs reach .85; those of two networks reach no more than the whole does.
_CLEARANCE = 0.08
_MOST_TIGHTNESS = 0.1
_NEIGHBOURED = 0.1


@dataclass(frozen=True, slots=True)
class _Split:
    """Which of the sample are of the minor group, and three cosines.

    `nearest` is that of the nearest pair of both groups; `inside` is what nine of ten have
    to another of their own group, `usual` what half of the pairs of a group have.
    """

    minor: Flags
    nearest: float
    inside: float
    usual: float


def check_models(gallery: Gallery, usable: I64, seed: int) -> Finding:
    """Look for two groups among the rows `usable` that are hardly of one model."""
    name = "mixed_models"
    some = usable
    if len(some) > _SAMPLE:
        drawn = np.random.default_rng(seed).choice(usable, _SAMPLE, replace=False)
        some = np.sort(drawn)
    split = _split(np.asarray(gallery.vectors[some]))
    if (
        split is None
        or split.inside < split.nearest + _CLEARANCE
        or split.usual > split.nearest + _MOST_TIGHTNESS
    ):
        return Finding(name, Verdict.OK, "the vectors are of one kind", 0.0)
    given = np.array([not gallery.facts[row] for row in some])
    # Whether the groups are told apart by who made the vectors: the service, or a caller.
    one, other = given[split.minor], given[~split.minor]
    by_maker = bool((one.all() and not other.any()) or (other.all() and not one.any()))
    how = "; one of the groups was given as vectors, the other made of images" if by_maker else ""
    share = float(split.minor.mean())
    return Finding(
        name,
        Verdict.FAIL if by_maker else Verdict.WARN,
        f"{share:.1%} of the vectors are apart from all others: the nearest pair of both groups "
        f"has cosine {split.nearest:.2f}, the nearest in a group mostly {split.inside:.2f} or "
        f"more{how}",
        share,
        "if all are pictures of the same sort, these are vectors of two models, or of two ways "
        "of preparing pictures: index one group again. Else keep them in two collections",
        example_ids=[gallery.ids[row] for row in some[split.minor].tolist()[:5]],
    )


def _split(vectors: F32) -> _Split | None:
    """Split vectors, float32 [n, D], where the tree of nearest pairs is weakest.

    None where no branch has enough of them.
    """
    least = max(_LEAST, int(_LEAST_SHARE * len(vectors)))
    if len(vectors) < 2 * least:
        return None
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -np.inf)
    order, above, links = _tree(scores)
    sizes = np.ones(len(vectors), dtype=np.int64)
    for node in order[:0:-1].tolist():
        sizes[above[node]] += sizes[node]
    able = np.flatnonzero((sizes >= least) & (sizes <= len(vectors) - least))
    if not len(able):
        return None
    branch = int(able[links[able].argmin()])
    inside = np.zeros(len(vectors), dtype=np.bool_)
    inside[branch] = True
    for node in order[1:].tolist():
        inside[node] |= inside[above[node]]
    minor = inside if inside.sum() * 2 <= len(vectors) else ~inside
    own = [scores[np.ix_(group, group)] for group in (minor, ~minor)]
    return _Split(
        minor,
        float(links[branch]),
        min(float(np.quantile(each.max(axis=1), _NEIGHBOURED)) for each in own),
        max(float(np.median(each[np.triu_indices(len(each), 1)])) for each in own),
    )


def _tree(scores: F32) -> tuple[I64, I64, F32]:
    """Join all by their highest scores, float32 [n, n], as Prim does.

    Returns:
        Nodes in the order in which they were joined; the node that each hangs on; the score
        of that link (infinite for the first).
    """
    count = len(scores)
    order = np.zeros(count, dtype=np.int64)
    above = np.zeros(count, dtype=np.int64)
    links = scores[0].copy()
    waiting = np.ones(count, dtype=np.bool_)
    waiting[0], links[0] = False, np.inf
    for place in range(1, count):
        node = int(np.where(waiting, links, -np.inf).argmax())
        order[place] = node
        waiting[node] = False
        nearer = waiting & (scores[node] > links)
        above[nearer] = node
        links[nearer] = scores[node][nearer]
    return order, above, links
