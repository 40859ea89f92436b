"""Bad collections over a real socket: what is at a limit passes, one past it is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lookalike.v1 import collection_pb2 as cpb
from lookalike.v1 import search_pb2 as spb
from lookalike.wire.errors import Reason
from tests.integration.search_server import SearchServer, item, packed, refused, running

E1 = packed([1.0, 0.0, 0.0])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchServer]:
    with running(tmp_path_factory.mktemp("limits")) as one:
        one.create("c", 3)
        one.upsert("c", [item("a", [1, 0, 0]), item("b", [0, 1, 0])])
        yield one


@pytest.mark.parametrize(
    ("fields", "reason", "path"),
    [
        ({"name": ""}, Reason.INVALID_FIELD, "name"),
        ({"name": "-x"}, Reason.INVALID_FIELD, "name"),
        ({"name": "a/b"}, Reason.INVALID_FIELD, "name"),
        ({"name": "ä"}, Reason.INVALID_FIELD, "name"),
        ({"name": "0" * 32}, Reason.INVALID_FIELD, "name"),
        ({"name": "n" * 65}, Reason.LIMIT_EXCEEDED, "name"),
        ({"name": "c"}, Reason.COLLECTION_EXISTS, "name"),
        ({"dimension": 1}, Reason.INVALID_FIELD, "dimension"),
        ({"dimension": 0}, Reason.INVALID_FIELD, "dimension"),
        ({"dimension": 4_097}, Reason.LIMIT_EXCEEDED, "dimension"),
        ({"external_vectors": False}, Reason.INVALID_FIELD, "binding"),
    ],
)
def test_a_collection_past_a_limit_is_refused(
    server: SearchServer, fields: dict[str, Any], reason: Reason, path: str
) -> None:
    request = cpb.CreateCollectionRequest(
        **{"name": "new", "dimension": 3, "external_vectors": True, **fields}
    )
    with refused() as errors:
        server.collections.CreateCollection(request)
    assert (errors[0].reason, errors[0].field) == (reason, path)


def chosen(name: str, value: int) -> dict[str, Any]:
    return {name: value}


INDEX_LIMITS = {
    "connectivity": (4, 128),
    "expansion_add": (16, 2_000),
    "expansion_search": (16, 4_000),
    "graph_dimension": (0, 3),
}


@pytest.mark.parametrize("name", INDEX_LIMITS)
def test_index_settings_hold_their_limits(server: SearchServer, name: str) -> None:
    least, most = INDEX_LIMITS[name]
    for number, value in enumerate((least, most)):
        settings = cpb.CollectionSettings(index=cpb.IndexSettings(**chosen(name, value)))
        made = server.create(f"{name}-{number}", 3, settings=settings)
        assert getattr(made.settings.index, name) == value
    for value in (least - 1, most + 1):
        if value < 0:
            continue
        settings = cpb.CollectionSettings(index=cpb.IndexSettings(**chosen(name, value)))
        with refused() as errors:
            server.create("refused", 3, settings=settings)
        assert errors[0].field == f"settings.index.{name}"


@pytest.mark.parametrize("threshold", [0.0, -0.1, 1.01, float("nan")])
def test_a_duplicate_threshold_is_above_0_and_at_most_1(
    server: SearchServer, threshold: float
) -> None:
    duplicates = cpb.DuplicateSettings(policy=cpb.DUPLICATE_POLICY_FLAG, threshold=threshold)
    with refused() as errors:
        server.create("refused", 3, settings=cpb.CollectionSettings(duplicates=duplicates))
    assert errors[0].field == "settings.duplicates.threshold"


def test_the_longest_name_and_vector_pass(server: SearchServer) -> None:
    made = server.create("n" * 64, 4_096)
    assert (len(made.name), made.dimension) == (64, 4_096)
    (result,) = server.upsert("n" * 64, [item("a", [1.0] * 4_096)])
    assert result.status == spb.MUTATION_STATUS_APPLIED


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"sample_size": 10_001}, "sample_size"),
        ({"limit": 1_001}, "limit"),
        ({"expansion_search": [64] * 17}, "expansion_search"),
        ({"expansion_search": [64, 15]}, "expansion_search[1]"),
    ],
)
def test_recall_measurements_hold_their_limits(
    server: SearchServer, fields: dict[str, Any], path: str
) -> None:
    with refused() as errors:
        server.collections.MeasureRecall(cpb.MeasureRecallRequest(collection="c", **fields))
    assert errors[0].field == path


def test_pages_hold_1_to_1000(server: SearchServer) -> None:
    for size in (1, 1_000):
        server.search.ListItems(spb.ListItemsRequest(collection="c", page_size=size))
        server.collections.ListCollections(cpb.ListCollectionsRequest(page_size=size))
        server.collections.ListAliases(cpb.ListAliasesRequest(page_size=size))
    for call in (
        lambda: server.search.ListItems(spb.ListItemsRequest(collection="c", page_size=1_001)),
        lambda: server.collections.ListCollections(cpb.ListCollectionsRequest(page_size=1_001)),
        lambda: server.collections.ListAliases(cpb.ListAliasesRequest(page_size=1_001)),
    ):
        with refused() as errors:
            call()
        assert (errors[0].reason, errors[0].field) == (Reason.LIMIT_EXCEEDED, "page_size")
