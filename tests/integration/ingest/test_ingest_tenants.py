"""Tenants submit, follow and list what is theirs, through the queue and the worker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import grpc
import pytest

from lookalike.v1 import collection_pb2 as collections
from lookalike.v1 import ingest_pb2 as ingest
from lookalike.v1 import reembedding_pb2 as reembedding
from lookalike.v1 import search_pb2 as spb
from lookalike.wire.errors import Reason
from lookalike.wire.keys import Scope
from tests.integration.ingest.system import System
from tests.integration.keyed import Caller, KeyFile
from tests.integration.search_server import metadata
from tests.integration.tenant_requests import FIELDS

_TENANTS = ("a", "b")


class Rig(NamedTuple):
    admin: Caller
    a: Caller
    b: Caller
    system: System


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """All four processes, two tenants and somebody who sees everything."""
    root = tmp_path_factory.mktemp("ingest-tenants")
    file = KeyFile(root / "keys.json")
    file.add("admin")
    writing = frozenset({Scope.READ, Scope.WRITE})
    for name in _TENANTS:
        file.add(name, writing, tenant=((("owner", "name"), name),))
    (root / "token").write_text(file.tokens["admin"])
    keys = ("--keys-file", str(file.path))
    system = System(
        root,
        search_options=(*keys, "--token-file", str(root / "token")),
        embedder_options=("--models", "stub,second"),
        worker_options=("--token-file", str(root / "token")),
    )
    try:
        system.start()
        port = int(system.search_address.rsplit(":", 1)[1])
        admin, a, b = callers = [Caller(port, file.tokens[name]) for name in ("admin", *_TENANTS)]
        create = collections.CreateCollectionRequest(name="c", model="")
        admin.call("CollectionService/CreateCollection", create)
        yield Rig(admin, a, b, system)
        for caller in callers:
            caller.channel.close()
    finally:
        system.stop()


def submit(caller: Caller, id: str, job: str = "", **upload: Any) -> ingest.SubmitImagesResponse:
    """Submit one picture: `upload` is its fields, or "delete" or "metadata" in their place."""
    request = ingest.SubmitImagesRequest(collection="c", job_id=job)
    if "delete" in upload:
        request.delete.id = id
    elif "change" in upload:
        request.metadata.CopyFrom(ingest.ImageMetadata(id=id, metadata=upload["change"]))
    else:
        fields = {"image": f"picture {id}".encode(), **upload}
        request.upload.CopyFrom(ingest.ImageUpload(id=id, **fields))
    (answer,) = caller.call("IngestService/SubmitImages", [request])
    assert isinstance(answer, ingest.SubmitImagesResponse)
    return answer


def in_turn(caller: Caller, id: str, job: str, **upload: Any) -> None:
    """Submit until what came before is done, as clients do."""
    deadline_s = time.monotonic() + 30
    while (answer := submit(caller, id, job, **upload)).HasField("error"):
        assert answer.error.retryable, answer.error
        assert time.monotonic() < deadline_s
        time.sleep(answer.retry_delay.ToTimedelta().total_seconds())


def watched(caller: Caller, job: str) -> list[spb.MutationResult]:
    request = ingest.WatchIngestRequest(job_id=job)
    return [each.result for each in caller.call("IngestService/WatchIngest", request)]


def failures(caller: Caller) -> list[ingest.IngestFailure]:
    (answer,) = caller.call("IngestService/ListFailures", ingest.ListFailuresRequest())
    return list(answer.failures)


def stored(rig: Rig, id: str) -> dict[str, Any] | None:
    request = spb.GetItemsRequest(collection="c", ids=[id], fields=FIELDS)
    (answer,) = rig.admin.call("SearchService/GetItems", request)
    if not answer.items:
        return None
    fields = answer.items[0].metadata
    return {key: dict(fields[key]) if key == "owner" else fields[key] for key in fields}


def test_a_tenants_picture_is_marked_and_its_jobs_are_its_own(rig: Rig) -> None:
    for caller in (rig.a, rig.b):
        name = "a" if caller is rig.a else "b"
        assert submit(caller, f"own-{name}", "job", metadata=metadata(n=1)).HasField("accepted")

    ended = {name: watched(caller, "job") for name, caller in (("a", rig.a), ("b", rig.b))}

    assert {name: [each.id for each in said] for name, said in ended.items()} == {
        name: [f"own-{name}"] for name in _TENANTS
    }
    assert stored(rig, "own-a") == {"n": 1, "owner": {"name": "a"}}
    assert watched(rig.admin, "job") == []  # whose name is another one


def test_the_id_of_another_is_not_taken_and_the_failure_is_its_senders(rig: Rig) -> None:
    submit(rig.a, "taken", "first")
    watched(rig.a, "first")
    before = stored(rig, "taken")

    submit(rig.b, "taken", "second")
    (refused,) = watched(rig.b, "second")
    (own,) = failures(rig.b)

    assert refused.error.reason == int(Reason.PERMISSION_DENIED)
    assert (own.id, own.job_id) == ("taken", "second")
    assert failures(rig.a) == []
    (seen,) = failures(rig.admin)
    mark, job = seen.job_id.split(":")
    assert (job, len(mark)) == ("second", 16)
    assert watched(rig.admin, seen.job_id) == [refused]

    def retried(caller: Caller) -> ingest.RetryFailuresResponse:
        request = ingest.RetryFailuresRequest(failure_ids=[own.failure_id])
        (answer,) = caller.call("IngestService/RetryFailures", request)
        assert isinstance(answer, ingest.RetryFailuresResponse)
        return answer

    # Of another's failure a tenant hears what it hears of none.
    assert list(retried(rig.a).missing_failure_ids) == [own.failure_id]
    assert retried(rig.b).retried == 1
    assert [each.error.reason for each in watched(rig.b, "second")] == [refused.error.reason] * 2

    in_turn(rig.b, "taken", "third", delete=True)
    in_turn(rig.b, "taken", "third", change=metadata(n=2))
    assert {each.status for each in watched(rig.b, "third")} == {spb.MUTATION_STATUS_NOT_FOUND}
    assert stored(rig, "taken") == before


def test_a_failure_stays_whatever_another_tenant_does_with_the_id(rig: Rig) -> None:
    submit(rig.a, "shared", "own")
    watched(rig.a, "own")
    submit(rig.b, "shared", "late")
    (refused,) = watched(rig.b, "late")
    listed = [each for each in failures(rig.b) if each.id == "shared"]
    assert len(listed) == 1

    # Through the queue, and past it; `failures` forgets what is settled.
    submit(rig.a, "shared", "again", image=b"another")
    watched(rig.a, "again")
    assert [each for each in failures(rig.b) if each.id == "shared"] == listed
    change = spb.MetadataUpdate(id="shared", metadata=metadata(n=1))
    request = spb.UpdateMetadataRequest(collection="c", updates=[change])
    rig.a.call("SearchService/UpdateMetadata", request)
    deletion = spb.DeleteItemsRequest(collection="c", items=[spb.ItemDelete(id="shared")])
    rig.a.call("SearchService/DeleteItems", deletion)
    submit(rig.a, "shared", "new", image=b"third")
    watched(rig.a, "new")
    assert [each for each in failures(rig.b) if each.id == "shared"] == listed
    assert [each for each in failures(rig.admin) if each.id == "shared"]

    # What the tenant itself stores under the id settles it.
    rig.a.call("SearchService/DeleteItems", deletion)
    submit(rig.b, "shared", "late")
    assert watched(rig.b, "late")[-1].status == spb.MUTATION_STATUS_APPLIED
    assert [each for each in failures(rig.b) if each.id == "shared"] == []
    assert refused.error.reason == int(Reason.PERMISSION_DENIED)


def test_the_state_is_that_of_the_tenant(rig: Rig) -> None:
    rig.system.worker.terminate()
    try:
        for n in range(3):
            submit(rig.b, f"waits-{n}", "waiting")
        (own,) = rig.b.call("IngestService/GetIngestStatus", ingest.GetIngestStatusRequest())
        (others,) = rig.a.call("IngestService/GetIngestStatus", ingest.GetIngestStatusRequest())
        (late,) = [submit(rig.b, "waits-0", "waiting", delete=True)]
    finally:
        rig.system.worker.start()
    in_turn(rig.b, "waits-0", "waiting", delete=True)
    ended = watched(rig.b, "waiting")

    assert own.queue_depth == 3
    assert own.HasField("oldest_age")
    assert others == ingest.GetIngestStatusResponse()
    assert late.error.retryable
    assert [each.status for each in ended] == [spb.MUTATION_STATUS_APPLIED] * 4
    assert stored(rig, "waits-0") is None
    assert stored(rig, "waits-1") is not None


@pytest.mark.parametrize(
    ("upload", "field"),
    [
        ({"metadata": metadata(owner={"name": "b"})}, "upload.metadata"),
        ({"metadata": metadata(owner="a")}, "upload.metadata"),
        ({"image_uri": "file:///etc/hostname"}, "upload.image_uri"),
        ({"change": metadata(owner={"name": None})}, "metadata.metadata"),
    ],
)
def test_a_tenant_gives_nothing_away_and_names_no_file(
    rig: Rig, upload: dict[str, Any], field: str
) -> None:
    if "image_uri" in upload:
        request = ingest.SubmitImagesRequest(
            collection="c", upload=ingest.ImageUpload(id="x", **upload)
        )
        (answer,) = rig.a.call("IngestService/SubmitImages", [request])
    else:
        answer = submit(rig.a, "x", **upload)

    assert answer.error.reason == int(Reason.PERMISSION_DENIED)
    assert answer.error.field == field


def test_the_jobs_of_others_cannot_be_named(rig: Rig) -> None:
    others = f"{'0' * 16}:job"
    assert watched(rig.admin, others) == []

    with pytest.raises(grpc.RpcError) as raised:
        watched(rig.a, others)
    guarded = spb.ItemDelete(id="own-b", guard=metadata(owner={"name": "b"}))
    request = spb.DeleteItemsRequest(collection="c", items=[guarded])
    (answer,) = rig.a.call("SearchService/DeleteItems", request)

    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert answer.results[0].error.field == "guard"
    assert stored(rig, "own-b") is not None


def test_a_move_to_another_model_keeps_tenants_apart(rig: Rig) -> None:
    submit(rig.a, "moved", "moved")
    watched(rig.a, "moved")
    create = collections.CreateCollectionRequest(name="c2", model="second")
    rig.admin.call("CollectionService/CreateCollection", create)
    rig.system.worker.terminate()
    try:
        submit(rig.a, "on-its-way", "moved")
        start = reembedding.StartReembeddingRequest(source="c", target="c2")
        rig.admin.call("ReembeddingService/StartReembedding", start)
        # The second collection has neither yet, and would take them.
        taken = submit(rig.b, "moved")
        contested = submit(rig.b, "on-its-way")
        submit(rig.a, "deleted", "moved")
        request = ingest.SubmitImagesRequest(collection="c2")
        request.delete.id = "deleted"
        (early,) = rig.a.call("IngestService/SubmitImages", [request])
    finally:
        rig.system.worker.start()
    assert (taken.error.reason, taken.error.field) == (int(Reason.PERMISSION_DENIED), "upload.id")
    assert contested.error.retryable
    assert early.error.retryable  # what waits of the tenant's is known there, too
    watched(rig.a, "moved")
    deadline_s = time.monotonic() + 30
    while (owner_in(rig, "c2", "on-its-way"), owner_in(rig, "c2", "deleted")) != ("a", "a"):
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
    assert [owner_in(rig, "c", id) for id in ("moved", "on-its-way")] == ["a", "a"]
    ending = reembedding.EndReembeddingRequest(collection="c", delete_collection="c2")
    rig.admin.call("ReembeddingService/EndReembedding", ending)


def owner_in(rig: Rig, collection: str, id: str) -> str:
    request = spb.GetItemsRequest(collection=collection, ids=[id], fields=FIELDS)
    (answer,) = rig.admin.call("SearchService/GetItems", request)
    return str(answer.items[0].metadata["owner"]["name"]) if answer.items else ""
