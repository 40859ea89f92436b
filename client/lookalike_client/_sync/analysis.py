# Made by client/unasync.py from _async/analysis.py: change that file, then `make unasync`.
"""Questions about whole collections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeAlias, TypeVar

import grpc

from lookalike.v1 import (
    analysis_pb2_grpc,
    check_pb2,
    drift_pb2,
    evaluation_pb2,
    filter_pb2,
    labelling_pb2,
    progress_pb2,
)
from lookalike_client import calls, convert, requests
from lookalike_client.requests import Evidence, FilterLike
from lookalike_client.types import (
    AnalysisProgress,
    CalibrationMode,
    CalibrationReport,
    CheckReport,
    Drift,
    EvaluationReport,
    LabelSuggestions,
)

# An analysis of a million items takes minutes, beside the searches longer.
LONG_TIMEOUT_S = 6 * 3_600.0

OnProgress: TypeAlias = Callable[[AnalysisProgress], object]


class Analysis:
    """Evaluates, calibrates, labels and checks collections; watches for drift."""

    def __init__(self, channel: grpc.Channel, explain: calls.Explain) -> None:
        self._explain = explain
        self._stub = analysis_pb2_grpc.AnalysisServiceStub(channel)

    def evaluate(
        self,
        collection: str,
        label_field: str,
        *,
        filter: FilterLike = None,
        queries: FilterLike = None,
        max_queries: int = 1_000,
        ks: Sequence[int] = (1, 5, 10, 50, 100),
        seed: int = 0,
        on_progress: OnProgress | None = None,
        timeout_s: float = LONG_TIMEOUT_S,
    ) -> EvaluationReport:
        """Measure how well a collection retrieves what its labels call alike.

        Each of up to `max_queries` labelled items, drawn from those that meet `queries`,
        is searched for among the other items that meet `filter`; those with its value of
        the metadata field `label_field` are relevant. `ks` are the depths of the rankings.

        Raises:
            InvalidField: the labels or options do not allow an evaluation.
        """
        request = evaluation_pb2.EvaluateRequest(
            collection=collection,
            label_field=label_field,
            filter=requests.condition(filter),
            queries=requests.condition(queries),
            max_queries=max_queries,
            ks=ks,
            seed=seed,
        )
        with calls.translated(self._explain):
            stream = self._stub.Evaluate(request, timeout=timeout_s)
            (answer,) = _answers(stream, on_progress)
            return convert.evaluation_report(answer.report)

    def calibrate(
        self,
        collection: str,
        evidence: Evidence,
        *,
        precision_at_least: float | None = None,
        false_positive_rate_at_most: float | None = None,
        mode: CalibrationMode = CalibrationMode.BOUND,
        confidence: float = 0.95,
        keep: bool = False,
        on_progress: OnProgress | None = None,
        timeout_s: float = LONG_TIMEOUT_S,
    ) -> CalibrationReport:
        """Find the cosine from which on two images count as alike.

        Give one of the constraints: of thresholds for which it holds, the one of highest
        recall is taken. With `keep` the collection keeps the decision, and duplicate
        settings without a threshold take it.

        Raises:
            InvalidField: the evidence does not allow a threshold; the text says what it takes.
            Precondition: a decision of another model was to be taken over.
        """
        request = requests.calibrate(
            collection,
            evidence,
            precision_at_least=precision_at_least,
            false_positive_rate_at_most=false_positive_rate_at_most,
            mode=mode,
            confidence=confidence,
            keep=keep,
        )
        with calls.translated(self._explain):
            stream = self._stub.Calibrate(request, timeout=timeout_s)
            (answer,) = _answers(stream, on_progress)
            return convert.calibration_report(answer.report)

    def suggest_labels(
        self,
        collection: str,
        label_field: str,
        *,
        filter: FilterLike = None,
        neighbours: int = 10,
        errors: bool = False,
        limit: int = 10_000,
        on_progress: OnProgress | None = None,
        timeout_s: float = LONG_TIMEOUT_S,
    ) -> LabelSuggestions:
        """Suggest labels for items without one, the least certain first.

        The nearest `neighbours` that have a label vote. With `errors`, labels that are there
        and that their neighbours contradict are named instead, the most certain first.

        Raises:
            InvalidField: no item has a label, or all have the same one.
        """
        request = labelling_pb2.SuggestLabelsRequest(
            collection=collection,
            label_field=label_field,
            filter=requests.condition(filter),
            neighbours=neighbours,
            errors=errors,
            limit=limit,
        )
        with calls.translated(self._explain):
            stream = self._stub.SuggestLabels(request, timeout=timeout_s)
            return convert.label_suggestions(_answers(stream, on_progress))

    def check(
        self,
        collection: str,
        *,
        filters: Sequence[FilterLike] = (),
        fields: Sequence[str] = (),
        label_field: str = "",
        recall_target: float = 0.95,
        max_queries: int = 500,
        seed: int = 0,
        on_progress: OnProgress | None = None,
        timeout_s: float = LONG_TIMEOUT_S,
    ) -> CheckReport:
        """Look for mistakes that people make with their collections.

        Each of `filters` should be met by an item, each of `fields` be on one. Up to
        `max_queries` items, drawn at random, are searched for: of the ten nearest others
        searches should find a share of `recall_target`.

        Raises:
            InvalidField: an option is none.
            FilterInvalid: a filter cannot be.
        """
        request = check_pb2.CheckRequest(
            collection=collection,
            filters=[requests.condition(each) or filter_pb2.Filter() for each in filters],
            fields=fields,
            label_field=label_field,
            recall_target=recall_target,
            max_queries=max_queries,
            seed=seed,
        )
        with calls.translated(self._explain):
            stream = self._stub.Check(request, timeout=timeout_s)
            (answer,) = _answers(stream, on_progress)
            return convert.check_report(answer.report)

    def drift(self, collection: str, *, timeout_s: float = calls.DEFAULT_TIMEOUT_S) -> Drift:
        """Say whether the queries of a collection are what they were.

        The service watches queries by image or vector all the time.
        """
        request = drift_pb2.GetDriftRequest(collection=collection)
        with calls.translated(self._explain):
            response = self._stub.GetDrift(request, timeout=timeout_s)
        return convert.drift(response.drift)

    def reset_drift(
        self,
        collection: str,
        *,
        keep_reference: bool = False,
        timeout_s: float = calls.DEFAULT_TIMEOUT_S,
    ) -> Drift:
        """End an alarm of drift, and learn a new reference unless it is to be kept.

        Learn a new one after a change that was meant; keep it where what was wrong is
        mended.
        """
        request = drift_pb2.ResetDriftRequest(collection=collection, keep_reference=keep_reference)
        with calls.translated(self._explain):
            response = self._stub.ResetDrift(request, timeout=timeout_s)
        return convert.drift(response.drift)


class _Said(Protocol):
    @property
    def progress(self) -> progress_pb2.AnalysisProgress: ...


S = TypeVar("S", bound=_Said)


def _answers(stream: Iterable[S], on_progress: OnProgress | None) -> list[S]:
    """Read an analysis to its end and return what it said but its progress."""
    answers: list[S] = []
    for said in stream:
        if not said.progress.stage:
            answers.append(said)
        elif on_progress is not None:
            on_progress(convert.analysis_progress(said.progress))
    return answers
