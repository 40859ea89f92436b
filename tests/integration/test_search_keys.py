"""Who may call what: wrong keys, scopes, collections, certificates; and limits of a key."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from lookalike.v1 import collection_pb2 as collections
from lookalike.v1 import drift_pb2 as drift
from lookalike.v1 import search_pb2 as spb
from lookalike.v1 import snapshot_pb2 as snapshot
from lookalike.wire.channel import TlsFiles
from lookalike.wire.keys import Scope
from tests.integration.certified import Certified
from tests.integration.keyed import Caller, KeyFile, calling
from tests.integration.search_server import running

COUNT = spb.CountItemsRequest(collection="photos")
CREATE = collections.CreateCollectionRequest(name="photos", dimension=4, external_vectors=True)
DELETE = spb.DeleteItemsRequest(collection="photos", items=[spb.ItemDelete(id="x")])
# A change of the file is taken within a second.
TAKEN_S = 10.0


class System(NamedTuple):
    port: int
    keys: KeyFile
    certified: Certified
    log: Path


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A service with mutual TLS and keys."""
    root = tmp_path_factory.mktemp("keys")
    certified = Certified(root / "tls")
    tls = certified.issue("server")
    keys = KeyFile(root / "keys.json")
    keys.add("admin")
    keys.add("reader", frozenset({Scope.READ}))
    keys.add("writer", frozenset({Scope.WRITE}))
    keys.add("shop", collections=("shop-*",))
    keys.add("old", expire_time=datetime.now(UTC) - timedelta(seconds=1))
    options = (
        *("--keys-file", str(keys.path), "--tls-ca", str(tls.ca)),
        *("--tls-certificate", str(tls.certificate), "--tls-key", str(tls.key)),
        *("--reflection", "--log-json"),
    )
    with running(root / "data", *options) as server:
        made = System(server.port, keys, certified, root)
        with caller(made, "admin") as admin:
            admin.call("CollectionService/CreateCollection", CREATE)
        yield made


def caller(system: System, name: str) -> Any:
    """Connect with a certificate and the key of a name; "" for none."""
    token = system.keys.tokens[name] if name else None
    return calling(system.port, token, system.certified.issue("client"))


def code_of(who: Caller, method: str, request: Any) -> grpc.StatusCode:
    try:
        who.call(method, request, timeout_s=30.0)
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return grpc.StatusCode.OK


def test_a_call_without_a_key_that_is_known_is_unauthenticated(system: System) -> None:
    wrong = system.keys.tokens["reader"][:-1] + "!"
    other = "lk_000000000000_" + "A" * 43
    files = system.certified.issue("client")
    for token in (None, wrong.replace("!", "~"), other, "x", system.keys.tokens["old"]):
        with calling(system.port, token, files) as who:
            assert (
                code_of(who, "SearchService/CountItems", COUNT) is grpc.StatusCode.UNAUTHENTICATED
            )


DENIED, UNKNOWN = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED
SNAPSHOTS = snapshot.ListSnapshotsRequest()
ATTEMPTS: list[tuple[str, str, Any, grpc.StatusCode]] = [
    ("reader", "SearchService/CountItems", COUNT, grpc.StatusCode.OK),
    ("reader", "SearchService/DeleteItems", DELETE, DENIED),
    ("reader", "SearchService/UpsertVectors", [spb.UpsertVectorsRequest()], DENIED),
    ("reader", "CollectionService/CreateCollection", CREATE, DENIED),
    ("reader", "SnapshotService/ListSnapshots", SNAPSHOTS, DENIED),
    ("reader", "AnalysisService/ResetDrift", drift.ResetDriftRequest(collection="photos"), DENIED),
    ("writer", "SearchService/CountItems", COUNT, DENIED),
    ("writer", "SearchService/DeleteItems", DELETE, grpc.StatusCode.OK),
    ("shop", "SearchService/CountItems", COUNT, DENIED),
    # Whether it is there is not told.
    ("shop", "SearchService/CountItems", spb.CountItemsRequest(collection="nothing"), DENIED),
    (
        *("shop", "SearchService/CountItems", spb.CountItemsRequest(collection="shop-1")),
        grpc.StatusCode.NOT_FOUND,
    ),
    ("shop", "SnapshotService/ListSnapshots", SNAPSHOTS, DENIED),
    (
        *("shop", "CollectionService/SetAlias"),
        collections.SetAliasRequest(alias="shop-a", collection="photos"),
        DENIED,
    ),
    (
        *("shop", "CollectionService/DeleteCollection"),
        collections.DeleteCollectionRequest(name="photos"),
        DENIED,
    ),
]


@pytest.mark.parametrize(("name", "method", "request_", "code"), ATTEMPTS)
def test_a_key_does_what_it_is_for(
    system: System, name: str, method: str, request_: Any, code: grpc.StatusCode
) -> None:
    with caller(system, name) as who:
        assert code_of(who, method, request_) is code


def test_a_key_for_some_collections_lists_those(system: System) -> None:
    with caller(system, "shop") as shop, caller(system, "admin") as admin:
        request = collections.CreateCollectionRequest(
            name="shop-b", dimension=4, external_vectors=True
        )
        shop.call("CollectionService/CreateCollection", request)
        (seen,) = shop.call(
            "CollectionService/ListCollections", collections.ListCollectionsRequest()
        )
        # By its UID too, which is of a name that the key is for; and not by another's.
        uid = spb.CountItemsRequest(collection=seen.collections[0].uid)
        (photos,) = admin.call(
            "CollectionService/GetCollection",
            collections.GetCollectionRequest(collection="photos"),
        )
        other = spb.CountItemsRequest(collection=photos.collection.uid)

        assert [each.name for each in seen.collections] == ["shop-b"]
        assert code_of(shop, "SearchService/CountItems", uid) is grpc.StatusCode.OK
        assert code_of(shop, "SearchService/CountItems", other).name == "PERMISSION_DENIED"


def test_health_is_open_and_reflection_is_not(system: System) -> None:
    files = system.certified.issue("client")
    with calling(system.port, None, files) as who:
        said = health_pb2_grpc.HealthStub(who.channel).Check(
            health_pb2.HealthCheckRequest(), timeout=30.0
        )
        method: Any = who.channel.stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
        )
        with pytest.raises(grpc.RpcError) as failed:
            list(method(iter([b""]), timeout=30.0))

    assert said.status == health_pb2.HealthCheckResponse.SERVING
    assert failed.value.code() is grpc.StatusCode.UNAUTHENTICATED


def _connects(system: System, tls: TlsFiles | None) -> bool:
    with calling(system.port, system.keys.tokens["admin"], tls) as who:
        code = code_of(who, "SearchService/CountItems", COUNT)
        assert code in (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE)
        return code is grpc.StatusCode.OK


def test_certificates_that_are_not_trusted_do_not_connect(system: System) -> None:
    ours = system.certified.issue("client")
    stranger = Certified(system.log / "stranger").issue("client")
    expired = system.certified.issue("expired", valid_from=timedelta(days=-9))

    assert _connects(system, ours)
    assert not _connects(system, None)
    assert not _connects(system, stranger)  # neither trusts the other
    assert not _connects(
        system, TlsFiles(ca=ours.ca, certificate=stranger.certificate, key=stranger.key)
    )
    assert not _connects(system, TlsFiles(ca=ours.ca))
    assert not _connects(
        system, TlsFiles(ca=ours.ca, certificate=expired.certificate, key=expired.key)
    )


def _until(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + TAKEN_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.05)


def test_a_key_that_is_revoked_ends_its_streams_too(system: System) -> None:
    system.keys.add("leaving")
    empty = spb.SearchStreamRequest(search=spb.SearchRequest(collection="photos"))
    more = True

    def requests() -> Iterator[spb.SearchStreamRequest]:
        while more:
            yield empty
            time.sleep(0.05)

    with caller(system, "leaving") as who:
        _until(lambda: code_of(who, "SearchService/CountItems", COUNT) is grpc.StatusCode.OK)
        stream = who.stubs["SearchService"].SearchStream(requests(), timeout=30.0)
        next(stream)
        system.keys.remove("leaving")
        _until(lambda: code_of(who, "SearchService/CountItems", COUNT).name == "UNAUTHENTICATED")
        with pytest.raises(grpc.RpcError) as failed:
            for _ in stream:
                pass
    more = False
    assert failed.value.code() is grpc.StatusCode.UNAUTHENTICATED
