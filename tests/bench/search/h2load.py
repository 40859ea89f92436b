"""Load from a compiled client: nghttp2's h2load, one process for each caller.

h2load sends one body for its whole run, so each caller repeats its own request;
several rounds with other requests keep the set of queries from being small.
"""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lookalike.v1 import search_pb2
from tests.bench.search.peers.environment import Missing
from tests.bench.search.service import Service

_WARM_UP_S = 1
_TIMEOUT_S = 120.0
_FINISHED = re.compile(r"finished in [^,]+, ([0-9.]+) req/s")
_COUNTS = re.compile(r"requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored")
_DATA = re.compile(r"space savings [^)]*\), \S+ \((\d+)\) data")


def requests_per_s(
    service: Service, rounds: Sequence[Sequence[search_pb2.SearchRequest]], *, seconds: int
) -> float:
    """Return the mean rate over `rounds`, each with a caller for each request.

    Raises:
        Missing: h2load is not installed, or the service answers with errors.
    """
    if shutil.which("h2load") is None:
        raise Missing("h2load is not installed (Debian package nghttp2-client)")
    return sum(_round(service, requests, seconds) for requests in rounds) / len(rounds)


def _round(service: Service, requests: Sequence[search_pb2.SearchRequest], seconds: int) -> float:
    answers = [len(service.search.Search(one).SerializeToString()) for one in requests]
    with tempfile.TemporaryDirectory(prefix="bench-h2load-") as directory:
        bodies = [Path(directory) / f"{place}.grpc" for place in range(len(requests))]
        for body, request in zip(bodies, requests, strict=True):
            message = request.SerializeToString()
            body.write_bytes(struct.pack(">BI", 0, len(message)) + message)
        callers = [_start(service.port, body, seconds) for body in bodies]
        said = [caller.communicate(timeout=_TIMEOUT_S)[0] for caller in callers]
    return sum(_rate(text, size) for text, size in zip(said, answers, strict=True))


def _start(port: int, body: Path, seconds: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            "h2load",
            "--clients=1",
            "--max-concurrent-streams=1",
            f"--duration={seconds}",
            f"--warm-up-time={_WARM_UP_S}",
            f"--data={body}",
            "--header=content-type: application/grpc",
            "--header=te: trailers",
            f"http://127.0.0.1:{port}/lookalike.v1.SearchService/Search",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _rate(text: str, answer_bytes: int) -> float:
    finished, counts = _FINISHED.search(text), _COUNTS.search(text)
    if finished is None or counts is None:
        raise Missing(f"h2load said: {text.strip()[-200:]}")
    succeeded, failed, errored = (int(count) for count in counts.groups())
    data = _DATA.search(text)
    # A gRPC error travels as HTTP 200 without a body: the bytes tell.
    if failed or errored or (data and int(data[1]) < 0.9 * succeeded * answer_bytes):
        raise Missing("the service answered h2load with errors")
    return float(finished[1])
