"""What `facets` and `search --group-by` print."""

from collections.abc import Iterator

import pytest

from lookalike_client import Client, VectorItem
from lookalike_client.testing import FakeServer
from tests.unit.lookalike_client.cli.running import ran


@pytest.fixture
def address() -> Iterator[str]:
    with FakeServer() as server, Client(server.address) as client:
        client.collections.create("images", model=None, dimension=2)
        items = [VectorItem(f"i{at}", [1.0, at], {"n": 42, "half": 0.5}) for at in range(3)]
        assert all(each.error is None for each in client.upsert_vectors("images", items))
        yield server.address


def test_numbers_are_printed_as_they_were_given(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    facets = ran(capsys, "--address", address, "facets", "n").out
    grouped = ran(capsys, "--address", address, "search", "--id", "i0", "--group-by", "n").out

    assert "│ 42 " in facets
    assert "│ 42 " in grouped
    assert "42.0" not in facets + grouped
    for words in (("facets", "n"), ("search", "--id", "i0", "--group-by", "n")):
        out = ran(capsys, "--address", address, "--json", *words).out
        assert '"value": 42' in out
        assert "42.0" not in out
    assert "│ 0.5 " in ran(capsys, "--address", address, "facets", "half").out


def test_a_field_that_no_item_has_is_called_so(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = ran(capsys, "--address", address, "facets", "nope")

    assert ended.out == "no item has the field nope (3 looked at)\n"
    assert ended.code == 0


def test_grouping_by_a_field_that_no_item_has_says_so(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = ran(capsys, "--address", address, "search", "--id", "i0", "--group-by", "nope")

    assert ended.out == "nothing found\n(no item that qualifies has the field nope)\n"


def test_an_absent_item_is_told_without_names_of_the_contract(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = ran(capsys, "--address", address, "search", "--id", "nope")

    assert ended.code == 1
    assert "nope" in ended.err
    assert "queries" not in ended.err
