"""A peer in a process of its own, as the benchmark sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from tests.bench.search.options import ROOT
from tests.bench.search.peers.environment import Missing, python_of
from tests.bench.search.vectors import I64

_CLOSE_TIMEOUT_S = 60.0
_BATCH = 64
# None is this process's own: raw usearch is the version that Lookalike uses.
_ENVIRONMENTS = {
    "lookalike": None,
    "usearch": None,
    "hnswlib": "peers",
    "faiss": "peers",
    "chroma": "peers",
    "lancedb": "peers",
    "milvus": "milvus",
    "svs-lvq": "anchors",
    "svs-leanvec": "anchors",
    "scann": "anchors",
    "zvec": "anchors",
    "qdrant-edge": "anchors",
    "qdrant-edge-linked": "anchors",
    "qdrant-edge-acorn": "anchors",
}


@dataclass(frozen=True, slots=True)
class Timing:
    """What a timed phase gave; latencies are those of a call."""

    queries_per_s: float
    p50_ms: float
    p99_ms: float


class RemotePeer:
    """Starts the driver of `name`; a context manager."""

    def __init__(self, name: str, queries: Path, environ: Mapping[str, str] | None = None) -> None:
        """Start it in its environment, which is installed if need be.

        Raises:
            Missing: the environment cannot be made.
        """
        self.name = name
        self._queries = str(queries)
        environment = _ENVIRONMENTS[name]
        python = Path(sys.executable) if environment is None else python_of(environment)
        path = os.pathsep.join(
            [str(ROOT), str(ROOT / "protos")] if environment is None else [str(ROOT)]
        )
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed on the way out
        self._process = subprocess.Popen(
            [str(python), "-m", "tests.bench.search.peers.drive", name],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path, **(environ or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            bufsize=1,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None  # piped above
        self._process.stdin.close()
        try:
            self._process.wait(_CLOSE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def build(self, vectors: Path, connectivity: int, expansion_add: int) -> float:
        """Index the vectors of a `.npy` file; return the seconds it took."""
        answer = self._ask(
            do="build",
            vectors=str(vectors),
            connectivity=connectivity,
            expansion_add=expansion_add,
        )
        return float(answer["seconds"])

    def narrow(self, field: str, value: int) -> None:
        """Have what follows find only what holds `value` in `field`; of some peers."""
        self._ask(do="narrow", field=field, value=value)

    def find(self, count: int, expansion: int, *, queries: Path | None = None) -> I64:
        """Return the keys found for all queries, int64 [Q, count]."""
        with tempfile.TemporaryDirectory() as directory:
            out = str(Path(directory) / "found.npy")
            self._ask(
                do="find",
                queries=str(queries) if queries else self._queries,
                count=count,
                expansion=expansion,
                batch=_BATCH,
                out=out,
            )
            found: I64 = np.load(out)
        return found

    def time(
        self, count: int, expansion: int, *, batch: int, callers: int, seconds: float
    ) -> Timing:
        """Search for `seconds` from `callers` threads, `batch` queries a call."""
        answer = self._ask(
            do="time",
            queries=self._queries,
            count=count,
            expansion=expansion,
            batch=batch,
            callers=callers,
            seconds=seconds,
        )
        return Timing(answer["queries_per_s"], answer["p50_ms"], answer["p99_ms"])

    def _ask(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None  # piped above
        assert self._process.stdout is not None  # piped above
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
        except BrokenPipeError as error:
            raise Missing(f"{self.name} ended: {self._last_words()}") from error
        line = self._process.stdout.readline()
        if not line:
            raise Missing(f"{self.name} ended: {self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise Missing(f"{self.name}: {answer['error']}")
        return answer

    def _last_words(self) -> str:
        self._log.seek(0)
        return (self._log.read().strip().splitlines() or ["it said nothing"])[-1]
