"""How well a collection does: evaluation, calibration, recall, drift, and a map."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from lookalike.wire.errors import InvalidField
from lookalike_client import Fields, LabelEvidence, LabelledPairs
from lookalike_client.reports.calibration import calibration_page
from lookalike_client.reports.drift import drift_page
from lookalike_client.reports.evaluation import evaluation_page
from lookalike_client.types import DuplicateVerdict
from lookalike_client.web import values
from lookalike_client.web.answers import answer, body_of
from lookalike_client.web.page.plain import plain
from lookalike_client.web.page.projection import plane
from lookalike_client.web.page.searching import item_document
from lookalike_client.web.page.tasks import Task, Tasks
from lookalike_client.web.services import Services

# A report has styles of its own in it, and no script: nothing else is let in.
_REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox"
)
_MOST_POINTS = 2_000
_RECALLS_KEPT = 200


class Quality:
    """Answers the page's questions about a whole collection."""

    def __init__(self, services: Services, tasks: Tasks) -> None:
        self._services = services
        self._tasks = tasks
        # What was measured since the server started, by collection.
        self._recalls: dict[str, deque[dict[str, Any]]] = {}

    async def start(self, request: Request) -> Response:
        """Start an evaluation, a calibration or a measurement of recall."""
        body = await body_of(request)
        collection, kind = values.text(body, "collection"), values.text(body, "kind")
        works = {"evaluate": self._evaluate, "calibrate": self._calibrate, "recall": self._recall}
        if kind not in works:
            raise InvalidField("kind", f"must be one of {', '.join(works)}")

        async def work(task: Task) -> object:
            return await works[kind](task, body)

        return answer(self._tasks.start(kind, collection, work).document())

    async def task(self, request: Request) -> Response:
        """Say how a task stands."""
        task = self._tasks.get(request.path_params["task"])
        document = task.document()
        if isinstance(task.result, Mapping):
            document["summary"] = {k: v for k, v in task.result.items() if k != "page"}
        return answer(document)

    async def stop(self, request: Request) -> Response:
        """End a task."""
        self._tasks.cancel(request.path_params["task"])
        return answer({})

    async def report(self, request: Request) -> Response:
        """Answer with a task's report, a page that stands alone."""
        result = self._tasks.get(request.path_params["task"]).result
        if not isinstance(result, Mapping) or "page" not in result:
            return Response(status_code=404)
        return _report(result["page"])

    async def drift_report(self, request: Request) -> Response:
        """Answer with what is known of the drift of queries, as a page that stands alone."""
        collection = request.query_params.get("collection", "")
        found = await self._services.client.analysis.drift(collection)
        return _report(drift_page(found, collection=collection))

    async def recalls(self, request: Request) -> Response:
        """Answer with the recall that was measured since the server started."""
        found = self._recalls.get(request.query_params.get("collection", ""), ())
        return answer({"recalls": list(found)})

    async def map(self, request: Request) -> Response:
        """Answer with items as points of a plane, near where they look alike."""
        asked = request.query_params
        collection, field = asked.get("collection", ""), asked.get("field", "")
        most = values.whole(asked, "limit", 1_000, 3, _MOST_POINTS)
        fields = Fields(metadata=bool(field), metadata_fields=[field] if field else (), vector=True)
        items = []
        async for item in self._services.client.list(collection, fields=fields, page_size=500):
            items.append(item)
            if len(items) == most:
                break
        vectors = [item.vector for item in items if item.vector is not None]
        points, share = await asyncio.to_thread(plane, vectors)
        return answer(
            {
                "share": share,
                "points": [
                    {**item_document(item, item.id), "x": x, "y": y, "label": _label(item.metadata)}
                    for item, (x, y) in zip(items, points, strict=True)
                ],
            }
        )

    async def _evaluate(self, task: Task, body: Mapping[str, Any]) -> object:
        field = values.text(body, "label_field")
        report = await self._services.client.analysis.evaluate(
            task.collection,
            field,
            max_queries=values.whole(body, "queries", 300, 1, 10_000),
            on_progress=task.progress,
        )
        page = evaluation_page(report, collection=task.collection, label_field=field, latency_ms={})
        return {"page": page, "queries": report.queries, "labels": report.labels}

    async def _calibrate(self, task: Task, body: Mapping[str, Any]) -> object:
        field = values.text(body, "label_field", "")
        analysis = self._services.client.analysis
        evidence = LabelEvidence(field) if field else await self._decided_pairs(task.collection)
        report = await analysis.calibrate(
            task.collection,
            evidence,
            precision_at_least=values.number(body, "precision", 0.99, 0.5, 1),
            keep=values.flag(body, "keep") and not self._services.options.read_only,
            on_progress=task.progress,
        )
        told = f"items with the same {field}" if field else "pairs that were decided in reviews"
        page = calibration_page(report, collection=task.collection, evidence=told)
        return {"page": page, "threshold": report.decision.threshold}

    async def _decided_pairs(self, collection: str) -> LabelledPairs:
        decided = await self._services.client.analysis.duplicate_decisions(collection)
        pairs = [
            (each.id, each.other_id, each.verdict is DuplicateVerdict.DUPLICATE)
            for each in decided
            if each.other_id
        ]
        if not pairs:
            told = "nothing was decided in a review yet: name a field with labels"
            raise InvalidField("label_field", told)
        return LabelledPairs(pairs)

    async def _recall(self, task: Task, body: Mapping[str, Any]) -> object:
        measured = await self._services.client.collections.measure_recall(
            task.collection,
            sample_size=values.whole(body, "queries", 200, 1, 10_000),
            seed=values.whole(body, "seed", 0, 0, 2**31),
        )
        found = [
            {**document, "time": datetime.now(UTC).isoformat()}
            for each in measured
            if isinstance(document := plain(each), dict)
        ]
        self._recalls.setdefault(task.collection, deque(maxlen=_RECALLS_KEPT)).extend(found)
        return {"measured": found}


def _label(metadata: Mapping[str, Any]) -> str | None:
    """Return the only value of metadata that holds one field."""
    value: object = metadata
    while isinstance(value, Mapping):
        value = next(iter(value.values()), None)
    if isinstance(value, list | tuple):
        value = value[0] if value else None
    return None if value is None else str(value)


def _report(page: str) -> Response:
    headers = {"content-security-policy": _REPORT_POLICY, "x-frame-options": "SAMEORIGIN"}
    return HTMLResponse(page, headers=headers)
