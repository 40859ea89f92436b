"""Check: mistakes that people make with their collections, looked for on their own items.

Options: `filters`, a list of `text`, `paths` (of the fields) and `matches` (items);
`fields`, paths; `label_path`, keys, empty for none; `recall_target`, `max_queries`,
`seed`, `expansion`; `policy`, `threshold` and `calibration` (None, or its fields) of the
collection, and its `fingerprint`; `store_damage` and `build_error`, texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from search_service.analysis.checking.finding import Finding, Verdict, judged
from search_service.analysis.checking.metadata import check_metadata
from search_service.analysis.checking.pictures import check_pictures
from search_service.analysis.checking.retrieval import check_retrieval, search_for
from search_service.analysis.checking.thresholds import check_threshold, check_threshold_scores
from search_service.analysis.checking.vectors import check_vectors
from search_service.analysis.gallery import Gallery, read_gallery
from search_service.analysis.jobs import AnalysisJob, Progress


def check(job: AnalysisJob, report: Callable[[Progress], None]) -> Iterator[Mapping[str, Any]]:
    """Yield the one part of the answer; its keys are those of `CheckReport`."""
    gallery = read_gallery(job, report)
    report(Progress("looking at vectors", 0, len(gallery)))
    findings = [*_collection(gallery, job.options), *check_vectors(gallery, job.options["seed"])]
    whole = _finite(gallery)
    searched = search_for(whole, np.arange(len(whole)), job, report)
    if len(whole):
        findings += check_retrieval(whole, searched, job, report)
    findings.append(check_threshold(job.options, gallery))
    findings.append(check_threshold_scores(job.options, searched))
    findings += check_pictures(whole, job.options)
    report(Progress("looking at metadata", 0, len(gallery)))
    findings += check_metadata(gallery, job.options)
    yield {
        "items": len(gallery),
        "queries": len(searched.rows),
        "findings": [each.to_json() for each in findings],
    }


def _collection(gallery: Gallery, options: Mapping[str, Any]) -> Iterator[Finding]:
    yield judged(
        "items",
        Verdict.OK if len(gallery) else Verdict.WARN,
        f"{len(gallery):,} items",
        float(len(gallery)),
        advice="the collection is empty: index something",
    )
    yield judged(
        "store",
        Verdict.FAIL if options["store_damage"] else Verdict.OK,
        options["store_damage"] or "no damage of the store is known",
        advice="see the page about damage: what is intact is served, nothing more is written",
    )
    yield judged(
        "builds",
        Verdict.FAIL if options["build_error"] else Verdict.OK,
        options["build_error"] or "the last build of a graph did not fail",
        advice="the log of the search service says why; searches compare what is in no graph",
    )


def _finite(gallery: Gallery) -> Gallery:
    """Return the gallery without vectors that no product can be made with: zeros instead."""
    broken = ~np.isfinite(gallery.vectors).all(axis=1)
    if not broken.any():
        return gallery
    vectors = np.array(gallery.vectors)
    vectors[broken] = 0.0
    return replace(gallery, vectors=vectors)
