"""A key that is bound to a tenant sees and changes what is the tenant's, whatever it calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import grpc
import pytest

from lookalike.serving.access.rules import RULES, Reach
from lookalike.v1 import collection_pb2 as collections
from lookalike.v1 import search_pb2 as spb
from lookalike.wire.errors import NotFound, PermissionDenied
from lookalike.wire.keys import Scope
from tests.integration.keyed import Caller, KeyFile
from tests.integration.search_server import item, metadata, refused, running
from tests.integration.tenant_requests import (
    FIELDS,
    OTHERS,
    SECRET,
    analyses,
    asked,
    by_text,
    declared,
    search,
)


class System(NamedTuple):
    admin: Caller
    tenant: Caller
    others: int
    own: int


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Two tenants in one collection: the caller's 4 items and 6 of another."""
    root = tmp_path_factory.mktemp("tenants")
    file = KeyFile(root / "keys.json")
    file.add("admin")
    scopes = frozenset({Scope.READ, Scope.WRITE})
    file.add("tenant", scopes, tenant=((("tenant",), "a"),))
    with running(root / "data", "--keys-file", str(file.path)) as server:
        admin = Caller(server.port, file.tokens["admin"])
        tenant = Caller(server.port, file.tokens["tenant"])
        create = collections.CreateCollectionRequest(
            name="c",
            dimension=4,
            external_vectors=True,
            settings=collections.CollectionSettings(
                duplicates=collections.DuplicateSettings(
                    policy=collections.DUPLICATE_POLICY_FLAG, threshold=0.95
                )
            ),
        )
        admin.call("CollectionService/CreateCollection", create)
        admin.call(
            "CollectionService/SetAlias", collections.SetAliasRequest(alias="d", collection="c")
        )
        _store(
            admin,
            [
                item(
                    f"{SECRET}-{n}",
                    [1.0, 0.02 * n, 0.1, 0],
                    metadata=metadata(tenant="b", word=SECRET, label=f"{SECRET}-{n % 2}"),
                )
                for n in range(6)
            ],
        )
        _store(
            admin,
            [
                item(
                    f"own-{n}",
                    [1.0, 0.1 * n, 0, 0],
                    metadata=metadata(tenant="a", word="mine", label=f"l{n % 2}"),
                )
                for n in range(4)
            ],
        )
        yield System(admin, tenant, others=6, own=4)
        admin.channel.close()
        tenant.channel.close()


def _store(caller: Caller, items: list[spb.VectorUpsert]) -> list[spb.MutationResult]:
    request = spb.UpsertVectorsRequest(collection="c", items=items)
    (answer,) = caller.call("SearchService/UpsertVectors", [request])
    return list(answer.results)


def test_every_method_of_the_contract_has_a_rule_and_is_tried() -> None:
    ruled = {method.removeprefix("/lookalike.v1.") for method in RULES if "lookalike.v1" in method}

    assert ruled == declared()
    assert set(asked("x")) == declared()


def outcome(caller: Caller, method: str, request: Any) -> str:
    """What a caller gets to know, as text; times and the versions of changes aside."""
    try:
        answers = caller.call(method, request)
    except grpc.RpcError as error:
        return f"{error.code().name} {error.details()}"
    return "\n".join(_without_chance(answer) for answer in answers)


_CHANGES = spb.UpdateMetadataResponse | spb.DeleteItemsResponse | spb.UpsertVectorsResponse


def _without_chance(answer: Any) -> str:
    if isinstance(answer, spb.SearchStreamResponse | spb.SearchResponse):
        found = answer.search if isinstance(answer, spb.SearchStreamResponse) else answer
        for each in found.results:
            for name in ("embed", "filter", "wait", "search", "rerank"):
                each.plan.ClearField(f"{name}_time")  # type: ignore[arg-type]
    if isinstance(answer, _CHANGES):
        for result in answer.results:
            result.version = 0
    return f"{answer} {answer.SerializeToString()!r}"


def everything(admin: Caller) -> list[spb.Item]:
    """All that is the other tenant's."""
    request = spb.ListItemsRequest(collection="c", filter=by_text('tenant = "b"'), fields=FIELDS)
    return list(admin.call("SearchService/ListItems", request)[0].items)


@pytest.mark.parametrize("method", sorted(asked("x")))
def test_nothing_of_another_tenant_is_seen_or_changed(system: System, method: str) -> None:
    before = everything(system.admin)
    assert len(before) == system.others

    pairs = zip(asked(OTHERS)[method], asked("hushhush-9")[method], strict=True)
    for about_other, about_none in pairs:
        got = outcome(system.tenant, method, about_other)
        # The same as of what is not there, and nothing else of the other's than was given.
        assert got == outcome(system.tenant, method, about_none).replace("hushhush-9", OTHERS)
        assert SECRET not in got.replace(OTHERS, "")
        whole = RULES[f"/lookalike.v1.{method}"].reach in (Reach.COLLECTIONS, Reach.ALL)
        assert got.startswith("PERMISSION_DENIED") == whole

    assert everything(system.admin) == before


def test_counts_are_those_of_the_tenant(system: System) -> None:
    call = system.tenant.call
    (count,) = call("SearchService/CountItems", spb.CountItemsRequest(collection="c"))
    (facets,) = call(
        "SearchService/CountFacets", spb.CountFacetsRequest(collection="c", field="word")
    )
    (described,) = call(
        "CollectionService/GetCollection", collections.GetCollectionRequest(collection="c")
    )
    (listed,) = call("CollectionService/ListCollections", collections.ListCollectionsRequest())
    (found,) = call("SearchService/Search", asked("x")["SearchService/Search"][0])

    assert count.count == facets.items == described.collection.stats.items == system.own
    assert listed.collections[0].stats.items == found.results[0].plan.items == system.own
    assert described.collection.stats.disk_bytes == 0
    assert [facet.value.string_value for facet in facets.facets] == ["mine"]
    assert {hit.id for hit in found.results[0].hits} == {f"own-{n}" for n in range(system.own)}


def test_analyses_see_the_items_of_the_tenant_alone(system: System) -> None:
    said = {method: system.tenant.call(method, each) for method, each in analyses().items()}

    grouped, evaluated, found, suggested = said.values()
    assert {part.summary.items for part in grouped if part.HasField("summary")} == {system.own}
    assert evaluated[-1].report.items == found[-1].summary.items == system.own
    assert {part.summary.items for part in suggested if part.HasField("summary")} == {system.own}
    assert SECRET not in str(said)


def test_the_id_of_anothers_item_is_not_taken_over(system: System) -> None:
    before = everything(system.admin)

    (result,) = _store(system.tenant, [item(OTHERS, [0, 0, 0, 1.0])])

    assert result.error.message == "this API key may not write an item of that id: take another"
    assert everything(system.admin) == before


def _stored(system: System, id: str) -> spb.Item:
    request = spb.GetItemsRequest(collection="c", ids=[id], fields=FIELDS)
    (answer,) = system.admin.call("SearchService/GetItems", request)
    found: spb.Item = answer.items[0]
    return found


def test_what_a_tenant_stores_is_marked_as_its_own(system: System) -> None:
    kept = item("new-1", [0, 0, 1.0, 0])
    kept.keep_metadata = True
    results = _store(
        system.tenant,
        [
            item("new-0", [0, 0, 1.0, 0], metadata=metadata(word="n")),
            kept,
            item("new-2", [0, 0, 1.0, 0], metadata=metadata(tenant="b")),
            item("new-3", [0, 0, 1.0, 0], version=7),
        ],
    )

    assert [result.error.field for result in results] == ["", "", "metadata", "version"]
    assert dict(_stored(system, "new-0").metadata) == {"tenant": "a", "word": "n"}
    assert dict(_stored(system, "new-1").metadata) == {"tenant": "a"}
    # Nearest to it stand others: what it resembles is not told.
    gone = spb.DeleteItemsRequest(
        collection="c", items=[spb.ItemDelete(id=f"new-{n}") for n in range(4)]
    )
    (deleted,) = system.tenant.call("SearchService/DeleteItems", gone)
    assert [result.status for result in deleted.results] == [
        *(spb.MUTATION_STATUS_APPLIED,) * 2,
        *(spb.MUTATION_STATUS_NOT_FOUND,) * 2,
    ]


def test_a_near_duplicate_is_the_tenants_own(system: System) -> None:
    near = [1.0, 0.04, 0.1, 0]  # on which an item of the other tenant's lies
    admins, own = item("twin-b", near, metadata=metadata(tenant="b")), item("twin-1", near)
    _store(system.admin, [admins])
    (result,) = _store(system.tenant, [own])
    together = _store(system.tenant, [item("twin-2", near), item("twin-3", near)])
    ids = ("twin-1", "twin-2", "twin-3", "twin-b")
    gone = spb.DeleteItemsRequest(collection="c", items=[spb.ItemDelete(id=id) for id in ids])
    system.admin.call("SearchService/DeleteItems", gone)

    assert result.near_duplicate.id.startswith("own-")
    assert [each.near_duplicate.id for each in together] == ["twin-1", "twin-1"]


@pytest.mark.parametrize("patch", [{"tenant": "b"}, {"tenant": None}, {"tenant": {"x": 1}}])
@pytest.mark.parametrize("mode", [spb.METADATA_MODE_MERGE, spb.METADATA_MODE_REPLACE])
def test_a_tenant_gives_nothing_away(
    system: System, patch: dict[str, Any], mode: spb.MetadataMode.ValueType
) -> None:
    update = spb.MetadataUpdate(id="own-1", metadata=metadata(**patch), mode=mode)
    one = spb.UpdateMetadataRequest(collection="c", updates=[update])
    (answer,) = system.tenant.call("SearchService/UpdateMetadata", one)
    many = spb.UpdateByFilterRequest(
        collection="c", all=True, metadata=metadata(**patch), mode=mode
    )
    with refused() as errors:
        system.tenant.call("SearchService/UpdateByFilter", many)

    assert answer.results[0].error.field == "metadata"
    assert isinstance(errors[0], PermissionDenied)
    assert _stored(system, "own-1").metadata["tenant"] == "a"


def test_a_replaced_metadata_keeps_the_tenant(system: System) -> None:
    many = spb.UpdateByFilterRequest(
        collection="c", filter=by_text('label = "l1"'), mode=spb.METADATA_MODE_REPLACE,
        metadata=metadata(word="mine", label="l1"))  # fmt: skip
    answers = system.tenant.call("SearchService/UpdateByFilter", many)

    assert answers[-1].done
    assert dict(_stored(system, "own-1").metadata) == {"tenant": "a", "word": "mine", "label": "l1"}


def test_an_item_of_two_tenants_is_seen_and_not_changed(system: System) -> None:
    shared = item("both", [0, 1.0, 0, 0], metadata=metadata(tenant=["a", "b"]))
    _store(system.admin, [shared])
    try:
        request = spb.GetItemsRequest(collection="c", ids=["both"], fields=spb.ItemFields())
        (seen,) = system.tenant.call("SearchService/GetItems", request)
        (result,) = _store(system.tenant, [item("both", [0, 0, 1.0, 0])])
        delete = spb.DeleteByFilterRequest(collection="c", filter=by_text('tenant = "b"'))
        system.tenant.call("SearchService/DeleteByFilter", delete)

        assert [each.id for each in seen.items] == ["both"]
        assert result.HasField("error")
        assert str(_stored(system, "both").metadata["tenant"]) == str(shared.metadata["tenant"])
    finally:
        gone = spb.DeleteItemsRequest(collection="c", items=[spb.ItemDelete(id="both")])
        system.admin.call("SearchService/DeleteItems", gone)


def test_what_is_not_there_is_not_found(system: System) -> None:
    with refused() as errors:
        system.tenant.call("SearchService/Search", search(spb.Query(id=OTHERS)))

    assert isinstance(errors[0], NotFound)
