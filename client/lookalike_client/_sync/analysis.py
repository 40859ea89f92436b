# Made by client/unasync.py from _async/analysis.py: change that file, then `make unasync`.
"""Questions about whole collections."""

from __future__ import annotations

from collections.abc import Sequence

from lookalike.v1 import (
    check_pb2,
    drift_pb2,
    duplicates_pb2,
    evaluation_pb2,
    filter_pb2,
    labelling_pb2,
)
from lookalike_client import calls, convert, requests
from lookalike_client._sync.answers import LONG_TIMEOUT_S, OnProgress, answers
from lookalike_client._sync.grouping import Grouping
from lookalike_client.requests import Evidence, FilterLike
from lookalike_client.types import (
    CalibrationMode,
    CalibrationReport,
    CheckReport,
    Drift,
    DuplicateDecision,
    DuplicateKind,
    DuplicatesReport,
    EvaluationReport,
    LabelSuggestions,
)


class Analysis(Grouping):
    """Evaluates, calibrates, labels, groups and checks items; finds duplicates; watches drift."""

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
            (answer,) = answers(stream, on_progress)
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
            (answer,) = answers(stream, on_progress)
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
            return convert.label_suggestions(answers(stream, on_progress))

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
            (answer,) = answers(stream, on_progress)
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

    def find_duplicates(
        self,
        collection: str,
        *,
        filter: FilterLike = None,
        threshold: float | None = None,
        kinds: Sequence[DuplicateKind] = (),
        since_version: int = 0,
        capture_time_field: str = "",
        burst_seconds: float = 0.0,
        turned: bool = False,
        on_progress: OnProgress | None = None,
        timeout_s: float = LONG_TIMEOUT_S,
    ) -> DuplicatesReport:
        """Find the items that show the same picture.

        `threshold` is the least cosine of near items, by default that of the calibration
        that the collection keeps. `kinds` make a group, by default all but `SIMILAR`.
        `since_version` leaves out groups without a newer item. With `capture_time_field`,
        near pictures within `burst_seconds` (0 for 3) are listed as bursts. With `turned`,
        turned and mirrored copies are found too, at a cost that grows with the square of
        the number of items.

        Raises:
            InvalidField: no threshold is given, and none is kept.
            Precondition: the one that is kept is of another model.
        """
        request = requests.find_duplicates(
            collection,
            filter=filter,
            threshold=threshold,
            kinds=kinds,
            since_version=since_version,
            capture_time_field=capture_time_field,
            burst_seconds=burst_seconds,
            turned=turned,
        )
        with calls.translated(self._explain):
            stream = self._stub.FindDuplicates(request, timeout=timeout_s)
            return convert.duplicates_report(answers(stream, on_progress))

    def decide_duplicates(
        self,
        collection: str,
        decisions: Sequence[DuplicateDecision],
        *,
        timeout_s: float = calls.DEFAULT_TIMEOUT_S,
    ) -> None:
        """Note what people decided about duplicates; later searches keep to it.

        Raises:
            InvalidField: a decision is on an item where it should be on a pair, or otherwise.
        """
        for request in requests.decisions(collection, decisions):
            with calls.translated(self._explain):
                self._stub.DecideDuplicates(request, timeout=timeout_s)

    def duplicate_decisions(
        self, collection: str, *, timeout_s: float = calls.DEFAULT_TIMEOUT_S
    ) -> list[DuplicateDecision]:
        """Return all decisions about duplicates, by their ids."""
        found: list[DuplicateDecision] = []
        request = duplicates_pb2.ListDuplicateDecisionsRequest(
            collection=collection, page_size=1_000
        )
        while True:
            with calls.translated(self._explain):
                page = self._stub.ListDuplicateDecisions(request, timeout=timeout_s)
            found += map(convert.duplicate_decision, page.decisions)
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token
