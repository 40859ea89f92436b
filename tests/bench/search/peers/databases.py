"""Vector databases: Chroma and LanceDB in process, Milvus as a server."""

from __future__ import annotations

import importlib
import socket
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.search.peers.protocol import F32, I64, padded

_BLOCK_ROWS = 5_000
# LanceDB searches int8 codes: five times as many are re-ranked on the full vectors.
_REFINE = 5
_START_TIMEOUT_S = 120


class Chroma:
    """Chroma's persistent client, in process."""

    def __init__(self) -> None:
        self._library: Any = importlib.import_module("chromadb")
        self._settings: Any = importlib.import_module("chromadb.config").Settings
        shared: Any = importlib.import_module("chromadb.api.shared_system_client")
        self._forget = shared.SharedSystemClient.clear_system_cache
        self._directory = tempfile.TemporaryDirectory(prefix="bench-chroma-")
        self._collection: Any = None
        self._expansion = 0

    def build(self, vectors: F32, connectivity: int, expansion_add: int) -> None:
        """Add all vectors, then search once so that nothing is left in its log."""
        settings = {
            "space": "ip",
            "max_neighbors": connectivity,
            "ef_construction": expansion_add,
            "ef_search": 100,
        }
        self._collection = self._client().create_collection(
            "bench", embedding_function=None, configuration={"hnsw": settings}
        )
        for start in range(0, len(vectors), _BLOCK_ROWS):
            rows = np.asarray(vectors[start : start + _BLOCK_ROWS])
            ids = [str(key) for key in range(start, start + len(rows))]
            self._collection.add(ids=ids, embeddings=rows)
        self.search(np.asarray(vectors[:1]), 1, 100)

    def search(self, queries: F32, count: int, expansion: int) -> I64:
        """Query by embeddings, ids only."""
        if expansion != self._expansion:
            self._collection.modify(configuration={"hnsw": {"ef_search": expansion}})
            # An open index keeps the expansion that it was opened with.
            self._forget()
            self._collection = self._client().get_collection("bench", embedding_function=None)
            self._expansion = expansion
        found = self._collection.query(query_embeddings=queries, n_results=count, include=[])
        return padded([[int(key) for key in ids] for ids in found["ids"]], count)

    def close(self) -> None:
        """Remove its files."""
        self._forget()
        self._directory.cleanup()

    def _client(self) -> Any:
        return self._library.PersistentClient(
            path=self._directory.name, settings=self._settings(anonymized_telemetry=False)
        )


class Lancedb:
    """LanceDB IVF_HNSW_SQ with one partition and refinement, in process."""

    def __init__(self) -> None:
        self._library: Any = importlib.import_module("lancedb")
        self._arrow: Any = importlib.import_module("pyarrow")
        self._directory = tempfile.TemporaryDirectory(prefix="bench-lance-")
        self._table: Any = None

    def build(self, vectors: F32, connectivity: int, expansion_add: int) -> None:
        """Write the table, then its index."""
        database = self._library.connect(self._directory.name)
        dimension = vectors.shape[1]
        for start in range(0, len(vectors), _BLOCK_ROWS):
            rows = np.asarray(vectors[start : start + _BLOCK_ROWS])
            column = self._arrow.FixedSizeListArray.from_arrays(rows.reshape(-1), dimension)
            keys = self._arrow.array(np.arange(start, start + len(rows)))
            batch = self._arrow.table({"key": keys, "vector": column})
            if self._table is None:
                self._table = database.create_table("bench", batch)
            else:
                self._table.add(batch)
        self._table.optimize()
        self._table.create_index(
            metric="dot",
            vector_column_name="vector",
            index_type="IVF_HNSW_SQ",
            num_partitions=1,
            m=connectivity,
            ef_construction=expansion_add,
        )

    def search(self, queries: F32, count: int, expansion: int) -> I64:
        """Search all queries at once, refined, keys only."""
        search = self._table.search(queries if len(queries) > 1 else queries[0])
        plan = search.nprobes(1).ef(max(expansion, count * _REFINE)).refine_factor(_REFINE)
        found = plan.limit(count).select(["key"]).to_arrow()
        keys = found["key"].to_numpy()
        if len(queries) == 1:
            return padded([keys.tolist()], count)
        which = found["query_index"].to_numpy()
        return padded([keys[which == query].tolist() for query in range(len(queries))], count)

    def close(self) -> None:
        """Remove its files."""
        self._directory.cleanup()


class Milvus:
    """The Milvus standalone server of PyPI's `milvus`, over gRPC on loopback."""

    def __init__(self) -> None:
        server: Any = importlib.import_module("milvus").default_server
        client: Any = importlib.import_module("pymilvus").MilvusClient
        self._directory = tempfile.TemporaryDirectory(prefix="bench-milvus-")
        self._server = server
        server.set_base_dir(str(Path(self._directory.name) / "data"))
        server.listen_port = _free_port()
        server.start()
        self._client = client(
            uri=f"http://127.0.0.1:{server.listen_port}", timeout=_START_TIMEOUT_S
        )

    def build(self, vectors: F32, connectivity: int, expansion_add: int) -> None:
        """Insert, flush, index, load."""
        client = self._client
        schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
        types: Any = importlib.import_module("pymilvus").DataType
        schema.add_field("key", types.INT64, is_primary=True)
        schema.add_field("vector", types.FLOAT_VECTOR, dim=vectors.shape[1])
        client.create_collection("bench", schema=schema)
        for start in range(0, len(vectors), _BLOCK_ROWS):
            rows = np.asarray(vectors[start : start + _BLOCK_ROWS])
            data = [{"key": start + place, "vector": row} for place, row in enumerate(rows)]
            client.insert("bench", data)
        client.flush("bench")
        index = client.prepare_index_params()
        index.add_index(
            "vector",
            index_type="HNSW",
            metric_type="IP",
            params={"M": connectivity, "efConstruction": expansion_add},
        )
        client.create_index("bench", index)
        client.load_collection("bench")

    def search(self, queries: F32, count: int, expansion: int) -> I64:
        """Search all queries in one request."""
        found = self._client.search(
            "bench",
            data=list(queries),
            limit=count,
            search_params={"metric_type": "IP", "params": {"ef": max(expansion, count)}},
        )
        return padded([[hit["id"] for hit in hits] for hits in found], count)

    def close(self) -> None:
        """Stop the server and remove its files."""
        self._client.close()
        self._server.stop()
        self._directory.cleanup()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
