"""Snapshots over a socket: taken, carried about, restored, refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from google.protobuf.struct_pb2 import Struct

from lookalike.v1 import collection_pb2 as cpb
from lookalike.v1 import image_pb2, snapshot_pb2_grpc
from lookalike.v1 import search_pb2 as spb
from lookalike.v1 import snapshot_pb2 as pb
from lookalike.wire.errors import Reason
from tests.integration.search_server import SearchServer, item, packed, refused, running

DIMENSION = 16
ALL = spb.ItemFields(metadata=True, facts=True, thumbnail=True, vector=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchServer]:
    # Small enough a head that there are segments to share.
    with running(tmp_path_factory.mktemp("data"), "--head-limit", "500") as server:
        server.create(
            "shoes",
            DIMENSION,
            settings=cpb.CollectionSettings(
                duplicates=cpb.DuplicateSettings(policy=cpb.DUPLICATE_POLICY_FLAG, threshold=0.9999)
            ),
        )
        write(server, "shoes", 0, 1_500)
        server.search.DeleteItems(
            spb.DeleteItemsRequest(collection="shoes", items=[spb.ItemDelete(id="item-7")])
        )
        yield server


def test_a_restored_collection_is_the_same(server: SearchServer) -> None:
    taken = create(server, "shoes")
    before = items_of(server, "shoes")
    write(server, "shoes", 5_000, 10)  # does not reach what was taken
    restored = restore(server, taken.snapshot_id, "shoes-2")

    assert (taken.items, restored.items) == (1_499, 1_499)
    assert items_of(server, "shoes-2") == before
    was, now = (describe(server, name) for name in ("shoes", "shoes-2"))
    assert now.uid == restored.collection_uid != was.uid
    assert (now.settings, now.dimension) == (was.settings, was.dimension)
    assert (now.stats.last_build_error, was.stats.last_build_error) == ("", "")
    for number in (0, 700, 1_499):
        hits = server.find("shoes-2", vector(number), limit=3)
        assert hits[0].id == f"item-{number}"
    server.search.DeleteItems(
        spb.DeleteItemsRequest(
            collection="shoes", items=[spb.ItemDelete(id=f"item-{n}") for n in range(5_000, 5_010)]
        )
    )


def test_versions_go_on_and_both_go_their_own_ways(server: SearchServer) -> None:
    taken = create(server, "shoes")
    restore(server, taken.snapshot_id, "own-ways")
    newest = max(each.version for each in items_of(server, "shoes").values())
    (result,) = server.upsert("own-ways", [item("item-3", vector(9_000))])

    assert result.version > newest
    assert server.find("own-ways", vector(9_000), limit=1)[0].id == "item-3"
    assert server.find("shoes", vector(3), limit=1)[0].id == "item-3"


def test_an_archive_survives_the_way_to_another_service(
    server: SearchServer, tmp_path: Path
) -> None:
    taken = create(server, "shoes")
    chunks = download(server, taken.snapshot_id)
    assert sum(map(len, chunks)) == taken.size_bytes
    assert max(map(len, chunks)) <= 1 << 20
    with running(tmp_path) as other:
        uploaded = upload(other, chunks)
        restored = restore(other, uploaded.snapshot_id, "shoes")
        assert restored.items == taken.items
        assert items_of(other, "shoes") == items_of(server, "shoes")
        assert other.find("shoes", vector(11), limit=1)[0].id == "item-11"
        assert uploaded == taken
        assert upload(other, chunks) == taken
    with running(tmp_path) as again:
        (listed,) = stub(again).ListSnapshots(pb.ListSnapshotsRequest()).snapshots
        assert listed == uploaded
        assert items_of(again, "shoes") == items_of(server, "shoes")


def test_snapshots_are_listed_newest_first_and_deleted(server: SearchServer) -> None:
    server.create("listed", DIMENSION)
    taken = [create(server, "listed").snapshot_id for _ in range(5)]
    seen: list[str] = []
    token = ""
    while True:
        request = pb.ListSnapshotsRequest(collection="listed", page_size=2, page_token=token)
        page = stub(server).ListSnapshots(request)
        seen += [each.snapshot_id for each in page.snapshots]
        token = page.next_page_token
        if not token:
            break
    assert seen == taken[::-1]
    for snapshot_id in taken:
        stub(server).DeleteSnapshot(pb.DeleteSnapshotRequest(snapshot_id=snapshot_id))
    assert not stub(server).ListSnapshots(pb.ListSnapshotsRequest(collection="listed")).snapshots
    with refused() as errors:
        stub(server).DeleteSnapshot(pb.DeleteSnapshotRequest(snapshot_id=taken[0]))
    assert errors[0].reason is Reason.SNAPSHOT_NOT_FOUND


def test_a_snapshot_outlives_its_collection(server: SearchServer) -> None:
    server.create("short", DIMENSION)
    write(server, "short", 0, 20)
    taken = create(server, "short")
    before = items_of(server, "short")
    server.collections.DeleteCollection(cpb.DeleteCollectionRequest(name="short"))
    restore(server, taken.snapshot_id, "short")
    assert items_of(server, "short") == before


def test_what_cannot_be_is_refused(server: SearchServer) -> None:
    taken = create(server, "shoes")
    for call, reason in (
        (lambda: create(server, "nowhere"), Reason.COLLECTION_NOT_FOUND),
        (lambda: restore(server, "nowhere", "new"), Reason.SNAPSHOT_NOT_FOUND),
        (lambda: restore(server, "../../etc", "new"), Reason.SNAPSHOT_NOT_FOUND),
        (lambda: restore(server, taken.snapshot_id, "shoes"), Reason.COLLECTION_EXISTS),
        (lambda: restore(server, taken.snapshot_id, ""), Reason.INVALID_FIELD),
        (lambda: restore(server, taken.snapshot_id, "../x"), Reason.INVALID_FIELD),
        (lambda: download(server, "../collections"), Reason.SNAPSHOT_NOT_FOUND),
        (lambda: upload(server, [b"no archive" * 100]), Reason.SNAPSHOT_INVALID),
        (lambda: upload(server, []), Reason.SNAPSHOT_INVALID),
        (lambda: upload(server, [bytes((16 << 20) + 1)]), Reason.LIMIT_EXCEEDED),
    ):
        with refused() as errors:
            call()
        assert errors[0].reason is reason


def stub(server: SearchServer) -> snapshot_pb2_grpc.SnapshotServiceStub:
    return snapshot_pb2_grpc.SnapshotServiceStub(server.channel)


def create(server: SearchServer, collection: str) -> pb.Snapshot:
    return stub(server).CreateSnapshot(pb.CreateSnapshotRequest(collection=collection)).snapshot


def restore(server: SearchServer, snapshot_id: str, name: str) -> pb.RestoreSnapshotResponse:
    request = pb.RestoreSnapshotRequest(snapshot_id=snapshot_id, collection=name)
    return stub(server).RestoreSnapshot(request)


def download(server: SearchServer, snapshot_id: str) -> list[bytes]:
    request = pb.DownloadSnapshotRequest(snapshot_id=snapshot_id)
    return [each.chunk for each in stub(server).DownloadSnapshot(request)]


def upload(server: SearchServer, chunks: Sequence[bytes]) -> pb.Snapshot:
    requests = (pb.UploadSnapshotRequest(chunk=chunk) for chunk in chunks)
    return stub(server).UploadSnapshot(requests).snapshot


def describe(server: SearchServer, name: str) -> cpb.Collection:
    return server.collections.GetCollection(cpb.GetCollectionRequest(collection=name)).collection


def items_of(server: SearchServer, name: str) -> dict[str, spb.Item]:
    """Every item with all that it has, by id."""
    found: dict[str, spb.Item] = {}
    token = ""
    while True:
        page = server.search.ListItems(
            spb.ListItemsRequest(collection=name, fields=ALL, page_size=500, page_token=token)
        )
        found.update((each.id, each) for each in page.items)
        token = page.next_page_token
        if not token:
            return found


def write(server: SearchServer, name: str, first: int, count: int) -> None:
    for start in range(first, first + count, 500):
        numbers = range(start, min(start + 500, first + count))
        results = server.upsert(name, [an_item(number) for number in numbers])
        assert {each.status for each in results} == {spb.MUTATION_STATUS_APPLIED}


def an_item(number: int) -> spb.VectorUpsert:
    metadata = Struct()
    metadata.update({"number": number, "tags": ["a", "ü"], "price": number / 7, "none": None})
    facts = image_pb2.ImageFacts(
        width_px=number + 1,
        height_px=2,
        sha256=bytes([number % 256]) * 32,
        perceptual_hash=2**63 + number,
        sharpness=0.1,
        format="JPEG",
        thumbnail_webp=b"webp" * (number % 50),
    )
    made = item(f"item-{number}", vector(number), metadata=metadata, facts=facts)
    for place in range(number % 40 // 38 * 3):  # a few have four vectors
        made.vectors.add(vector_f32_le=packed(vector(10_000 + 3 * number + place)))
    return made


def vector(number: int) -> Sequence[float]:
    drawn: Sequence[float] = np.random.default_rng([5, number]).normal(size=DIMENSION).tolist()
    return drawn


def test_a_lean_collection_is_restored_as_one(server: SearchServer) -> None:
    index = cpb.IndexSettings(preset=cpb.INDEX_PRESET_LEAN)
    server.create("lean", DIMENSION, settings=cpb.CollectionSettings(index=index))
    write(server, "lean", 0, 60)
    taken = create(server, "lean")
    restore(server, taken.snapshot_id, "lean-2")
    was, now = (describe(server, name).settings.index for name in ("lean", "lean-2"))
    assert now == was
    assert (now.preset, now.scalar_type) == (cpb.INDEX_PRESET_LEAN, cpb.SCALAR_TYPE_I4)
    assert items_of(server, "lean-2") == items_of(server, "lean")
    assert server.find("lean-2", vector(7), limit=1)[0].id == "item-7"
