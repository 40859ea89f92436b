"""search.6: rounds of replacing half the items, against a fresh build of what remains."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lookalike.wire.vectors import F32
from tests.bench.search.loading import load
from tests.bench.search.run import NAME, Expected, Run
from tests.bench.search.service import Service, disk_use
from tests.bench.search.vectors import I64, nearest, recall

EXPECTED = (
    Expected("search.6a", "recall@10 lost against a fresh build", "recall", "<= 0.005"),
    Expected("search.6b", "disk ÷ a fresh build's", "ratio", "<= 1.3"),
    Expected("search.6c", "memory ÷ a fresh build's", "ratio", "<= 1.3"),
)

_ROUNDS = 5
_COUNT = 10
_CHUNK_ROWS = 20_000
# For what builds leave to be removed, and for idle upkeep.
_SETTLE_S = 30.0
# Of the vectors: seven loads and builds of all of them would be half of the suite.
_MOST = 100_000


@dataclass(frozen=True, slots=True)
class _State:
    recall: float
    disk_bytes: int
    memory_bytes: int


def measure(run: Run) -> None:
    """Add search.6a to search.6c."""
    rows: F32 = np.array(run.dataset.base[:_MOST])
    data = run.options.work / "churned"
    with run.service("churned") as service:
        service.create(NAME, rows.shape[1])
        load(service, NAME, rows)
        for number in range(_ROUNDS):
            _replace_half(run, service, rows, number)
        truth = nearest(rows, run.dataset.queries, _COUNT)
        churned = _state(run, service, truth, data)
    fresh_data = run.options.work / "fresh"
    with run.service("fresh") as service:
        service.create(NAME, rows.shape[1])
        load(service, NAME, rows)
        fresh = _state(run, service, truth, fresh_data)
    _report(run, len(rows), churned, fresh)


def _report(run: Run, count: int, churned: _State, fresh: _State) -> None:
    add = run.report.at_most
    what = (
        f"{_ROUNDS} rounds of replacing half of {count:,} by new vectors: recall@10 "
        f"{churned.recall:.4f}, fresh build {fresh.recall:.4f}"
    )
    add("search.6a", what, fresh.recall - churned.recall, "recall", 0.005)
    what = f"{churned.disk_bytes / 2**20:,.0f} MiB ÷ {fresh.disk_bytes / 2**20:,.0f} MiB, all files"
    add("search.6b", what, churned.disk_bytes / fresh.disk_bytes, "ratio", 1.3)
    what = (
        f"{churned.memory_bytes / 2**20:,.0f} MiB ÷ {fresh.memory_bytes / 2**20:,.0f} MiB "
        f"resident, mapped files included, the churned service not restarted"
    )
    add("search.6c", what, churned.memory_bytes / fresh.memory_bytes, "ratio", 1.3)


def _replace_half(run: Run, service: Service, rows: F32, number: int) -> None:
    """Put new vectors in the place of a random half of `rows`, here and in the service."""
    half = len(rows) // 2
    picks = np.random.default_rng([6, number]).permutation(len(rows))[:half]
    first = 20_000_000 + number * half
    for start in range(0, half, _CHUNK_ROWS):
        stop = min(start + _CHUNK_ROWS, half)
        ids = picks[start:stop]
        rows[ids] = run.dataset.source.rows(first + start, first + stop)
        service.upsert(NAME, rows[ids], [int(key) for key in ids])
    service.wait_indexed(NAME)


def _state(run: Run, service: Service, truth: I64, data: Path) -> _State:
    found = service.find(NAME, run.dataset.queries, _COUNT)
    time.sleep(_SETTLE_S)
    service.wait_indexed(NAME)
    service.find(NAME, run.dataset.queries, _COUNT)
    return _State(recall(found, truth, _COUNT), disk_use(data).all_bytes, service.memory_bytes())
