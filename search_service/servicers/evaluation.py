"""Evaluation requests to the options of the analysis, and its answer to a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lookalike.v1 import evaluation_pb2 as pb
from lookalike.wire.errors import InvalidField
from search_service import limits
from search_service.domain.collection import CollectionSpec
from search_service.servicers.translate import read_path

_MOST_QUERIES = 100_000
_DEFAULT_QUERIES = 1_000
_MOST_KS = 10
_MOST_K = 1_000
_DEFAULT_KS = (1, 5, 10, 50, 100)
_METHODS = {
    "exact": pb.RANKING_METHOD_EXACT,
    "graph": pb.RANKING_METHOD_GRAPH,
    "graph_exact": pb.RANKING_METHOD_GRAPH_EXACT,
}


def evaluation_options(request: pb.EvaluateRequest, spec: CollectionSpec) -> dict[str, Any]:
    """Return the options of an evaluation but its queries.

    Raises:
        InvalidField: naming the field.
    """
    if request.ks:
        limits.check_count("ks", len(request.ks), _MOST_KS)
    for place, k in enumerate(request.ks):
        limits.check_range(f"ks[{place}]", k, 1, _MOST_K)
    if not request.label_field:
        raise InvalidField("label_field", "name the metadata field that holds the labels")
    return {
        "label_path": list(read_path(request.label_field, "label_field")),
        "ks": sorted(set(request.ks)) or list(_DEFAULT_KS),
        "most_queries": limits.check_range(
            "max_queries", request.max_queries or _DEFAULT_QUERIES, 1, _MOST_QUERIES
        ),
        "seed": request.seed,
        "expansion": spec.index.expansion_search,
    }


def evaluation_report(content: Mapping[str, Any]) -> pb.EvaluationReport:
    """Return the report of what the analysis said."""
    return pb.EvaluationReport(
        items=content["items"],
        labelled=content["labelled"],
        labels=content["labels"],
        queries=content["queries"],
        alone=content["alone"],
        confidence=content["confidence"],
        in_graphs=content["in_graphs"],
        metrics=[
            pb.EvaluationMetric(method=_METHODS[each.pop("arm")], **each)
            for each in content["metrics"]
        ],
        classes=[pb.EvaluationClass(**each) for each in content["classes"]],
        relevant_scores=content["relevant_scores"],
        other_scores=content["other_scores"],
    )
