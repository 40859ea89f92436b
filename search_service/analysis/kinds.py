"""Which function answers which kind of analysis."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from search_service.analysis.calibration.calibrate import calibrate
from search_service.analysis.checking.check import check
from search_service.analysis.clustering.cluster import cluster
from search_service.analysis.duplicates.find import find_duplicates
from search_service.analysis.evaluation.evaluate import evaluate
from search_service.analysis.jobs import AnalysisJob, Kind, Progress
from search_service.analysis.labelling.suggest import suggest_labels

# Yields the parts of the answer, and reports on its way; raises `Refused`.
Analysis: TypeAlias = Callable[
    [AnalysisJob, Callable[[Progress], None]], Iterator[Mapping[str, Any]]
]

FUNCTIONS: Mapping[Kind, Analysis] = {
    Kind.CALIBRATE: calibrate,
    Kind.CHECK: check,
    Kind.CLUSTER: cluster,
    Kind.DUPLICATES: find_duplicates,
    Kind.EVALUATE: evaluate,
    Kind.SUGGEST_LABELS: suggest_labels,
}
