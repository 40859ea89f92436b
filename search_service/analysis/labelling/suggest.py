"""Suggests labels for items that have none, and names labels that neighbours contradict.

Options: `label_path` (keys), `neighbours`, `expansion`, `errors` (name labels that may be
wrong in place of suggesting missing ones), `most`, the greatest number of items named.

The confidence is measured: each labelled item is voted on by its labelled neighbours,
itself left out, and how often such votes are right says how far to trust the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from search_service.analysis.evaluation.evaluate import find_labels
from search_service.analysis.gallery import Gallery, read_gallery
from search_service.analysis.jobs import AnalysisJob, Progress
from search_service.analysis.labelling.votes import Confidence, Votes, count_votes, joined
from search_service.analysis.neighbours import Exact
from search_service.domain.arrays import F32, F64, I64

_PER_PART = 1_000
_QUERIES_PER_BLOCK = 1_024


def suggest_labels(
    job: AnalysisJob, report: Callable[[Progress], None]
) -> Iterator[Mapping[str, Any]]:
    """Yield a summary, then parts of suggestions; keys are those of the contract.

    Raises:
        Refused: too few items are labelled, or all alike.
    """
    options = job.options
    gallery = read_gallery(job, report)
    labelled = find_labels(gallery, options["label_path"])
    known = np.full(len(gallery), -1, dtype=np.int64)
    known[labelled.rows] = labelled.labels
    voters = _Voters(gallery, labelled.rows, labelled.labels, len(labelled.names))
    votes = voters.votes(labelled.rows, options["neighbours"], report, "voting on known labels")
    right = (votes.label == labelled.labels).astype(np.float64)
    confidence = Confidence(votes.share, right)
    if options["errors"]:
        rows, order = labelled.rows, _doubtful(votes, labelled.labels, confidence)
    else:
        rows = np.flatnonzero(known < 0)
        votes = voters.votes(rows, options["neighbours"], report, "voting on unknown labels")
        # The least certain first: those are worth a person's look.
        order = np.lexsort((rows, confidence.of(votes.share)))
    order = order[: options["most"]]
    yield {
        "items": len(gallery),
        "labelled": len(labelled.rows),
        "labels": len(labelled.names),
        "accuracy": float(right.mean()),
        "named": len(order),
    }
    sure = confidence.of(votes.share)

    def named(place: int) -> dict[str, Any]:
        return _suggestion(gallery, int(rows[place]), known, votes, sure, place, labelled.names)

    for start in range(0, len(order), _PER_PART):
        yield {"suggestions": [named(int(place)) for place in order[start : start + _PER_PART]]}


class _Voters:
    """Labelled items, asked about others."""

    def __init__(self, gallery: Gallery, rows: I64, labels: I64, kinds: int) -> None:
        self._gallery = gallery
        self._rows = rows
        self._labels = labels
        self._kinds = kinds
        self._exact = Exact(
            Gallery(
                [gallery.ids[row] for row in rows.tolist()],
                gallery.ordinals[rows],
                np.ascontiguousarray(gallery.vectors[rows]),
                [],
                [],
                gallery.versions[rows],
            )
        )

    def votes(self, rows: I64, count: int, report: Callable[[Progress], None], stage: str) -> Votes:
        """Have the nearest labelled items vote on each of `rows`, never on themselves."""
        blocks = [count_votes(np.empty((0, 1), np.int64), np.empty((0, 1), np.float32), 2)]
        for start in range(0, len(rows), _QUERIES_PER_BLOCK):
            some = rows[start : start + _QUERIES_PER_BLOCK]
            blocks.append(count_votes(*self._nearest(some, count), self._kinds))
            report(Progress(stage, start + len(some), len(rows)))
        return joined(blocks)

    def _nearest(self, rows: I64, count: int) -> tuple[I64, F32]:
        found = self._exact.nearest(np.ascontiguousarray(self._gallery.vectors[rows]), count + 1)
        own = self._rows[found.rows] == rows[:, None]
        # Oneself goes to the end, and is cut off with what is one too many.
        order = np.argsort(own, axis=1, kind="stable")[:, :count]
        places = np.take_along_axis(found.rows, order, 1)
        scores = np.take_along_axis(found.scores, order, 1)
        labels = np.where(np.take_along_axis(own, order, 1), -1, self._labels[places])
        missing = ((0, 0), (0, count - labels.shape[1]))
        return (
            np.pad(labels, missing, constant_values=-1),
            np.pad(scores, missing, constant_values=0.0),
        )


def _doubtful(votes: Votes, labels: I64, confidence: Confidence) -> I64:
    """Return the places of labels that are outvoted, the most confidently first."""
    wrong = np.flatnonzero(votes.label != labels)
    sure: F64 = confidence.of(votes.share[wrong])
    return wrong[np.lexsort((wrong, -sure))]


def _suggestion(
    gallery: Gallery,
    row: int,
    known: I64,
    votes: Votes,
    sure: F64,
    place: int,
    names: Sequence[str],
) -> dict[str, Any]:
    second = int(votes.second[place])
    return {
        "id": gallery.ids[row],
        "label": names[int(votes.label[place])],
        "confidence": float(sure[place]),
        "share": float(votes.share[place]),
        "second": names[second] if second >= 0 else "",
        "present": names[int(known[row])] if known[row] >= 0 else "",
    }
