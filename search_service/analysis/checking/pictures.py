"""Pictures that show next to nothing, or are not whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from search_service.analysis.checking.finding import Finding, Verdict, judged
from search_service.analysis.facts import picture_marks
from search_service.analysis.gallery import Gallery
from search_service.domain.arrays import I64

# Blank pictures that are compared with one another.
_MOST_COMPARED = 2_000
# Where no threshold is set: two flat pictures of one tone are at .99 and above.
_ALIKE = 0.95


def check_pictures(gallery: Gallery, job_options: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what the facts of the images show; items without an image have none."""
    marks = picture_marks(gallery.facts)
    known = int(marks.known.sum())
    if not known:
        yield Finding("blank_pictures", Verdict.OK, "no item was made from an image")
        yield Finding("truncated_pictures", Verdict.OK, "no item was made from an image")
        return
    blank, cut = np.flatnonzero(marks.blank), np.flatnonzero(marks.truncated)
    matching = _matching(gallery, blank, job_options)
    verdict = Verdict.FAIL if matching > 1 else Verdict.WARN
    yield judged(
        "blank_pictures",
        verdict if len(blank) else Verdict.OK,
        f"{len(blank):,} of {known:,} pictures are blank or flat; {matching:,} of them match "
        "another such picture",
        float(len(blank)),
        advice="they match one another, whatever they were meant to show: look at them and "
        "delete them (`lookalike delete`)",
        example_ids=[gallery.ids[row] for row in blank.tolist()[:5]],
    )
    yield judged(
        "truncated_pictures",
        Verdict.WARN if len(cut) else Verdict.OK,
        f"{len(cut):,} of {known:,} files lack their end",
        float(len(cut)),
        advice="fetch these files again and index them again",
        example_ids=[gallery.ids[row] for row in cut.tolist()[:5]],
    )


def _matching(gallery: Gallery, blank: I64, job_options: Mapping[str, Any]) -> int:
    """Return how many of some blank pictures match another of them."""
    some = blank[:_MOST_COMPARED]
    if len(some) < 2:
        return 0
    threshold = float(job_options["threshold"]) if job_options["policy"] != "off" else _ALIKE
    vectors = np.asarray(gallery.vectors[some])
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -np.inf)
    return int((scores.max(axis=1) >= threshold).sum())
