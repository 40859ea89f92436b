"""What the figures of a run share, and how a figure that fails becomes a row."""

from __future__ import annotations

import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import grpc

from tests.bench.report import Report
from tests.bench.search.options import Options
from tests.bench.search.peers.environment import Missing
from tests.bench.search.service import Service, running
from tests.bench.search.vectors import Dataset

# The collection that most figures search.
NAME = "bench"
# Recall at which queries per second are compared.
TARGET_RECALL = 0.95
# A collection of no more than the service's default --head-limit has no graph.
DEFAULT_HEAD_LIMIT = 20_000
# Of every graph that is built for comparison, as in the reference of facts
# measured before: the peers' best trade of recall against time on such vectors.
CONNECTIVITY = 32
EXPANSION_ADD = 400


@dataclass(frozen=True)
class Run:
    """Options, where rows go, and the vectors."""

    options: Options
    report: Report
    dataset: Dataset

    def directory(self, name: str) -> Path:
        """Return an empty directory for the data of a service."""
        path = self.options.work / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path

    def service(self, name: str) -> AbstractContextManager[Service]:
        """Run a service over an empty directory, small sets with a graph too."""
        self.directory(name)
        return self.again(name)

    def again(self, name: str) -> AbstractContextManager[Service]:
        """Run a service over what an earlier one left."""
        limit = min(DEFAULT_HEAD_LIMIT, max(1, self.options.count // 4))
        arguments = [] if limit == DEFAULT_HEAD_LIMIT else [f"--head-limit={limit}"]
        return running(self.options.work / name, *arguments)


@dataclass(frozen=True, slots=True)
class Expected:
    """A row that stands as missing when its figure fails."""

    id: str
    what: str
    unit: str
    target: str


def end_in_order() -> None:
    """Let SIGTERM unwind as Ctrl-C does, so that no service or peer is left behind."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))


def attempt(run: Run, figure: Callable[[], None], *expected: Expected) -> None:
    """Measure; rows that were not added by the figure are added as missing."""
    try:
        figure()
        reason = "the figure gave no value"
    except (Missing, grpc.RpcError, OSError, ValueError) as error:
        reason = _reason(error)
        traceback.print_exc()
    there = {row.id for row in run.report.rows}
    for row in expected:
        if row.id not in there:
            run.report.missing(row.id, row.what, row.unit, row.target, reason=reason)


def _reason(error: Exception) -> str:
    if isinstance(error, grpc.RpcError):
        return f"the service answered {str(error)[:300]}"
    return f"{type(error).__name__}: {error}" if not isinstance(error, Missing) else str(error)
