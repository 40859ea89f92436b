"""Evaluations of collections."""

from __future__ import annotations

from lookalike.v1 import evaluation_pb2, progress_pb2
from lookalike_client import types

_METHODS = {
    evaluation_pb2.RANKING_METHOD_EXACT: types.RankingMethod.EXACT,
    evaluation_pb2.RANKING_METHOD_GRAPH: types.RankingMethod.GRAPH,
    evaluation_pb2.RANKING_METHOD_GRAPH_EXACT: types.RankingMethod.GRAPH_EXACT,
}


def analysis_progress(message: progress_pb2.AnalysisProgress) -> types.AnalysisProgress:
    """Return how far an analysis is."""
    return types.AnalysisProgress(message.stage, message.done, message.total)


def evaluation_report(message: evaluation_pb2.EvaluationReport) -> types.EvaluationReport:
    """Return a report."""
    return types.EvaluationReport(
        items=message.items,
        labelled=message.labelled,
        labels=message.labels,
        queries=message.queries,
        alone=message.alone,
        confidence=message.confidence,
        in_graphs=message.in_graphs,
        metrics=[
            types.EvaluationMetric(
                method=_METHODS[each.method],
                name=each.name,
                value=each.value,
                low=each.low,
                high=each.high,
                attainable=each.attainable if each.HasField("attainable") else None,
            )
            for each in message.metrics
        ],
        classes=[
            types.EvaluationClass(
                label=each.label,
                items=each.items,
                queries=each.queries,
                precision_first=each.precision_first,
                precision_last=each.precision_last,
                recall_last=each.recall_last,
                map=each.map,
            )
            for each in message.classes
        ],
        relevant_scores=list(message.relevant_scores),
        other_scores=list(message.other_scores),
    )
