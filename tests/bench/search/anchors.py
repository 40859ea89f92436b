"""`python -m tests.bench.search.anchors`: side by side with the fastest there are.

Rows query2.4 to query2.6. All are asked for the same queries at equal recall, each
with the least expansion that reaches it: the peers in process, ours over gRPC.
A peer that does not run here, or for which no time is left, is said to be so.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.bench.report import Report
from tests.bench.search import anchors_filtered, options
from tests.bench.search.loading import load
from tests.bench.search.peers.environment import Missing
from tests.bench.search.peers.lookalike import COLLECTION, TARGET
from tests.bench.search.peers.remote import RemotePeer, Timing
from tests.bench.search.run import (
    CONNECTIVITY,
    EXPANSION_ADD,
    NAME,
    Expected,
    Run,
    attempt,
    end_in_order,
)
from tests.bench.search.service import Service
from tests.bench.search.sweep import Point, least_expansion
from tests.bench.search.vectors import prepare, recall

PEERS = (
    "svs-leanvec",
    "svs-lvq",
    "scann",
    "zvec",
    "qdrant-edge",
    "faiss",
    "chroma",
    "lancedb",
)
EXPECTED = (
    Expected("query2.4", "batches ÷ SVS LeanVec in process, three recalls", "ratio", ">= 1"),
    Expected("query2.5", "batches ÷ the best of the others, recall .97", "ratio", ">= 1.5"),
)

_RECALLS = (0.95, 0.97, 0.985)
_EQUAL = 0.97
_COUNT = 10
_BATCH = 64
# Processes that ask ours; the peers get batches, and all queries at once, from one caller,
# and batches from as many threads.
_CALLERS = 3
# Left for the filters, of the whole time.
_KEPT_SHARE = 0.3

# At each recall: the expansion, and the most queries a second; None where it is not reached.
Standing = dict[float, tuple[Point, float] | None]


@dataclass(frozen=True, slots=True)
class Clock:
    """When the whole is to be done, and what is left for the peers, by the monotonic clock."""

    peers_end_s: float
    end_s: float


def main() -> None:
    """Measure within the minutes that are given."""
    end_in_order()
    run, only, clock = _parse(sys.argv[1:])
    if only in ("", "2.4", "2.5"):
        attempt(run, lambda: _queries(run, clock), *EXPECTED)
    if only in ("", "2.6"):
        attempt(run, lambda: anchors_filtered.measure(run, clock.end_s), *anchors_filtered.EXPECTED)
    run.report.print_table()


def _queries(run: Run, clock: Clock) -> None:
    with run.service("anchors") as service:
        service.create(NAME, run.dataset.base.shape[1])
        load(service, NAME, run.dataset.base)
        ours = _state(run, "lookalike", _ours(run, service), 0.0)
    theirs: dict[str, Standing] = {}
    for name in run.options.peers:
        if time.monotonic() > clock.peers_end_s:
            _not_measured(run, name, "no time was left: --minutes")
            continue
        try:
            with RemotePeer(name, run.dataset.queries_path) as peer:
                build_s = peer.build(run.dataset.base_path, CONNECTIVITY, EXPANSION_ADD)
                theirs[name] = _state(run, name, _theirs(run, peer), build_s)
        except (Missing, OSError) as error:
            _not_measured(run, name, str(error))
    _compare_leanvec(run, ours, theirs)
    _compare_others(run, ours, theirs)


def _ours(run: Run, service: Service) -> Standing:
    environ = {TARGET: f"127.0.0.1:{service.port}", COLLECTION: NAME}
    with ExitStack() as held:
        peers = [
            held.enter_context(RemotePeer("lookalike", run.dataset.queries_path, environ))
            for _ in range(_CALLERS)
        ]

        def rate(expansion: int) -> float:
            with ThreadPoolExecutor(_CALLERS) as pool:
                each = pool.map(lambda peer: _time(run, peer, expansion, _BATCH, 1), peers)
                return sum(timing.queries_per_s for timing in each)

        return _stand(run, peers[0], rate)


def _theirs(run: Run, peer: RemotePeer) -> Standing:
    def rate(expansion: int) -> float:
        modes = ((_BATCH, 1), (_BATCH, _CALLERS), (run.options.queries, 1))
        return max(_time(run, peer, expansion, *mode).queries_per_s for mode in modes)

    return _stand(run, peer, rate)


def _time(run: Run, peer: RemotePeer, expansion: int, batch: int, callers: int) -> Timing:
    batch = min(batch, run.options.queries)
    return peer.time(_COUNT, expansion, batch=batch, callers=callers, seconds=run.options.seconds)


def _stand(run: Run, peer: RemotePeer, rate: Callable[[int], float]) -> Standing:
    """Measure at each recall; what was found at an expansion is kept for the next."""
    known: dict[int, float] = {}

    def recall_at(expansion: int) -> float:
        if expansion not in known:
            found = peer.find(_COUNT, expansion)
            known[expansion] = recall(found, run.dataset.truth, _COUNT)
        return known[expansion]

    standing: Standing = {}
    for target in _RECALLS:
        try:
            point = least_expansion(recall_at, target)
        except Missing as error:
            print(f"  {peer.name}: {error}", flush=True)
            standing[target] = None
        else:
            standing[target] = point, rate(point.expansion)
    if not any(standing.values()):
        raise Missing(f"recall stays at {max(known.values()):.3f}")
    return standing


def _compare_leanvec(run: Run, ours: Standing, theirs: dict[str, Standing]) -> None:
    pairs = _pairs(ours, theirs.get("svs-leanvec", {}), _RECALLS)
    if not pairs:
        raise Missing("SVS LeanVec is not measured here")
    parts = ", ".join(f"{at:g}: {a:,.0f} ÷ {b:,.0f}" for at, (a, b) in pairs.items())
    what = f"queries/s of ours over gRPC ÷ SVS LeanVec in process at recall {parts}"
    run.report.at_least("query2.4", what, min(a / b for a, b in pairs.values()), "ratio", 1)


def _compare_others(run: Run, ours: Standing, theirs: dict[str, Standing]) -> None:
    rates = {
        name: pair[0]
        for name, standing in theirs.items()
        if not name.startswith("svs-")
        and (pair := [b for _, b in _pairs(ours, standing, (_EQUAL,)).values()])
    }
    mine = ours[_EQUAL]
    if not rates or mine is None:
        raise Missing(f"nothing is measured at recall {_EQUAL:g}")
    best = max(rates, key=lambda name: rates[name])
    said = ", ".join(f"{name} {rate:,.0f}" for name, rate in sorted(rates.items()))
    what = f"queries/s at recall {_EQUAL:g}: ours {mine[1]:,.0f} ÷ {best}; {said}"
    run.report.at_least("query2.5", what, mine[1] / rates[best], "ratio", 1.5)


def _pairs(
    ours: Standing, theirs: Standing, recalls: Sequence[float]
) -> dict[float, tuple[float, float]]:
    """Return the rates at those recalls that both reach."""
    found: dict[float, tuple[float, float]] = {}
    for at in recalls:
        mine, other = ours.get(at), theirs.get(at)
        if mine is not None and other is not None:
            found[at] = mine[1], other[1]
    return found


def _state(run: Run, name: str, standing: Standing, build_s: float) -> Standing:
    parts = [
        f"{at:g}: {reached[1]:,.0f}/s at expansion {reached[0].expansion} ({reached[0].recall:.4f})"
        if reached
        else f"{at:g}: not reached"
        for at, reached in standing.items()
    ]
    built = f", built in {build_s:.0f} s" if build_s else ", default preset"
    what = f"{name}{built}; recall@10 {'; '.join(parts)}"
    run.report.stated(
        f"query2.4.{name}", what, max(reached[1] for reached in standing.values() if reached), "/s"
    )
    return standing


def _not_measured(run: Run, name: str, reason: str) -> None:
    run.report.missing(f"query2.4.{name}", name, "queries/s", "stated", reason=reason)


def _parse(arguments: Sequence[str]) -> tuple[Run, str, Clock]:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.search.anchors")
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--file", type=Path, help=".npy or .hdf5 vectors")
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each timed phase")
    parser.add_argument("--minutes", type=float, default=30.0, help="of the whole")
    parser.add_argument("--only", default="", choices=("", "2.4", "2.5", "2.6"))
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--work", type=Path, default=options.ROOT / "build" / "bench" / "work")
    flags = parser.parse_args(arguments)
    command = f"python -m tests.bench.search.anchors --items {flags.items}"
    asked = options.Options(
        count=flags.items,
        dimension=flags.dimension,
        file=flags.file,
        queries=flags.queries,
        seconds=flags.seconds,
        upsert_seconds=0.0,
        only=frozenset(),
        peers=tuple(filter(None, flags.peers.split(","))),
        work=flags.work,
        command=command,
    )
    begun_s, whole_s = time.monotonic(), flags.minutes * 60
    kept = 0.0 if flags.only in ("2.4", "2.5") else _KEPT_SHARE
    clock = Clock(begun_s + (1 - kept) * whole_s, begun_s + whole_s)
    return Run(asked, Report("query", command), prepare(asked)), flags.only, clock


if __name__ == "__main__":
    main()
