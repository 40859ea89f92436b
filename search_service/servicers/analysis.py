"""`lookalike.v1.AnalysisService`: translates and delegates."""

# ruff: noqa: N802 - the contract names the methods

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc

from lookalike.v1 import analysis_pb2_grpc
from lookalike.v1 import calibration_pb2 as calibration
from lookalike.v1 import check_pb2 as checks
from lookalike.v1 import clustering_pb2 as clustering
from lookalike.v1 import drift_pb2 as drifts
from lookalike.v1 import duplicates_pb2 as duplicates
from lookalike.v1 import evaluation_pb2 as evaluation
from lookalike.v1 import filter_pb2 as filters
from lookalike.v1 import labelling_pb2 as labelling
from lookalike.v1 import progress_pb2 as progress
from search_service.access.gate import Gate
from search_service.analysis.analyses import Analyses
from search_service.analysis.jobs import Kind, Progress
from search_service.catalog.collection import Collection
from search_service.domain.arrays import I64
from search_service.domain.collection import Calibration, SettingsChange
from search_service.drift.watcher import DriftWatcher
from search_service.offload import Offload
from search_service.servicers.calibration import (
    calibration_options,
    calibration_report,
    decision_message,
    decision_of,
    made_decision,
)
from search_service.servicers.checking import (
    asked_filters,
    check_options,
    check_report,
    filter_option,
)
from search_service.servicers.clustering import clustering_options, clustering_part
from search_service.servicers.drift import drift_message
from search_service.servicers.duplicates import (
    decide,
    duplicates_options,
    duplicates_part,
    list_decisions,
)
from search_service.servicers.evaluation import evaluation_options, evaluation_report
from search_service.servicers.filter_translation import filter_from_proto
from search_service.servicers.labelling import labelling_options, labelling_response
from search_service.store.reviews import Reviews

SERVICE_NAME = "lookalike.v1.AnalysisService"

Context = grpc.aio.ServicerContext[Any, Any]


class AnalysisServicer(analysis_pb2_grpc.AnalysisServiceServicer):
    """The service over the analyses; each runs in a process of its own."""

    def __init__(
        self, gate: Gate, analyses: Analyses, watcher: DriftWatcher, reads: Offload
    ) -> None:
        """`reads` finds the items that meet a filter."""
        self._gate = gate
        self._analyses = analyses
        self._watcher = watcher
        self._reads = reads

    async def Evaluate(
        self, request: evaluation.EvaluateRequest, context: Context
    ) -> AsyncIterator[evaluation.EvaluateResponse]:
        """Measure how well a collection retrieves what its labels call alike."""
        collection = self._gate.find(request.collection)
        options = evaluation_options(request, collection.shard.spec)
        chosen = await self._matching(collection, request.filter, "filter")
        queries = await self._matching(collection, request.queries, "queries")
        options["queries"] = None if queries is None else queries.tolist()
        run = self._analyses.run(Kind.EVALUATE, collection, options, chosen)
        async with aclosing(run):
            async for said in run:
                if isinstance(said, Progress):
                    yield evaluation.EvaluateResponse(progress=_progress(said))
                else:
                    report = evaluation_report(said.content)
                    yield evaluation.EvaluateResponse(report=report)

    async def Calibrate(
        self, request: calibration.CalibrateRequest, context: Context
    ) -> AsyncIterator[calibration.CalibrateResponse]:
        """Find the cosine from which on two images count as alike."""
        collection = self._gate.find(request.collection)
        spec = collection.shard.spec
        if request.WhichOneof("evidence") == "from_collection":
            other = self._gate.find(request.from_collection, "from_collection")
            decision = decision_of(other.shard.spec, spec)
            report = calibration.CalibrationReport(decision=decision_message(decision))
            if request.keep:
                await self._keep(collection, decision)
            yield calibration.CalibrateResponse(report=report)
            return
        options, files = calibration_options(request, spec)
        run = self._analyses.run(Kind.CALIBRATE, collection, options, files=files)
        async with aclosing(run):
            async for said in run:
                if isinstance(said, Progress):
                    yield calibration.CalibrateResponse(progress=_progress(said))
                    continue
                decision = made_decision(said.content, options, spec)
                if request.keep:
                    await self._keep(collection, decision)
                report = calibration_report(said.content, decision)
                yield calibration.CalibrateResponse(report=report)

    async def Check(
        self, request: checks.CheckRequest, context: Context
    ) -> AsyncIterator[checks.CheckResponse]:
        """Look for mistakes that people make with their collections."""
        collection = self._gate.find(request.collection)
        shard = collection.shard
        stats = await self._reads.run(shard.stats)
        options = check_options(request, shard.spec, stats)
        options["filters"] = [
            filter_option(text, condition, await self._reads.run(shard.count, condition))
            for text, condition in asked_filters(request)
        ]
        run = self._analyses.run(Kind.CHECK, collection, options)
        async with aclosing(run):
            async for said in run:
                if isinstance(said, Progress):
                    yield checks.CheckResponse(progress=_progress(said))
                else:
                    yield checks.CheckResponse(report=check_report(said.content))

    async def GetDrift(
        self, request: drifts.GetDriftRequest, context: Context
    ) -> drifts.GetDriftResponse:
        """Say whether the queries of a collection are what they were."""
        view = await self._watcher.look(self._gate.find(request.collection))
        return drifts.GetDriftResponse(drift=drift_message(view))

    async def ResetDrift(
        self, request: drifts.ResetDriftRequest, context: Context
    ) -> drifts.ResetDriftResponse:
        """End an alarm."""
        collection = self._gate.find(request.collection)
        keep = request.keep_reference
        view = await self._watcher.reset(collection, keep_reference=keep)
        return drifts.ResetDriftResponse(drift=drift_message(view))

    async def FindDuplicates(
        self, request: duplicates.FindDuplicatesRequest, context: Context
    ) -> AsyncIterator[duplicates.FindDuplicatesResponse]:
        """Find the items that show the same picture."""
        collection = self._gate.find(request.collection)
        decisions = await self._reads.run(self._reviews(collection).all)
        options = duplicates_options(request, collection.shard.spec, decisions)
        chosen = await self._matching(collection, request.filter, "filter")
        run = self._analyses.run(Kind.DUPLICATES, collection, options, chosen)
        async with aclosing(run):
            async for said in run:
                if isinstance(said, Progress):
                    yield duplicates.FindDuplicatesResponse(progress=_progress(said))
                else:
                    yield duplicates_part(said.content)

    async def DecideDuplicates(
        self, request: duplicates.DecideDuplicatesRequest, context: Context
    ) -> duplicates.DecideDuplicatesResponse:
        """Note decisions on duplicates."""
        collection = self._gate.find(request.collection)
        await self._reads.run(decide, request, self._reviews(collection))
        return duplicates.DecideDuplicatesResponse()

    async def ListDuplicateDecisions(
        self, request: duplicates.ListDuplicateDecisionsRequest, context: Context
    ) -> duplicates.ListDuplicateDecisionsResponse:
        """List the decisions on duplicates."""
        collection = self._gate.find(request.collection)
        reviews = self._reviews(collection)
        return await self._reads.run(list_decisions, request, collection.uid, reviews)

    def _reviews(self, collection: Collection) -> Reviews:
        return Reviews(self._gate.directory(collection.uid))

    async def SuggestLabels(
        self, request: labelling.SuggestLabelsRequest, context: Context
    ) -> AsyncIterator[labelling.SuggestLabelsResponse]:
        """Suggest labels, or name those that may be wrong."""
        collection = self._gate.find(request.collection)
        options = labelling_options(request)
        chosen = await self._matching(collection, request.filter, "filter")
        run = self._analyses.run(Kind.SUGGEST_LABELS, collection, options, chosen)
        async with aclosing(run):
            async for said in run:
                if isinstance(said, Progress):
                    yield labelling.SuggestLabelsResponse(progress=_progress(said))
                else:
                    yield labelling_response(said.content)

    async def Cluster(
        self, request: clustering.ClusterRequest, context: Context
    ) -> AsyncIterator[clustering.ClusterResponse]:
        """Find groups of items that are near each other."""
        collection = self._gate.find(request.collection)
        options = clustering_options(request)
        chosen = await self._matching(collection, request.filter, "filter")
        run = self._analyses.run(Kind.CLUSTER, collection, options, chosen)
        async with aclosing(run):
            async for said in run:
                if isinstance(said, Progress):
                    yield clustering.ClusterResponse(progress=_progress(said))
                else:
                    yield clustering_part(said.content)

    async def _keep(self, collection: Collection, decision: Calibration) -> None:
        change = SettingsChange(calibration=decision)
        await self._reads.run(collection.shard.update_settings, change)

    async def _matching(
        self, collection: Collection, message: filters.Filter, field: str
    ) -> I64 | None:
        """Find the ordinals of the items that meet a filter; None where all do."""
        condition = filter_from_proto(message, field)
        if condition is None and collection.is_whole:
            return None
        return await self._reads.run(collection.shard.matching, condition)


def _progress(said: Progress) -> progress.AnalysisProgress:
    return progress.AnalysisProgress(stage=said.stage, done=said.done, total=said.total)
