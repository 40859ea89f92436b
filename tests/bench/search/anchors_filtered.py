"""query2.6: filtered searches, side by side with Qdrant's engine.

Each item holds a number by chance in each of some fields; a filter asks for one value.
Ours and the peer are asked in turns, so that both meet the same other load.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from lookalike.v1 import filter_pb2, search_pb2
from tests.bench.report import percentile
from tests.bench.search.peers.environment import Missing
from tests.bench.search.peers.qdrant import FIELDS
from tests.bench.search.peers.remote import RemotePeer
from tests.bench.search.run import CONNECTIVITY, EXPANSION_ADD, NAME, Expected, Run
from tests.bench.search.service import Service, search_request, upsert_message
from tests.bench.search.sweep import Point, least_expansion
from tests.bench.search.vectors import I64, recall

EXPECTED = (
    Expected("query2.6", "filtered: the search itself ÷ Qdrant's engine, p50", "ratio", "<= 1"),
)

# The field, and the share of items that hold one value of it.
SHARES = {"of100": 0.01, "of10": 0.1, "of2": 0.5}
_VALUE = 0
_PEERS = ("qdrant-edge-linked", "qdrant-edge-acorn")
_RECALL = 0.98
_COUNT = 10
_ROUNDS = 5
_ITEMS_A_MESSAGE = 500


@dataclass(frozen=True, slots=True)
class Mine:
    """The search itself, the whole call, and what it was done with, of one share."""

    search_ms: float
    call_ms: float
    point: Point
    plan: str


def measure(run: Run, end_s: float) -> None:
    """Add query2.6, and a row for each peer."""
    count = run.options.count
    fields = {
        name: np.random.default_rng([5, number]).integers(0, round(1 / share), count)
        for number, (name, share) in enumerate(SHARES.items())
    }
    truths = {name: _truth(run, values) for name, values in fields.items()}
    with run.service("anchors-filtered") as service:
        service.create(NAME, run.dataset.base.shape[1])
        _load(run, service, fields)
        ratios: dict[str, dict[str, float]] = {}
        for name in _PEERS:
            if time.monotonic() > end_s:
                _not_measured(run, name, "no time was left: --minutes")
                continue
            try:
                ratios[name] = _compare(run, service, name, fields, truths)
            except (Missing, OSError) as error:
                _not_measured(run, name, str(error))
    linked = ratios.get(_PEERS[0])
    if not linked:
        raise Missing("Qdrant's engine is not measured")
    parts = ", ".join(f"{SHARES[field]:g}: {ratio:.2f}" for field, ratio in linked.items())
    what = f"filtered, one caller, recall@10 ≥ {_RECALL}, greatest of the shares {parts}"
    run.report.at_most("query2.6", what, max(linked.values()), "ratio", 1)


def _compare(
    run: Run, service: Service, name: str, fields: dict[str, I64], truths: dict[str, I64]
) -> dict[str, float]:
    kept = run.options.work / "fields.npz"
    named: Any = fields  # NumPy's annotations take every name for that of an option
    np.savez(kept, **named)
    said: list[str] = []
    ratios: dict[str, float] = {}
    with RemotePeer(name, run.dataset.queries_path, {FIELDS: str(kept)}) as peer:
        build_s = peer.build(run.dataset.base_path, CONNECTIVITY, EXPANSION_ADD)
        for field, share in SHARES.items():
            peer.narrow(field, _VALUE)
            try:
                theirs = _least(truths[field], partial(peer.find, _COUNT))
                mine = _least(truths[field], _finder(run, service, field))
            except Missing as error:
                said.append(f"{share:g}: {error}")
                continue
            turns: list[tuple[Mine, float]] = []
            for _ in range(_ROUNDS):
                seconds = run.options.seconds / 3
                other = peer.time(_COUNT, theirs.expansion, batch=1, callers=1, seconds=seconds)
                turns.append((_time(run, service, field, mine, seconds), other.p50_ms))
            search_ms = statistics.median(turn.search_ms for turn, _ in turns)
            call_ms = statistics.median(turn.call_ms for turn, _ in turns)
            other_ms = statistics.median(ms for _, ms in turns)
            ratios[field] = search_ms / other_ms
            said.append(
                f"{share:g}: ours {search_ms:.2f} ms (call {call_ms:.2f}, {mine.recall:.4f}, "
                f"{turns[0][0].plan}), theirs {other_ms:.2f} ({theirs.recall:.4f}, "
                f"ef {theirs.expansion})"
            )
    what = f"{name}, built in {build_s:.0f} s; p50 and recall@10 by share: {'; '.join(said)}"
    run.report.stated(f"query2.6.{name}", what, max(ratios.values(), default=None), "ratio")
    return ratios


def _least(truth: I64, find: Callable[[int], I64]) -> Point:
    return least_expansion(lambda expansion: recall(find(expansion), truth, _COUNT), _RECALL)


def _request(
    run: Run, field: str, place: int, expansion: int, *, explain: bool
) -> search_pb2.SearchRequest:
    query = run.dataset.queries[place % len(run.dataset.queries)]
    request = search_request(NAME, query[None], _COUNT, expansion=expansion)
    request.filter.CopyFrom(filter_pb2.Filter(expression=f"{field} = {_VALUE}"))
    request.explain = explain
    return request


def _finder(run: Run, service: Service, field: str) -> Callable[[int], I64]:
    def find(expansion: int) -> I64:
        found = np.full((len(run.dataset.queries), _COUNT), -1, dtype=np.int64)
        for place in range(len(found)):
            request = _request(run, field, place, expansion, explain=False)
            ids = [int(hit.id) for hit in service.search.Search(request).results[0].hits]
            found[place, : len(ids)] = ids
        return found

    return find


def _time(run: Run, service: Service, field: str, point: Point, seconds: float) -> Mine:
    searches: list[float] = []
    calls: list[float] = []
    kind = ""
    end_s = time.perf_counter() + seconds
    while time.perf_counter() < end_s:
        request = _request(run, field, len(calls), point.expansion, explain=True)
        started_s = time.perf_counter()
        (result,) = service.search.Search(request).results
        calls.append((time.perf_counter() - started_s) * 1e3)
        searches.append(result.plan.search_time.ToNanoseconds() / 1e6)
        kind = search_pb2.PlanKind.Name(result.plan_kind).removeprefix("PLAN_KIND_").lower()
    return Mine(percentile(searches, 50), percentile(calls, 50), point, kind)


def _load(run: Run, service: Service, fields: dict[str, I64]) -> None:
    for answer in service.search.UpsertVectors(_messages(run, fields)):
        if any(r.status != search_pb2.MUTATION_STATUS_APPLIED for r in answer.results):
            raise Missing("an upsert was not applied")
    service.wait_indexed(NAME)


def _messages(run: Run, fields: dict[str, I64]) -> Iterator[search_pb2.UpsertVectorsRequest]:
    for start in range(0, run.options.count, _ITEMS_A_MESSAGE):
        rows = np.asarray(run.dataset.base[start : start + _ITEMS_A_MESSAGE])
        numbers = range(start, start + len(rows))
        message = upsert_message(NAME, rows, numbers)
        for item, number in zip(message.items, numbers, strict=True):
            item.metadata.update({name: int(values[number]) for name, values in fields.items()})
        yield message


def _truth(run: Run, values: I64) -> I64:
    """Return the exact nearest of each query that hold the value, int64 [Q, _COUNT]."""
    rows = np.flatnonzero(values == _VALUE)
    if len(rows) < _COUNT:
        raise Missing(f"fewer than {_COUNT} items hold one value: take more --items")
    scores = run.dataset.queries @ np.asarray(run.dataset.base)[rows].T
    best: I64 = rows[np.argsort(-scores, axis=1)[:, :_COUNT]].astype(np.int64)
    return best


def _not_measured(run: Run, name: str, reason: str) -> None:
    run.report.missing(f"query2.6.{name}", name, "ratio", "stated", reason=reason)
