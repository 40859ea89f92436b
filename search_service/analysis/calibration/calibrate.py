"""Calibration: a threshold for "alike" from what is known to be alike.

Options: `source`, one of `pairs`, `labels`, `copies`; `measure` and `value`, the
constraint; `mode`, `point` or `bound`; `confidence`. And by source:

- `pairs`: `pairs`, a list of (id, other id, alike). A unit is the first id's image.
- `labels`: `label_path`, `most_queries`, `seed`. A labelled item is a unit; its pairs are
  those with all other labelled items, alike where the label is the same.
- `copies`: `sources`, ids; the vectors of copies of their images are in the file `copies`,
  float32 [n, D]. A source with its copies is a unit; a copy's pair with its source is
  alike, those with all others are not, except with items of the same file as its source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from search_service.analysis.calibration.choice import (
    Constraint,
    NoThreshold,
    bounds_at,
    choose_bound,
    choose_point,
)
from search_service.analysis.calibration.evidence import GRID, Evidence, Gathering, of_pairs
from search_service.analysis.evaluation.evaluate import find_labels
from search_service.analysis.facts import file_numbers
from search_service.analysis.gallery import Gallery, read_gallery
from search_service.analysis.jobs import AnalysisJob, Progress, Refused
from search_service.analysis.neighbours import Exact
from search_service.domain.arrays import F32, F64, I64
from search_service.domain.collection import CalibrationMode, ConstrainedMeasure

COPIES = "copies"
# Points of the curves in the answer.
_CURVE_POINTS = 200
_BINS = 200


def calibrate(job: AnalysisJob, report: Callable[[Progress], None]) -> Iterator[Mapping[str, Any]]:
    """Yield the one part of the answer; its keys are those of `CalibrationReport`.

    Raises:
        Refused: no threshold meets the constraint, or what is named is not there.
    """
    options = job.options
    gallery = read_gallery(job, report)
    evidence = _SOURCES[options["source"]](job, gallery, report)
    if not evidence.pairs_alike or not evidence.pairs_other:
        lacking = "alike" if not evidence.pairs_alike else "not alike"
        raise Refused(options["field"], f"no pair is {lacking}: both kinds are needed")
    constraint = Constraint(ConstrainedMeasure(options["measure"]), options["value"])
    confidence = options["confidence"]
    try:
        if options["mode"] == CalibrationMode.BOUND:
            place = choose_bound(evidence, constraint, confidence)
        else:
            place = choose_point(evidence, constraint)
    except NoThreshold as error:
        raise Refused(options["field"], str(error)) from error
    yield {
        "threshold": float(evidence.thresholds[place]),
        "precision": float(evidence.precision[place]),
        "recall": float(evidence.recall[place]),
        "false_positive_rate": float(evidence.false_positive_rate[place]),
        **bounds_at(evidence, place, confidence),
        "confidence": confidence,
        "pairs_alike": evidence.pairs_alike,
        "pairs_other": evidence.pairs_other,
        "images": evidence.units,
        "gallery_items": len(gallery),
        "curve": _curve(evidence),
        **_histograms(evidence),
    }


def _from_pairs(job: AnalysisJob, gallery: Gallery, report: Callable[[Progress], None]) -> Evidence:
    pairs = job.options["pairs"]
    rows = {id: row for row, id in enumerate(gallery.ids)}
    missing = sorted({id for pair in pairs for id in pair[:2] if id not in rows})
    if missing:
        shown = ", ".join(f'"{id}"' for id in missing[:3])
        raise Refused(
            "pairs",
            f"{len(missing):,} of the ids are not in the collection, such as {shown}: "
            "leave out their pairs",
        )
    first = np.array([rows[pair[0]] for pair in pairs], dtype=np.int64)
    second = np.array([rows[pair[1]] for pair in pairs], dtype=np.int64)
    scores: F64 = np.einsum(
        "nd,nd->n", gallery.vectors[first], gallery.vectors[second], dtype=np.float64
    )
    alike = np.array([pair[2] for pair in pairs], dtype=np.bool_)
    report(Progress("scoring pairs", len(pairs), len(pairs)))
    # The order of fixed-sequence testing is laid down before the labels are looked at.
    thresholds = GRID if job.options["mode"] == CalibrationMode.BOUND else None
    return of_pairs(scores.clip(-1.0, 1.0), alike, first, thresholds)


def _from_labels(
    job: AnalysisJob, gallery: Gallery, report: Callable[[Progress], None]
) -> Evidence:
    options = job.options
    labelled = find_labels(gallery, options["label_path"])
    labels = np.full(len(gallery), -1, dtype=np.int64)
    labels[labelled.rows] = labelled.labels
    queries = labelled.rows
    if len(queries) > options["most_queries"]:
        drawn = np.random.default_rng(options["seed"])
        queries = np.sort(drawn.choice(queries, options["most_queries"], replace=False))
    gathering = Gathering()
    for part, scores in Exact(gallery).scores(gallery.vectors[queries]):
        some = queries[part]
        alike = labels[some][:, None] == labels[None, :]
        other = ~alike & (labels >= 0)[None, :]
        alike[np.arange(len(some)), some] = False
        gathering.add(scores, alike, other, some)
        report(Progress("scoring pairs", part.stop, len(queries)))
    return gathering.evidence()


def _from_copies(
    job: AnalysisJob, gallery: Gallery, report: Callable[[Progress], None]
) -> Evidence:
    ids: list[str] = job.options["sources"]
    copies: F32 = np.fromfile(job.work_path / COPIES, dtype="<f4").reshape(len(ids), -1)
    rows = {id: row for row, id in enumerate(gallery.ids)}
    missing = [id for id in ids if id not in rows]
    if missing:
        raise Refused(
            "copies", f'"{missing[0]}", of which a copy is given, is not in the collection'
        )
    sources = np.array([rows[id] for id in ids], dtype=np.int64)
    files = file_numbers(gallery.facts)
    gathering = Gathering()
    for part, scores in Exact(gallery).scores(copies):
        some = sources[part]
        alike = np.zeros(scores.shape, dtype=np.bool_)
        alike[np.arange(len(some)), some] = True
        same = (files[some][:, None] == files[None, :]) & (files >= 0)[None, :]
        gathering.add(scores, alike, ~alike & ~same, some)
        report(Progress("scoring copies", part.stop, len(copies)))
    return gathering.evidence()


_SOURCES: Mapping[str, Callable[[AnalysisJob, Gallery, Callable[[Progress], None]], Evidence]] = {
    "pairs": _from_pairs,
    "labels": _from_labels,
    "copies": _from_copies,
}


def _curve(evidence: Evidence) -> list[dict[str, float]]:
    """Return points of the curves where something changes, about evenly spaced."""
    changes = np.flatnonzero(
        np.diff(evidence.true_matches, prepend=-1) | np.diff(evidence.false_matches, prepend=-1)
    )
    if len(changes) > _CURVE_POINTS:
        changes = changes[np.linspace(0, len(changes) - 1, _CURVE_POINTS).astype(np.int64)]
    return [
        {
            "threshold": float(evidence.thresholds[place]),
            "precision": float(evidence.precision[place]),
            "recall": float(evidence.recall[place]),
            "false_positive_rate": float(evidence.false_positive_rate[place]),
        }
        for place in changes.tolist()
    ]


def _histograms(evidence: Evidence) -> dict[str, list[int]]:
    """Return how many pairs of each kind have which score: 200 bins from -1 to 1."""
    edges = np.linspace(-1.0, 1.0, _BINS + 1)

    def counted(matches: I64, pairs: int) -> list[int]:
        # Pairs at or above each edge; thresholds descend.
        places = np.searchsorted(-evidence.thresholds, -edges[:-1] + 1e-9, side="right") - 1
        reach = np.where(places >= 0, matches[np.maximum(places, 0)], 0)
        reach[0] = pairs
        counts: list[int] = (reach - np.append(reach[1:], 0)).tolist()
        return counts

    return {
        "alike_scores": counted(evidence.true_matches, evidence.pairs_alike),
        "other_scores": counted(evidence.false_matches, evidence.pairs_other),
    }
