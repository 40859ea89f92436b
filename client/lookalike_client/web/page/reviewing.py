"""The review of duplicates over HTTP: start, look, decide, and let go at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from lookalike.wire.errors import InvalidField, Precondition, Reason
from lookalike_client.types import DuplicateDecision, DuplicateKind, DuplicateVerdict, Metadata
from lookalike_client.web import values
from lookalike_client.web.answers import answer, body_of
from lookalike_client.web.page.conditions import filter_of
from lookalike_client.web.page.plain import plain
from lookalike_client.web.page.review import Leaving, Review, digest_of
from lookalike_client.web.page.tasks import Task, Tasks
from lookalike_client.web.services import Services

_KIND = "review"
_MOST_GROUPS = 20
_MOST_DECISIONS = 1_000
_KINDS = [each.value for each in DuplicateKind]
# Of what would go, so many are shown; the list can be saved whole.
_MOST_SHOWN = 500
_PER_CALL = 500


class Reviewing:
    """Answers the page's review."""

    def __init__(self, services: Services, tasks: Tasks) -> None:
        self._services = services
        self._tasks = tasks

    async def start(self, request: Request) -> Response:
        """Look for duplicates; the review is a task until the groups are there."""
        body = await body_of(request)
        collection = values.text(body, "collection")
        threshold = values.number(body, "threshold", None, 0, 1)
        kinds = [_kind(each) for each in values.texts(body, "kinds", len(_KINDS))]
        chosen = filter_of(body)

        async def work(task: Task) -> Review:
            analysis = self._services.client.analysis
            report = await analysis.find_duplicates(
                collection,
                filter=chosen,
                threshold=threshold,
                kinds=kinds,
                on_progress=task.progress,
            )
            decided = await analysis.duplicate_decisions(collection)
            return Review(task.id, collection, report, decided)

        uid = await self._uid(collection)
        return answer(self._tasks.start(_KIND, uid, work).document())

    async def latest(self, request: Request) -> Response:
        """Say how a collection's last review stands."""
        uid = await self._uid(request.query_params.get("collection", ""))
        task = self._tasks.latest(_KIND, uid)
        if task is None:
            return answer({"state": "none"})
        document = task.document()
        if isinstance(task.result, Review):
            document["review"] = task.result.progress()
        return answer(document)

    async def groups(self, request: Request) -> Response:
        """Answer with some groups."""
        review = self._review(request.query_params)
        first = values.whole(request.query_params, "first", 0, 0, 10**9)
        most = values.whole(request.query_params, "limit", 1, 1, _MOST_GROUPS)
        numbers = range(first, min(first + most, len(review.groups)))
        found = [review.group(number) for number in numbers]
        return answer({"groups": found, "review": review.progress()})

    async def decide(self, request: Request) -> Response:
        """Save decisions at once; answer with what takes them back."""
        body = await body_of(request)
        review = self._review(body)
        decisions = [_decision(each) for each in values.objects(body, "decisions", _MOST_DECISIONS)]
        return answer(await self._note(review, decisions))

    async def accept(self, request: Request) -> Response:
        """Take all that is open and alike enough for duplicates; or say how many that are."""
        body = await body_of(request)
        review = self._review(body)
        above = values.number(body, "above", None, 0, 1)
        kinds = [_kind(each).value for each in values.texts(body, "kinds", len(_KINDS))]
        decisions = review.alike(kinds, above)
        if values.flag(body, "count"):
            return answer({"pairs": len(decisions)})
        return answer({"pairs": len(decisions), **await self._note(review, decisions)})

    async def leaving(self, request: Request) -> Response:
        """Say what would go, with what stands for exactly that."""
        leaving = self._review(request.query_params).leaving()
        return answer(
            {
                "count": len(leaving),
                "bytes": sum(each.size_bytes for each in leaving),
                "digest": digest_of(leaving),
                "items": plain(leaving[:_MOST_SHOWN]),
            }
        )

    async def leaving_list(self, request: Request) -> Response:
        """Answer with the ids that would go, one a line, to be saved."""
        ids = [each.id for each in self._review(request.query_params).leaving()]
        headers = {"content-disposition": 'attachment; filename="duplicates.txt"'}
        return PlainTextResponse("".join(f"{id}\n" for id in ids), headers=headers)

    async def delete(self, request: Request) -> Response:
        """Delete from the index exactly what was shown."""
        body = await body_of(request)
        review = self._review(body)
        leaving = review.leaving()
        if values.text(body, "digest") != digest_of(leaving):
            told = "what would go is no longer what was shown: look at it again"
            raise Precondition(told, reason=Reason.INVALID_FIELD, field="digest")
        merged = 0
        gone: list[str] = []
        spared = 0
        for start in range(0, len(leaving), _PER_CALL):
            some = leaving[start : start + _PER_CALL]
            held = await self._metadata(review.collection, {each.keeper for each in some})
            safe = [each for each in some if each.keeper in held]
            spared += len(some) - len(safe)
            if values.flag(body, "merge_metadata"):
                merged += await self._merge(review.collection, safe, held)
            results = await self._services.client.delete(
                review.collection, [each.id for each in safe]
            )
            gone.extend(each.id for each in results if each.error is None)
        review.forget(gone)
        return answer(
            {
                "deleted": len(gone),
                "spared": spared,
                "merged": merged,
                "review": review.progress(),
            }
        )

    async def _uid(self, collection: str) -> str:
        """Return what a collection is known by here: another may come under its name."""
        return (await self._services.client.collections.get(collection)).uid

    def _review(self, asked: Mapping[str, Any]) -> Review:
        review = self._tasks.get(values.text(asked, "review", ""), _KIND).result
        if not isinstance(review, Review):
            raise Precondition("the search has not ended", reason=Reason.NOT_READY)
        return review

    async def _note(
        self, review: Review, decisions: Sequence[DuplicateDecision]
    ) -> dict[str, object]:
        undo = review.before(decisions)
        analysis = self._services.client.analysis
        if decisions:
            await analysis.decide_duplicates(review.collection, decisions)
        touched = review.note(decisions)
        return {
            "undo": [_decision_document(each) for each in reversed(undo)],
            "groups": [review.group(number) for number in touched[:_MOST_GROUPS]],
            "review": review.progress(),
        }

    async def _metadata(self, collection: str, ids: set[str]) -> dict[str, Metadata]:
        page = await self._services.client.get(collection, sorted(ids))
        return {item.id: item.metadata for item in page.items}

    async def _merge(
        self, collection: str, leaving: Sequence[Leaving], kept: Mapping[str, Metadata]
    ) -> int:
        """Give keepers the fields that they lack and that what goes has."""
        held = await self._metadata(collection, {each.id for each in leaving})
        updates: dict[str, dict[str, Any]] = {}
        for each in leaving:
            lacking = {
                key: value
                for key, value in held.get(each.id, {}).items()
                if key not in kept[each.keeper]
            }
            if lacking:
                updates[each.keeper] = {**lacking, **updates.get(each.keeper, {})}
        if not updates:
            return 0
        client = self._services.client
        results = await client.update_metadata(collection, updates, merge=True)
        failed = [each.error for each in results if each.error is not None]
        if failed:
            raise failed[0]
        return len(results)


def _kind(name: str) -> DuplicateKind:
    if name not in _KINDS:
        raise InvalidField("kinds", f"must be of {', '.join(_KINDS)}")
    return DuplicateKind(name)


def _decision(body: Mapping[str, Any]) -> DuplicateDecision:
    known = [each.value for each in DuplicateVerdict]
    verdict = values.text(body, "verdict")
    if verdict not in known:
        raise InvalidField("verdict", f"must be one of {', '.join(known)}")
    id, other = values.text(body, "id"), values.text(body, "other_id", "")
    return DuplicateDecision(id, DuplicateVerdict(verdict), other)


def _decision_document(decision: DuplicateDecision) -> dict[str, str]:
    return {"id": decision.id, "other_id": decision.other_id, "verdict": decision.verdict}
