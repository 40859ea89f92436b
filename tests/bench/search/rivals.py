"""search.3: queries a second at equal measured recall, against peers and libraries."""

from __future__ import annotations

from dataclasses import dataclass

from tests.bench.search.peers.environment import Missing
from tests.bench.search.peers.lookalike import COLLECTION, TARGET
from tests.bench.search.peers.remote import RemotePeer, Timing
from tests.bench.search.run import CONNECTIVITY, EXPANSION_ADD, NAME, TARGET_RECALL, Expected, Run
from tests.bench.search.service import Service
from tests.bench.search.sweep import Point, least_expansion
from tests.bench.search.vectors import recall

EXPECTED = (
    Expected("search.3a", "queries/s at recall ≥ 0.95 ÷ the best server peer", "ratio", ">= 2"),
    Expected("search.3b", "batches at recall ≥ 0.95 ÷ faiss HNSW fp16", "ratio", ">= 1"),
)

_COUNT = 10
_DATABASES = ("chroma", "lancedb", "milvus")
# (queries a call, callers): what a database is asked for; its best counts.
_MODES = ((1, 1), (1, 16), (64, 1), (64, 4))
# A library has its own threads: one caller with everything at once.
_LIBRARY_MODES = ((1, 1), (64, 1), (100_000, 1))


@dataclass(frozen=True, slots=True)
class Standing:
    """A peer at the least expansion that reaches the recall."""

    point: Point
    build_s: float
    timings: dict[tuple[int, int], Timing]

    @property
    def best(self) -> float:
        """The most queries a second over all modes."""
        return max(timing.queries_per_s for timing in self.timings.values())


def measure(run: Run, service: Service) -> None:
    """Add search.3a, search.3b and a row for each peer."""
    queries_path = run.dataset.queries_path
    environ = {TARGET: f"127.0.0.1:{service.port}", COLLECTION: NAME}
    with RemotePeer("lookalike", queries_path, environ) as peer:
        ours = _stand(run, peer, _MODES)
    _state(run, "lookalike", ours)
    standings = {
        name: standing
        for name in run.options.peers
        if (standing := _try_peer(run, name)) is not None
    }
    _compare_databases(run, ours, standings)
    _compare_faiss(run, ours, standings)


def _compare_databases(run: Run, ours: Standing, standings: dict[str, Standing]) -> None:
    rates = {name: standings[name].best for name in _DATABASES if name in standings}
    absent = [name for name in _DATABASES if name not in standings]
    if not rates:
        raise Missing("no server peer could be measured")
    best = max(rates, key=lambda name: rates[name])
    others = ", ".join(f"{name} {rate:,.0f}" for name, rate in rates.items())
    what = (
        f"best of one and 64 queries a call from 1 to 16 callers in Python, recall@10 ≥ "
        f"{TARGET_RECALL}: {ours.best:,.0f} queries/s ÷ {best}; {others}"
    )
    if absent:
        what += f" (not measured: {', '.join(absent)})"
    run.report.at_least("search.3a", what, ours.best / rates[best], "ratio", 2)


def _compare_faiss(run: Run, ours: Standing, standings: dict[str, Standing]) -> None:
    if "faiss" not in standings:
        raise Missing("faiss could not be measured")
    batches = max(ours.timings[mode].queries_per_s for mode in ((64, 1), (64, 4)))
    theirs = standings["faiss"].best
    what = (
        f"requests of 64 queries over gRPC from Python callers, {batches:,.0f} queries/s ÷ "
        f"batches of faiss HNSW fp16 in process, {theirs:,.0f}; both recall@10 ≥ {TARGET_RECALL}"
    )
    run.report.at_least("search.3b", what, batches / theirs, "ratio", 1)


def _try_peer(run: Run, name: str) -> Standing | None:
    modes = _MODES if name in _DATABASES else _LIBRARY_MODES
    try:
        with RemotePeer(name, run.dataset.queries_path) as peer:
            build_s = peer.build(run.dataset.base_path, CONNECTIVITY, EXPANSION_ADD)
            standing = _stand(run, peer, modes, build_s)
    except (Missing, OSError) as error:
        run.report.missing(f"search.3.{name}", f"{name}", "queries/s", "stated", reason=str(error))
        return None
    _state(run, name, standing)
    return standing


def _stand(
    run: Run, peer: RemotePeer, modes: tuple[tuple[int, int], ...], build_s: float = 0.0
) -> Standing:
    truth = run.dataset.truth
    point = least_expansion(
        lambda expansion: recall(peer.find(_COUNT, expansion), truth, _COUNT), TARGET_RECALL
    )
    seconds = max(2.0, run.options.seconds / 3)
    timings = {
        (batch, callers): peer.time(
            _COUNT,
            point.expansion,
            batch=min(batch, run.options.queries),
            callers=callers,
            seconds=seconds,
        )
        for batch, callers in modes
    }
    return Standing(point, build_s, timings)


def _state(run: Run, name: str, standing: Standing) -> None:
    modes = "; ".join(
        f"{min(batch, run.options.queries)} a call, {callers} callers: "
        f"{timing.queries_per_s:,.0f}/s, p50 {timing.p50_ms:.1f} ms, p99 {timing.p99_ms:.1f} ms"
        for (batch, callers), timing in standing.timings.items()
    )
    built = (
        f", M={CONNECTIVITY}, ef {EXPANSION_ADD} at build: built in {standing.build_s:.0f} s"
        if standing.build_s
        else ", default preset"
    )
    what = (
        f"{name}{built}; recall@10 {standing.point.recall:.4f} at expansion "
        f"{standing.point.expansion}; {modes}"
    )
    run.report.stated(f"search.3.{name}", what, standing.best, "queries/s")
