"""What `search` prints of hits that more than likeness orders."""

import json
from collections.abc import Iterator

import pytest

from lookalike_client import Client, VectorItem
from lookalike_client.testing import FakeServer
from tests.unit.lookalike_client.cli.running import ran

ITEMS = {
    "a": ([1.0, 0.0], {"likes": 0}),
    "b": ([1.0, 0.1], {"likes": 10}),
    "c": ([1.0, 0.2], {}),
    "d": ([0.5, 1.0], {"likes": 100}),
}


@pytest.fixture
def address() -> Iterator[str]:
    with FakeServer() as server, Client(server.address) as client:
        client.collections.create("images", model=None, dimension=2)
        items = [VectorItem(key, vector, held) for key, (vector, held) in ITEMS.items()]
        assert all(each.error is None for each in client.upsert_vectors("images", items))
        yield server.address


def ids(capsys: pytest.CaptureFixture[str], address: str, *words: str) -> list[str]:
    out = ran(capsys, "--address", address, "--json", "search", *words).out
    return [hit["id"] for hit in json.loads(out)["hits"]]


def test_a_boost_and_diversity_order_hits(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ids(capsys, address, "--id", "a") == ["b", "c", "d"]
    boost = "2 * linear(likes, 0, 100, missing=0.01)"
    assert ids(capsys, address, "--id", "a", "--boost", boost) == ["d", "b", "c"]
    assert ids(capsys, address, "--id", "a", "--diverse", "0.9", "-k", "2") == ["b", "d"]


def test_examples_by_mean_and_by_best_score(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    examples = ("--like", "a", "--like", "d")
    assert ids(capsys, address, *examples) == ["c", "b"]
    assert ids(capsys, address, *examples, "--best-score") == ["b", "c"]
    assert ids(capsys, address, "--like", "a", "--unlike", "b", "--best-score") == ["c", "d"]


def test_explain_says_the_parts_of_a_rank_score(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--id", "a", "--boost", "0.5 * linear(likes, 0, 100)", "--diverse", "0.1", "--explain")
    out = ran(capsys, "--address", address, "search", *words).out
    assert "rank score" in out
    assert "+0.0500 (10)" in out
    assert "(missing)" in out
    assert "redundancy" in out
    assert "candidates" in out
    document = json.loads(ran(capsys, "--address", address, "--json", "search", *words).out)
    assert document["hits"][0]["ranking"]["boosts"][0]["value"] == 10


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ((), 2, "Give an IMAGE, --id or --like"),
        (("--id", "a", "--like", "b"), 2, "one of them"),
        (("--id", "a", "--unlike", "b"), 2, "--unlike goes with --like"),
        (("--id", "a", "--boost", "1 * round(likes)"), 1, "--boost: column 5: expected a curve"),
        (("--id", "a", "--boost", "99 * log(likes, 0, 1)"), 1, "--boost: must be -10 to 10"),
        (("--id", "a", "--diverse", "1.5"), 2, "--diverse"),
        (("--id", "a", "--diverse", "0.5", "--candidates", "3"), 1, "--candidates: must be"),
        (("--id", "a", "--filter", "x matches '('"), 1, "--filter: "),
    ],
)
def test_a_mistake_names_the_option(
    address: str,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    code: int,
    says: str,
) -> None:
    ended = ran(capsys, "--address", address, "search", *words)
    assert ended.code == code
    assert says in ended.err
