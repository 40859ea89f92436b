"""Times in every form that people have, in metadata, filters and boosts: fake and real alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lookalike_client import Boost, Client, Query, VectorItem
from lookalike_client.testing import FakeServer
from tests.integration.search_server import running

TEN = [
    "2024-05-01T10:00:00 UTC",
    "2024-05-01 10:00",
    "2024:05:01 10:00:00",
    "2024-05-01t12:00:00+0200",
]
NONE = ["12:30", "2024-13-45", "2024:05-01", "May 2024", "2024"]
TAKEN: dict[str, Any] = {
    **{f"ten{number}": text for number, text in enumerate(TEN)},
    **{f"none{number}": text for number, text in enumerate(NONE)},
    "day": "2024-05-01",
    "list": ["12:30", "2024-05-01 10:00:00.000"],
    "number": 2024.0,
}
QUERY = Query.by_vector([1.0, 0.0])


@pytest.fixture(scope="module", params=["fake", "real"])
def client(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    if request.param == "fake":
        with FakeServer() as fake, Client(fake.address) as client:
            yield _filled(client)
        return
    directory: Path = tmp_path_factory.mktemp("times")
    with running(directory) as server, Client(f"127.0.0.1:{server.port}") as client:
        yield _filled(client)


def _filled(client: Client) -> Client:
    client.collections.create("times", model=None, dimension=2)
    items = [VectorItem(key, [1.0, 0.0], {"taken": taken}) for key, taken in TAKEN.items()]
    assert len(list(client.upsert_vectors("times", items))) == len(TAKEN)
    return client


@pytest.mark.parametrize("written", TEN)
def test_all_forms_of_a_moment_are_one(client: Client, written: str) -> None:
    found = [item.id for item in client.list("times", filter=f"taken = @{written}")]

    assert found == ["list", "ten0", "ten1", "ten2", "ten3"]
    assert client.count("times", filter=f"@2024-05-01 < taken <= @{written}") == 5
    assert client.count("times", filter=f"taken < @{written}") == 1  # the day alone


def test_facets_count_what_a_time_filter_leaves(client: Client) -> None:
    found = client.facets("times", "taken", filter="taken > @2024-05-01", limit=20)

    assert {value for value, _ in found.counts} == {*TEN, "12:30", "2024-05-01 10:00:00.000"}


def test_boosts_take_them_too(client: Client) -> None:
    boost = Boost.parse("1 * decay(taken, @2024-05-01 10:00:00, 1h)")
    result = client.search("times", QUERY, limit=20, boosts=[boost])

    assert {hit.id for hit in result.hits[:5]} == {"list", "ten0", "ten1", "ten2", "ten3"}


def test_a_plan_tells_how_many_values_are_times(tmp_path: Path) -> None:
    with running(tmp_path) as server, Client(f"127.0.0.1:{server.port}") as client:
        _filled(client)

        def remarks(condition: str) -> list[str]:
            plan = client.search("times", QUERY, filter=condition, explain=True).plan
            assert plan is not None
            return list(plan.filter_remarks)

        (some,) = remarks("taken > @2024-01-01")
        assert some.startswith("taken: 6 of 12 values are times; ")
        assert remarks("nope = 1") == ["no item has the field nope"]
        assert remarks("taken = '12:30'") == []
        assert remarks("true") == []
