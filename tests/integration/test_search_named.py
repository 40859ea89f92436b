"""Vectors by name over a real socket: stored, read, searched alone and by weighted sums."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from lookalike.wire.vectors import F32
from lookalike_client import (
    Client,
    Example,
    Fields,
    InvalidField,
    LookalikeError,
    MutationStatus,
    NamedVectors,
    Query,
    SearchOptions,
    VectorItem,
    parquet,
    tables,
)
from tests.integration.search_server import running

DIMENSIONS = {"": 6, "style": 4, "crops": 3}
ITEMS = 300
# Of each item so many vectors by each name; some have none of a name that is no item's own.
COUNTS = {
    name: [(number * 7 + place) % 4 + (not name) for number in range(ITEMS)]
    for place, name in enumerate(DIMENSIONS)
}


def drawn(name: str, number: int) -> F32:
    """float32 [n, D], unit L2."""
    count = COUNTS[name][number]
    made = np.random.default_rng([len(name), number]).normal(size=(count, DIMENSIONS[name]))
    units: F32 = (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)
    return units


def an_item(number: int) -> VectorItem:
    first, *further = drawn("", number)
    named = {name: NamedVectors(list(drawn(name, number))) for name in ("style", "crops")}
    metadata = {"odd": bool(number % 2)}
    return VectorItem(
        f"item-{number:03}", first, metadata, further_vectors=further, named_vectors=named
    )


def store(client: Client, item: VectorItem) -> None:
    (result,) = client.upsert_vectors("named", [item])
    assert result.status is MutationStatus.APPLIED


def cosines(name: str, vector: F32) -> list[float | None]:
    """Of each item's nearest vector by a name; None where it has none."""
    found: list[float | None] = []
    for number in range(ITEMS):
        vectors = drawn(name, number).astype(np.float64)
        found.append(float((vectors @ vector.astype(np.float64)).max()) if len(vectors) else None)
    return found


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with running(tmp_path_factory.mktemp("data")) as server:
        with Client(f"127.0.0.1:{server.port}") as client:
            made = client.collections.create(
                "named", model=None, dimension=6, vectors={"style": 4, "crops": 3}
            )
            assert [(each.name, each.dimension) for each in made.vectors] == [
                ("style", 4),
                ("crops", 3),
            ]
            results = client.upsert_vectors("named", map(an_item, range(ITEMS)))
            assert {each.status for each in results} == {MutationStatus.APPLIED}
            yield client


def test_each_name_is_searched_by_itself(client: Client) -> None:
    for name in DIMENSIONS:
        vector = drawn(name, 3)[0]
        for condition in ("", "odd = true"):
            hits = client.search(
                "named", Query.by_vector(vector), vectors=name, filter=condition or None, limit=20
            ).hits
            want = sorted(
                -score
                for number, score in enumerate(cosines(name, vector))
                if score is not None and (not condition or number % 2)
            )
            np.testing.assert_allclose([-hit.score for hit in hits], want[:20], atol=1e-6)
            assert hits[0].id == "item-003"
    grouped = client.search(
        "named", Query.by_vector(drawn("style", 3)[0]), vectors="style", group_by="odd"
    )
    assert [group.value for group in grouped.groups] == [True, False]
    pages = list(
        client.search_pages(
            "named", Query.by_vector(drawn("crops", 3)[0]), vectors="crops", limit=50
        )
    )
    paged = [hit.id for page in pages for hit in page.hits]
    assert len(paged) == len(set(paged)) == sum(count > 0 for count in COUNTS["crops"])


@pytest.mark.parametrize(
    "weights", [{"": 0.7, "style": 0.3}, {"style": 5, "crops": 1}, {"": 1, "style": 1, "crops": 2}]
)
def test_a_sum_is_exact_and_the_best_of_all(client: Client, weights: Mapping[str, float]) -> None:
    total = sum(weights.values())
    for number, condition in ((3, ""), (11, "odd = true")):
        queries = {name: drawn(name, number)[0] for name in weights}
        by_name = {name: cosines(name, vector) for name, vector in queries.items()}
        want = sorted(
            (-sum(weights[name] * (by_name[name][each] or 0.0) for name in weights) / total, each)
            for each in range(ITEMS)
            if each != number and (not condition or each % 2)
        )
        options = SearchOptions(vectors=weights, limit=15, explain=True)
        if condition:
            options["filter"] = condition
        result = client.search("named", Query.by_id(f"item-{number:03}"), **options)
        np.testing.assert_allclose(
            [-hit.score for hit in result.hits], [score for score, _ in want[:15]], atol=1e-6
        )
        assert [hit.id for hit in result.hits] == [f"item-{each:03}" for _, each in want[:15]]
        assert result.plan is not None
        assert result.plan.ranking_complete
        assert result.hits[0].metadata == {"odd": bool(want[0][1] % 2)}


def test_items_are_read_replaced_and_deleted_with_all_their_names(client: Client) -> None:
    (item,) = client.get("named", ["item-007"], fields=Fields(vector=True)).items
    for name in ("style", "crops"):
        found = item.named_vectors.get(name, [])
        np.testing.assert_allclose(found, drawn(name, 7).tolist(), atol=1e-7)
    spare = VectorItem(
        "spare", [1, 0, 0, 0, 0, 0], named_vectors={"crops": NamedVectors([[0, 0, 1]])}
    )
    near = Query.by_vector([0, 0, 1])

    store(client, spare)
    assert client.search("named", near, vectors="crops", limit=1).hits[0].id == "spare"
    plain = VectorItem("spare", [1, 0, 0, 0, 0, 0])
    store(client, plain)
    assert client.search("named", near, vectors="crops", limit=1).hits[0].id != "spare"
    store(client, spare)
    client.delete("named", ["spare"])
    assert client.search("named", near, vectors="crops", limit=1).hits[0].id != "spare"
    assert client.count("named") == ITEMS


def test_a_snapshot_holds_all_names(client: Client) -> None:
    taken = client.snapshots.create("named")
    restored = client.snapshots.restore(taken.snapshot_id, "again")
    assert restored.items == ITEMS
    for name in DIMENSIONS:
        query = Query.by_vector(drawn(name, 3)[0])
        was, now = (
            [(hit.id, hit.score) for hit in client.search(one, query, vectors=name).hits]
            for one in ("named", "again")
        )
        assert was == now
    client.collections.delete("again")


def test_what_cannot_be_is_said(client: Client, tmp_path: Path) -> None:
    refused: dict[str, SearchOptions] = {
        "vectors[0].name": {"vectors": "colour"},
        "vectors[1].weight": {"vectors": {"": 1, "style": 0}},
        "group_by": {"vectors": {"": 1, "style": 1}, "group_by": "odd"},
        "ranking": {"vectors": {"": 1, "style": 1}, "diversity": 0.5},
    }
    for field, options in refused.items():
        with pytest.raises(InvalidField) as caught:
            client.search("named", Query.by_id("item-003"), **options)
        assert caught.value.field == field
    both = {"": 1.0, "style": 1.0}
    for query in (
        Query.by_vector([1, 0, 0, 0, 0, 0]),
        Query.by_examples([Example.by_id("item-003")], best_score=True),
    ):
        with pytest.raises(InvalidField):
            client.search("named", query, vectors=both)
    alike = client.collections.create("alike", model=None, dimension=2, vectors={"second": 2})
    for query in (Query.by_vector([1, 0]), Query.by_examples([Example.by_vector([1, 0])])):
        with pytest.raises(InvalidField, match="a vector is of one name"):
            client.search(alike.name, query, vectors={"": 1, "second": 1})
    client.collections.delete("alike")
    with pytest.raises(LookalikeError, match='has no vector of the name "style"'):
        without = COUNTS["style"].index(0)
        client.search("named", Query.by_id(f"item-{without:03}"), vectors="style")
    named = {"colour": NamedVectors([[1, 0]])}
    (result,) = client.upsert_vectors("named", [VectorItem("w", [1] * 6, named_vectors=named)])
    assert result.error is not None
    assert "it has " in result.error.message
    with pytest.raises(InvalidField, match="must be a letter"):
        client.collections.create("bad", model=None, dimension=2, vectors={"-": 2})
    with pytest.raises(LookalikeError, match="take a snapshot"):
        parquet.export_collection(client, "named", tmp_path / "named.parquet")


def test_an_import_keeps_what_its_file_says_nothing_of(client: Client, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    named = {"crops": NamedVectors([[0, 0, 1], [0, 1, 0]])}
    vectors = np.eye(6, dtype=np.float32)
    store(client, VectorItem("kept", vectors[0], further_vectors=[vectors[1]], named_vectors=named))
    store(client, VectorItem("other", vectors[0], named_vectors=named))
    rows = {
        "id": ["kept", "", "other"],  # an id that cannot be one is beside them
        "vector": [vectors[0].tolist(), vectors[0].tolist(), vectors[2].tolist()],
        "label": ["new"] * 3,
    }
    pq.write_table(pa.table(rows), tmp_path / "rows.parquet")
    plan = tables.plan_import(tmp_path / "rows.parquet")
    statuses = [each.status for each in tables.TableImport(client, plan, "named").results()]
    assert sorted(statuses) == sorted([MutationStatus.APPLIED] * 2 + [MutationStatus.FAILED])

    kept, other = client.get("named", ["kept", "other"], fields=Fields(vector=True)).items
    assert [each.metadata for each in (kept, other)] == [{"label": "new"}] * 2
    assert [each.tolist() for each in kept.further_vectors] == [vectors[1].tolist()]
    assert [each.tolist() for each in kept.named_vectors["crops"]] == [[0, 0, 1], [0, 1, 0]]
    assert other.named_vectors == {}  # they were of another picture
    client.delete("named", ["kept", "other"])
