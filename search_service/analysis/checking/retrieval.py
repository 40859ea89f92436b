"""Whether searches find what is there: the items themselves, and what an exact scan finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from search_service.analysis.checking.finding import Finding, Verdict, judged
from search_service.analysis.evaluation.intervals import CONFIDENCE, mean_interval
from search_service.analysis.gallery import Gallery
from search_service.analysis.jobs import AnalysisJob, Progress
from search_service.analysis.neighbours import Exact, Graphs, Nearest, open_segments
from search_service.domain.arrays import F32, F64, I64

# Recall is that of the ten best, which is what an answer holds where nothing is said.
_DEPTH = 10
# Candidates of a search: 3k + 32 (search_service/shard/search/tuning.py).
_CANDIDATES = 3 * (_DEPTH + 1) + 32
# Scores are float32: what differs by less is a tie.
_TIE = 1e-6
# Where the compact form alone orders as badly as this, candidates are missed before
# they can be ranked again: at .5 it is worse than 128 of 512 components were (.88).
_ROUGH = 0.5
# Queries that are compared with all items before progress is told.
_PER_REPORT = 64


@dataclass(frozen=True, slots=True)
class Searched:
    """Items that were searched for, and what an exact scan finds of each but itself.

    `rows` int64 [Q]; `nearest` has up to ten each.
    """

    rows: I64
    nearest: Nearest

    @property
    def top_scores(self) -> F32:
        """Score of the nearest other item of each, float32 [Q]."""
        if not self.nearest.scores.shape[1]:
            return np.empty(0, dtype=np.float32)
        return self.nearest.scores[:, 0]


def search_for(
    gallery: Gallery, usable: I64, job: AnalysisJob, report: Callable[[Progress], None]
) -> Searched:
    """Draw items among the rows `usable` and compare each with all others."""
    most = int(job.options["max_queries"])
    rows = usable
    if len(rows) > most:
        drawn = np.random.default_rng(int(job.options["seed"])).choice(rows, most, replace=False)
        rows = np.sort(drawn)
    exact = Exact(gallery)
    parts = []
    for start in range(0, len(rows), _PER_REPORT):
        some = rows[start : start + _PER_REPORT]
        found = exact.nearest(np.asarray(gallery.vectors[some]), _DEPTH + 1)
        parts.append(_without(found, some))
        report(Progress("comparing with all", start + len(some), len(rows)))
    if not parts:
        none = np.empty((0, 0), dtype=np.int64)
        return Searched(rows, Nearest(none, none.astype(np.float32)))
    nearest = Nearest(
        np.concatenate([each.rows for each in parts]),
        np.concatenate([each.scores for each in parts]),
    )
    return Searched(rows, nearest)


def check_retrieval(
    gallery: Gallery, searched: Searched, job: AnalysisJob, report: Callable[[Progress], None]
) -> Iterator[Finding]:
    """Yield whether items find themselves, and what graphs and the compact form lose."""
    graphs = Graphs(gallery, open_segments(job))
    vectors = np.ascontiguousarray(gallery.vectors[searched.rows])
    expansion = int(job.options["expansion"])
    report(Progress("walking the graphs", 0, len(vectors)))
    found = graphs.nearest(vectors, _CANDIDATES, expansion)
    yield _find_themselves(gallery, searched, found)
    if not graphs.covered or not searched.nearest.rows.size:
        yield Finding("recall", Verdict.OK, "no graph yet: every item is compared exactly", 1.0)
        yield Finding("compact_form", Verdict.OK, "no graph yet: nothing is in a compact form")
        return
    recalls = _recalls(searched, _without(found, searched.rows))
    yield _recall(recalls, job)
    compact = graphs.in_compact_order(vectors, _CANDIDATES, expansion)
    yield _compact(gallery, searched, compact, float(recalls.mean()))
    report(Progress("walking the graphs", len(vectors), len(vectors)))


def _find_themselves(gallery: Gallery, searched: Searched, found: Nearest) -> Finding:
    lost = searched.rows[:0]
    if len(searched.rows):
        own = np.einsum("qd,qd->q", *(2 * [np.asarray(gallery.vectors[searched.rows])]))
        # Of several equal vectors any will do.
        there = (found.rows == searched.rows[:, None]).any(axis=1)
        lost = searched.rows[~there & (found.scores[:, 0] < own - _TIE)]
    share = len(lost) / max(len(searched.rows), 1)
    return judged(
        "find_themselves",
        Verdict.FAIL if len(lost) else Verdict.OK,
        f"{len(lost):,} of {len(searched.rows):,} items are not found by their own vector",
        share,
        advice="raise the search expansion, or take a preset of more links; duplicates of "
        "these would be missed",
        example_ids=[gallery.ids[row] for row in lost.tolist()[:5]],
    )


def _recall(recalls: F64, job: AnalysisJob) -> Finding:
    target = float(job.options["recall_target"])
    mean = float(recalls.mean())
    low, high = mean_interval(recalls, int(job.options["seed"]))
    verdict = Verdict.OK
    if mean < target:
        verdict = Verdict.FAIL if high < target else Verdict.WARN
    return judged(
        "recall",
        verdict,
        f"searches find {mean:.4f} of the ten best ({CONFIDENCE:.0%} interval {low:.4f} to "
        f"{high:.4f}; wanted {target:g}), at search expansion {job.options['expansion']}",
        mean,
        advice="raise the search expansion (`lookalike collections update --expansion-search`), or "
        "take the preset accurate; `lookalike recall` shows what each expansion reaches",
    )


def _compact(gallery: Gallery, searched: Searched, rows: I64, ranked: float) -> Finding:
    own = rows == searched.rows[:, None]
    order = np.argsort(own | (rows < 0), axis=1, kind="stable")[:, :_DEPTH]
    kept = np.take_along_axis(np.where(own, -1, rows), order, 1)
    vectors = gallery.vectors[searched.rows]
    scores = np.einsum("qd,qkd->qk", vectors, gallery.vectors[kept])
    scores[kept < 0] = -np.inf
    alone = float(_recalls(searched, Nearest(kept, scores)).mean())
    return judged(
        "compact_form",
        Verdict.WARN if alone < _ROUGH else Verdict.OK,
        f"the order of the compact form has {alone:.4f} of the ten best; ranked again by "
        f"exact scores, as every search does, it is {ranked:.4f}",
        alone,
        advice="the compact form is too rough for these vectors: create the collection with a "
        "greater graph dimension, or another type than i8",
    )


def _recalls(searched: Searched, found: Nearest) -> F64:
    """Return the share of each query's ten best that was found; ties count as found."""
    exact = searched.nearest.scores
    least = exact[:, -1:] - _TIE
    good = (found.scores[:, : exact.shape[1]] >= least).sum(axis=1)
    recalls: F64 = np.minimum(1.0, good / exact.shape[1])
    return recalls


def _without(found: Nearest, rows: I64) -> Nearest:
    """Leave each query's own row out, and keep the ten best."""
    own = found.rows == rows[:, None]
    order = np.argsort(own | (found.rows < 0), axis=1, kind="stable")
    width = max(0, min(_DEPTH, found.rows.shape[1] - 1))
    kept = np.take_along_axis(np.where(own, -1, found.rows), order, 1)[:, :width]
    scores = np.take_along_axis(np.where(own, -np.inf, found.scores), order, 1)[:, :width]
    return Nearest(kept, scores.astype(np.float32))
