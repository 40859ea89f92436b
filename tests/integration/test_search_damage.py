"""Pages of a store that were zeroed or overwritten while nobody looked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import apsw
import apsw.sqlite_extra
import numpy as np
import pytest

from lookalike.v1 import analysis_pb2_grpc, snapshot_pb2_grpc
from lookalike.v1 import collection_pb2 as cpb
from lookalike.v1 import search_pb2 as spb
from lookalike.v1 import snapshot_pb2 as npb
from lookalike.v1.errors_pb2 import ERROR_REASON_STORE_DAMAGED
from lookalike.v1.evaluation_pb2 import EvaluateRequest
from lookalike.wire.errors import InvalidField, Reason, StoreDamaged
from lookalike.wire.vectors import F32
from search_service.store.schema import PAGE_BYTES
from tests.integration.search_server import SearchServer, item, metadata, refused, running

DIMENSION = 64
COUNT = 1_500
OBJECTS = ("items", "items_by_ordinal", "vectors", "details")


def unit_rows() -> F32:
    rows: F32 = np.random.default_rng(5).normal(size=(COUNT, DIMENSION)).astype(np.float32)
    unit: F32 = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


ROWS = unit_rows()


def fill(server: SearchServer) -> None:
    server.create("s", DIMENSION)
    for start in range(0, COUNT, 500):
        results = server.upsert("s", [_upsert(number) for number in range(start, start + 500)])
        assert not any(result.HasField("error") for result in results)


def _upsert(number: int) -> spb.VectorUpsert:
    facts = metadata(number=number, note=f"text {number} " * 10)
    return item(f"item-{number:05}", ROWS[number].tolist(), metadata=facts)


def store_of(data: Path) -> Path:
    (path,) = data.glob("collections/*/store.db")
    return path


def pages_of(store: Path, name: str) -> list[int]:
    """Return the numbers of the pages of a table or index, the root first."""
    with closing(apsw.Connection(str(store), flags=apsw.SQLITE_OPEN_READONLY)) as db:
        apsw.sqlite_extra.load(db, "cksumvfs")
        rows = db.execute("SELECT pageno FROM dbstat WHERE name = ? ORDER BY path", (name,))
        return [int(row[0]) for row in rows]


def zero(store: Path, page: int) -> None:
    _write(store, page, bytes(PAGE_BYTES))


def scramble(store: Path, page: int) -> None:
    _write(store, page, os.urandom(PAGE_BYTES))


def repeat_neighbour(store: Path, page: int) -> None:
    """Write the page that lies two before over another, whole and with its checksum."""
    content = store.read_bytes()[(page - 3) * PAGE_BYTES :][:PAGE_BYTES]
    _write(store, page, content)


def _write(store: Path, page: int, content: bytes) -> None:
    with store.open("r+b") as file:
        file.seek((page - 1) * PAGE_BYTES)
        file.write(content)


def stats_of(server: SearchServer) -> cpb.CollectionStats:
    request = cpb.GetCollectionRequest(collection="s")
    return server.collections.GetCollection(request).collection.stats


def listed(server: SearchServer) -> list[str]:
    ids: list[str] = []
    request = spb.ListItemsRequest(collection="s", page_size=500)
    request.fields.vector = request.fields.metadata = True
    while True:
        page = server.search.ListItems(request)
        ids += [each.id for each in page.items]
        request.page_token = page.next_page_token
        if not request.page_token:
            return ids


def answered(server: SearchServer) -> int:
    """Count the stored vectors that are still found as nearest to themselves."""
    hits = [server.find("s", ROWS[number].tolist(), 1) for number in range(0, COUNT, 50)]
    return sum(bool(hit) and hit[0].id == f"item-{50 * at:05}" for at, hit in enumerate(hits))


@contextmanager
def refused_for_damage() -> Iterator[None]:
    """Hold that the block is refused for damage, and as nothing to try again."""
    with refused() as found:
        yield
    assert isinstance(found[0], StoreDamaged)
    assert found[0].reason is Reason.STORE_DAMAGED
    assert found[0].retry_delay_s is None


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory of a service that has ended in order; to be copied."""
    data = tmp_path_factory.mktemp("whole")
    with running(data) as server:
        fill(server)
    return data


@pytest.fixture
def data(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "data")
    return tmp_path / "data"


def check_told_and_kept(server: SearchServer, data: Path) -> None:
    """Hold that damage is told everywhere and goes nowhere."""
    assert "damaged" in stats_of(server).store_damage
    (result,) = server.upsert("s", [_upsert(3)])
    assert result.error.reason == ERROR_REASON_STORE_DAMAGED
    snapshots = snapshot_pb2_grpc.SnapshotServiceStub(server.channel)
    with refused_for_damage():
        snapshots.CreateSnapshot(npb.CreateSnapshotRequest(collection="s"))
    assert not list((data / "snapshots").iterdir())


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        ("items", zero),
        ("items_by_ordinal", zero),
        ("vectors", zero),
        ("details", zero),
        ("details", scramble),
        ("vectors", repeat_neighbour),
        ("items_by_ordinal", repeat_neighbour),
    ],
)
def test_damage_at_rest_is_told_and_the_rest_served(
    data: Path, name: str, harm: Callable[[Path, int], None]
) -> None:
    store = store_of(data)
    harm(store, pages_of(store, name)[-1])
    with running(data) as server:
        check_told_and_kept(server, data)
        assert len(listed(server)) > COUNT * 2 // 3
        assert answered(server) > 20


@pytest.mark.parametrize("page", [1, -1])
def test_without_the_pages_that_all_needs_the_collection_is_refused_for_good(
    data: Path, page: int
) -> None:
    store = store_of(data)
    zero(store, page if page > 0 else pages_of(store, "meta")[0])
    with running(data) as server:
        with refused_for_damage():
            server.find("s", ROWS[0].tolist())
        with refused_for_damage():
            stats_of(server)
        (listed_one,) = server.collections.ListCollections(cpb.ListCollectionsRequest()).collections
        assert "damaged" in listed_one.stats.store_damage
        server.create("other", DIMENSION)


def test_damage_that_comes_while_it_runs_is_met_by_a_read(data: Path) -> None:
    store = store_of(data)
    with running(data, "--store-check-rate", "0") as server:
        assert not stats_of(server).store_damage
        # Pages that the start has read are in no reader's cache yet.
        for page in pages_of(store, "vectors")[1:]:
            zero(store, page)
        request = spb.GetItemsRequest(collection="s", ids=["item-00007"])
        request.fields.vector = True
        with refused_for_damage():
            server.search.GetItems(request)
        check_told_and_kept(server, data)
        request.fields.vector = False
        assert server.search.GetItems(request).items[0].id == "item-00007"


def test_an_analysis_of_a_damaged_store_is_refused_for_good(data: Path) -> None:
    store = store_of(data)
    zero(store, pages_of(store, "vectors")[-1])
    with running(data) as server:
        stub = analysis_pb2_grpc.AnalysisServiceStub(server.channel)
        with refused_for_damage():
            list(stub.Evaluate(EvaluateRequest(collection="s", label_field="number")))


def test_a_log_that_was_overwritten_loses_nothing_in_silence(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        fill(server)
        server.kill()
    log = store_of(tmp_path).with_name("store.db-wal")
    with log.open("r+b") as file:
        file.seek(3 * PAGE_BYTES)
        file.write(bytes(PAGE_BYTES))
    for _ in range(2):  # a start leaves the log as it is
        with running(tmp_path) as server:
            check_told_and_kept(server, tmp_path)


def test_a_message_that_cannot_be_read_is_the_sender_s_fault(tmp_path: Path) -> None:
    update = spb.MetadataUpdate(id="a", metadata=metadata(word="xyzzy"))
    request = spb.UpdateMetadataRequest(collection="s", updates=[update]).SerializeToString()
    with running(tmp_path) as server:
        server.create("s", DIMENSION)
        call: Any = server.channel.unary_unary("/lookalike.v1.SearchService/UpdateMetadata")
        with refused() as found:
            call(request.replace(b"xyzzy", b"x\xff\xfezy"))
        assert isinstance(found[0], InvalidField)
        assert "UTF-8" in found[0].message
