"""Whether the near-duplicate threshold rests on something, and suits the scores there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from search_service.analysis.checking.finding import Finding, Verdict, judged
from search_service.analysis.checking.retrieval import Searched
from search_service.analysis.gallery import Gallery
from search_service.domain.collection import DuplicatePolicy

# A decision is of a gallery of some size: among ten times as many, ten times as many are
# alike by chance (calibration.proto).
_OUTGROWN = 10
# Where so many items have a "near-duplicate", most of those are no duplicates: on product
# photographs 38 % have a neighbour at .90 that is none.
_MANY, _MOST = 0.2, 0.5
# Cosines of equal float32 vectors are 1 but for rounding of about 1e-7 a component.
_GREATEST = 0.9999
_CALIBRATE = "calibrate it: `lookalike calibrate`"


def check_threshold(job_options: Mapping[str, Any], gallery: Gallery) -> Finding:
    """Say whether the threshold in force was validated, for this model and this size."""
    name = "threshold_validated"
    threshold, decision = job_options["threshold"], job_options["calibration"]
    off = job_options["policy"] == DuplicatePolicy.OFF
    if off and decision is None:
        return Finding(name, Verdict.OK, "no duplicate policy is set, so no threshold counts")
    if decision is None:
        return Finding(
            name,
            Verdict.WARN,
            f"the threshold {threshold:.4g} was never validated on this collection",
            threshold,
            f"which cosine means the same picture depends on model and pictures; {_CALIBRATE}",
        )
    kept = float(decision["threshold"])
    if decision["model_fingerprint"] != job_options["fingerprint"]:
        return Finding(
            name,
            Verdict.FAIL,
            f"the kept threshold {kept:.4g} is of another model",
            kept,
            f"scores of one model say nothing about another's; {_CALIBRATE}",
        )
    then = int(decision["gallery_items"])
    if len(gallery) >= _OUTGROWN * max(then, 1):
        return Finding(
            name,
            Verdict.WARN,
            f"the threshold {kept:.4g} was calibrated among {then:,} items; there are now "
            f"{len(gallery):,}",
            kept,
            f"among more items more are alike by chance; {_CALIBRATE} again",
        )
    if not off and abs(kept - threshold) > 1e-6:
        return Finding(
            name,
            Verdict.WARN,
            f"the threshold in force is {threshold:.4g}, the calibrated one {kept:.4g}",
            threshold,
            "take the calibrated one: `lookalike collections update --duplicates POLICY` "
            "without a threshold",
        )
    return Finding(name, Verdict.OK, f"the threshold {kept:.4g} was calibrated", kept)


def check_threshold_scores(job_options: Mapping[str, Any], searched: Searched) -> Finding:
    """Say whether the threshold in force lies where scores of neighbours are."""
    name = "threshold_scores"
    if job_options["policy"] == DuplicatePolicy.OFF:
        return Finding(name, Verdict.OK, "no duplicate policy is set, so no threshold counts")
    top = searched.top_scores
    if not len(top):
        return Finding(name, Verdict.OK, "too few items to tell")
    threshold = float(job_options["threshold"])
    share = float((top >= threshold).mean())
    verdict, advice = Verdict.OK, ""
    if threshold > _GREATEST:
        verdict = Verdict.WARN
        advice = f"only vectors that are equal to the last bit match; {_CALIBRATE}"
    elif share > _MANY:
        verdict = Verdict.FAIL if share > _MOST else Verdict.WARN
        advice = f"so many are hardly the same picture; {_CALIBRATE}"
    elif not share and job_options["calibration"] is None and len(top) > 1:
        # Rejected ones are not here to be seen.
        rejects = job_options["policy"] == DuplicatePolicy.REJECT
        verdict = Verdict.OK if rejects else Verdict.WARN
        advice = f"it may be too high for this model to match copies at all; {_CALIBRATE}"
    return judged(
        name,
        verdict,
        f"{share:.1%} of the items have a neighbour at the threshold {threshold:.4g}; half of "
        f"the nearest neighbours are below {float(np.median(top)):.3f}, the nearest is at "
        f"{float(top.max()):.3f}",
        share,
        advice=advice,
    )
