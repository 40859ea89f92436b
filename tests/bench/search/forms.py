"""search.10: scalar types, the PCA-reduced graph and the presets, as a table.

`python -m tests.bench.search.forms` prints another one, of what runs in process:
`forms_in_process.py`.
"""

from __future__ import annotations

import numpy as np

from lookalike.v1 import collection_pb2
from lookalike.wire.vectors import F32
from tests.bench.search.forms_in_process import main
from tests.bench.search.loading import load
from tests.bench.search.peers.lookalike import COLLECTION, TARGET
from tests.bench.search.peers.remote import RemotePeer
from tests.bench.search.run import Expected, Run
from tests.bench.search.service import Service, disk_use
from tests.bench.search.vectors import I64, nearest, recall

EXPECTED = (
    Expected(
        "search.10", "scalar types and PCA: recall, bytes an item, µs a query", "table", "stated"
    ),
)

_Settings = collection_pb2.IndexSettings
_FORMS = {
    "balanced (default: PCA, i8)": _Settings(),
    "fast": _Settings(preset=collection_pb2.INDEX_PRESET_FAST),
    "accurate": _Settings(preset=collection_pb2.INDEX_PRESET_ACCURATE),
    "lean": _Settings(preset=collection_pb2.INDEX_PRESET_LEAN),
    "PCA, bf16": _Settings(scalar_type=collection_pb2.SCALAR_TYPE_BF16),
    "PCA, f16": _Settings(scalar_type=collection_pb2.SCALAR_TYPE_F16),
    "i8": _Settings(scalar_type=collection_pb2.SCALAR_TYPE_I8, graph_dimension=0),
    "bf16": _Settings(scalar_type=collection_pb2.SCALAR_TYPE_BF16, graph_dimension=0),
    "f16": _Settings(scalar_type=collection_pb2.SCALAR_TYPE_F16, graph_dimension=0),
    "f32": _Settings(scalar_type=collection_pb2.SCALAR_TYPE_F32, graph_dimension=0),
}
# Of the vectors: each form loads and builds a collection of its own.
_MOST = 60_000
_BATCH = 64
_CALLERS = 2


def measure(run: Run) -> None:
    """Add search.10."""
    table: dict[str, object] = {}
    rows: F32 = np.array(run.dataset.base[:_MOST])
    truth = nearest(rows, run.dataset.queries, 100)
    for form, settings in _FORMS.items():
        with run.service("forms") as service:
            table[form] = _measure_form(run, service, settings, rows, truth)
        print(f"  {form}: {table[form]}", flush=True)
    what = (
        f"after exact re-ranking, each form at its preset's expansion; µs a query in batches of "
        f"{_BATCH} over gRPC from {_CALLERS} callers; {len(rows):,} vectors; "
        f"bytes an item of the graph's file, besides 4 a dimension for re-ranking"
    )
    run.report.stated("search.10", what, table, "table")


def _measure_form(
    run: Run, service: Service, settings: _Settings, rows: F32, truth: I64
) -> dict[str, object]:
    name, dataset = "form", run.dataset
    made = service.create(name, rows.shape[1], settings).settings.index
    build_s = load(service, name, rows)
    ten = recall(service.find(name, dataset.queries, 10), truth, 10)
    hundred = recall(service.find(name, dataset.queries, 100), truth, 100)
    stats = service.describe(name).stats
    environ = {TARGET: f"127.0.0.1:{service.port}", COLLECTION: name}
    with RemotePeer("lookalike", dataset.queries_path, environ) as peer:
        timing = peer.time(
            10, 0, batch=_BATCH, callers=_CALLERS, seconds=max(2.0, run.options.seconds / 3)
        )
    return {
        "recall@10": round(ten, 4),
        "recall@100": round(hundred, 4),
        "graph_bytes_an_item": round(
            disk_use(run.options.work / "forms").graph_bytes / max(1, stats.graph_vectors)
        ),
        "us_a_query": round(1e6 / timing.queries_per_s),
        "load_and_build_s": round(build_s, 1),
        "connectivity": made.connectivity,
        "expansion_add": made.expansion_add,
        "expansion_search": made.expansion_search,
        "graph_dimension": made.graph_dimension,
    }


if __name__ == "__main__":
    main()
