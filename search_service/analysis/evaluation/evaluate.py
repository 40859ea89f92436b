"""Evaluation: labelled items as queries, the other items as what they should find.

Options: `label_path` (keys), `ks` (ascending), `most_queries`, `seed`, `expansion`;
`queries` is None, or the ordinals that may be queries.
Each query is left out of its own ranking. Three ways to rank are compared: exactly, by
the graph alone, by the graph with exact scores afterwards, as searches do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from search_service.analysis.evaluation import ranking_metrics as metrics
from search_service.analysis.evaluation.intervals import CONFIDENCE, mean_interval
from search_service.analysis.gallery import Gallery, read_gallery
from search_service.analysis.jobs import AnalysisJob, Progress, Refused
from search_service.analysis.neighbours import Exact, Graphs, open_segments
from search_service.domain.arrays import F32, F64, I64, Flags

# The histograms: scores from -1 to 1 in steps of .01.
BINS = 200
# Rankings that a graph gives are as deep as the greatest k, or this.
_LEAST_DEPTH = 100
# Candidates that a graph is asked for, of each that is wanted.
_OVERFETCH = 2


@dataclass(frozen=True, slots=True)
class Labelled:
    """Items with a label: `rows` int64 [m] of the gallery, `labels` int64 [m] into `names`."""

    rows: I64
    labels: I64
    names: Sequence[str]


def evaluate(job: AnalysisJob, report: Callable[[Progress], None]) -> Iterator[Mapping[str, Any]]:
    """Yield the one part of the answer; its keys are those of `EvaluationReport`.

    Raises:
        Refused: too few items are labelled, or none has another of its label.
    """
    options = job.options
    gallery = read_gallery(job, report)
    labelled = find_labels(gallery, options["label_path"])
    labels = np.full(len(gallery), -1, dtype=np.int64)
    labels[labelled.rows] = labelled.labels
    queries = _queries(gallery, labelled, options)
    ks = [int(k) for k in options["ks"]]
    exact = _exact(gallery, labels, queries, ks, report)
    arms = {"exact": exact.values}
    graphs = Graphs(gallery, open_segments(job))
    if graphs.covered:
        depth = max(_LEAST_DEPTH, *ks)
        arms |= _graph_arms(gallery, graphs, labels, queries, ks, depth, options, exact, report)
    seed = int(options["seed"])
    yield {
        "items": len(gallery),
        "labelled": len(labelled.rows),
        "labels": len(labelled.names),
        "queries": len(queries),
        "alone": exact.alone,
        "confidence": CONFIDENCE,
        "in_graphs": graphs.covered,
        "metrics": [
            _metric(arm, name, values, exact.attainable.get(name), seed)
            for arm, named in arms.items()
            for name, values in named.items()
        ],
        "classes": _classes(labelled, labels[queries], exact, ks),
        "relevant_scores": exact.relevant_scores.tolist(),
        "other_scores": exact.other_scores.tolist(),
    }


def find_labels(gallery: Gallery, path: Sequence[str]) -> Labelled:
    """Find the items that have a text, number or truth value under `path`.

    Raises:
        Refused: none has, or all have the same one.
    """
    values = gallery.values(tuple(path))
    named = [(row, str(value)) for row, value in enumerate(values) if _is_label(value)]
    field = ".".join(path)
    if not named:
        raise Refused("label_field", f'no item has a label in the field "{field}"')
    names, labels = np.unique([name for _, name in named], return_inverse=True)
    if len(names) == 1:
        raise Refused(
            "label_field",
            f'every item has the label "{names[0]}" in the field "{field}": nothing to tell apart',
        )
    rows = np.array([row for row, _ in named], dtype=np.int64)
    return Labelled(rows, labels.astype(np.int64), names.tolist())


def _is_label(value: object) -> bool:
    return isinstance(value, str | int | float) and value != ""


def _queries(gallery: Gallery, labelled: Labelled, options: Mapping[str, Any]) -> I64:
    """Draw the queries among labelled items with another of their label."""
    counts = np.bincount(labelled.labels)
    able = labelled.rows[counts[labelled.labels] > 1]
    if options["queries"] is not None:
        wanted = np.asarray(options["queries"], dtype=np.int64)
        able = able[np.isin(gallery.ordinals[able], wanted)]
    if not len(able):
        raise Refused(
            "label_field", "no item that may be a query shares its label with another item"
        )
    most = int(options["most_queries"])
    if len(able) <= most:
        return able
    drawn = np.random.default_rng(int(options["seed"])).choice(able, most, replace=False)
    return np.sort(drawn)


@dataclass(frozen=True, slots=True)
class _ExactArm:
    values: dict[str, F64]
    attainable: dict[str, float]
    nearest: I64  # [Q, depth] rows, best first
    relevant: I64
    alone: int
    relevant_scores: I64
    other_scores: I64


def _exact(
    gallery: Gallery,
    labels: I64,
    queries: I64,
    ks: Sequence[int],
    report: Callable[[Progress], None],
) -> _ExactArm:
    counts = np.bincount(labels[labels >= 0])
    relevant = counts[labels[queries]] - 1
    depth = min(max(_LEAST_DEPTH, *ks), len(gallery) - 1)
    nearest = np.empty((len(queries), depth), dtype=np.int64)
    histograms = np.zeros((2, BINS), dtype=np.int64)
    gathered: dict[str, list[F64]] = {}
    for part, scores in Exact(gallery).scores(gallery.vectors[queries]):
        some = queries[part]
        own = labels[some][:, None] == labels[None, :]
        own[np.arange(len(some)), some] = False
        _count_scores(histograms, scores, own, some)
        scores[np.arange(len(some)), some] = -np.inf
        order = np.argsort(-scores, axis=1, kind="stable")[:, :-1]
        nearest[part] = order[:, :depth]
        hits = np.take_along_axis(own, order, 1)
        for name, values in _measures(hits, relevant[part], ks, whole=True).items():
            gathered.setdefault(name, []).append(values)
        report(Progress("ranking exactly", part.stop, len(queries)))
    attainable = {f"precision@{k}": float(metrics.most_precision(relevant, k).mean()) for k in ks}
    attainable |= {f"recall@{k}": float(metrics.most_recall(relevant, k).mean()) for k in ks}
    return _ExactArm(
        values={name: np.concatenate(values) for name, values in gathered.items()},
        attainable=attainable,
        nearest=nearest,
        relevant=relevant,
        alone=int((counts == 1).sum()),
        relevant_scores=histograms[0],
        other_scores=histograms[1],
    )


def _count_scores(histograms: I64, scores: F32, own: Flags, queries: I64) -> None:
    bins = np.clip(((scores + 1.0) * (BINS / 2)).astype(np.int64), 0, BINS - 1)
    others = ~own
    others[np.arange(len(queries)), queries] = False
    histograms[0] += np.bincount(bins[own], minlength=BINS)
    histograms[1] += np.bincount(bins[others], minlength=BINS)


def _measures(hits: Flags, relevant: I64, ks: Sequence[int], *, whole: bool) -> dict[str, F64]:
    """Return each measure's values; those that need a `whole` ranking only for one."""
    values = {f"precision@{k}": metrics.precision(hits, k) for k in ks}
    values |= {f"recall@{k}": metrics.recall(hits, relevant, k) for k in ks}
    values |= {f"ndcg@{k}": metrics.ndcg(hits, relevant, k) for k in ks}
    values["mrr"] = metrics.reciprocal_rank(hits)
    if whole:
        values["map"] = metrics.average_precision(hits, relevant)
        values["r_precision"] = metrics.r_precision(hits, relevant)
    return values


def _graph_arms(
    gallery: Gallery,
    graphs: Graphs,
    labels: I64,
    queries: I64,
    ks: Sequence[int],
    depth: int,
    options: Mapping[str, Any],
    exact: _ExactArm,
    report: Callable[[Progress], None],
) -> dict[str, dict[str, F64]]:
    vectors = np.ascontiguousarray(gallery.vectors[queries])
    expansion = int(options["expansion"])
    wanted = depth + 1
    report(Progress("walking the graphs", 0, len(queries)))
    compact = graphs.in_compact_order(vectors, wanted * _OVERFETCH, expansion)
    ranked = graphs.nearest(vectors, wanted * _OVERFETCH, expansion).rows
    report(Progress("walking the graphs", len(queries), len(queries)))
    return {
        "graph": _judged(_without(compact, queries, depth), labels, queries, ks, exact),
        "graph_exact": _judged(_without(ranked, queries, depth), labels, queries, ks, exact),
    }


def _without(rows: I64, queries: I64, depth: int) -> I64:
    """Return the first `depth` of each ranking but the query itself, padded with -1."""
    own = rows == queries[:, None]
    order = np.argsort(own | (rows < 0), axis=1, kind="stable")[:, :depth]
    kept = np.take_along_axis(np.where(own, -1, rows), order, 1)
    return np.pad(kept, ((0, 0), (0, depth - kept.shape[1])), constant_values=-1)


def _judged(
    rows: I64, labels: I64, queries: I64, ks: Sequence[int], exact: _ExactArm
) -> dict[str, F64]:
    hits = (labels[rows] == labels[queries][:, None]) & (rows >= 0)
    values = _measures(hits, exact.relevant, ks, whole=False)
    for k in ks:
        best = exact.nearest[:, :k]
        agreed = (rows[:, :k, None] == best[:, None, :]).any(axis=2).sum(axis=1)
        values[f"recall_of_exact@{k}"] = agreed / best.shape[1]
    return values


def _metric(
    arm: str, name: str, values: F64, attainable: float | None, seed: int
) -> dict[str, Any]:
    low, high = mean_interval(values, seed)
    measured = {"arm": arm, "name": name, "value": float(values.mean()), "low": low, "high": high}
    return measured if attainable is None else {**measured, "attainable": attainable}


def _classes(
    labelled: Labelled, labels: I64, exact: _ExactArm, ks: Sequence[int]
) -> list[dict[str, Any]]:
    """Return what exact ranking reaches for each label that has queries, by label."""
    first, last = ks[0], ks[-1]
    items = np.bincount(labelled.labels)
    queries = np.bincount(labels, minlength=len(items))

    def mean(name: str) -> F64:
        sums = np.bincount(labels, weights=exact.values[name], minlength=len(items))
        return sums / np.maximum(queries, 1)

    at_first, at_last = mean(f"precision@{first}"), mean(f"precision@{last}")
    found, mean_ap = mean(f"recall@{last}"), mean("map")
    return [
        {
            "label": labelled.names[label],
            "items": int(items[label]),
            "queries": int(queries[label]),
            "precision_first": float(at_first[label]),
            "precision_last": float(at_last[label]),
            "recall_last": float(found[label]),
            "map": float(mean_ap[label]),
        }
        for label in np.flatnonzero(queries).tolist()
    ]
