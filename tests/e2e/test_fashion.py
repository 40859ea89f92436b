"""Product photographs through the default model: all are found, and by what they show."""

import csv
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import pytest

from lookalike_client import Client, Query
from lookalike_client.supervisor.launch import RunningSystem
from tests.e2e.conftest import run_cli

# The first test waits for 1,500 images to be embedded.
pytestmark = pytest.mark.timeout(900)

FASHION = Path(__file__).parents[3] / "shared" / "data" / "fashion"
QUERIES_A_REQUEST = 32
NEIGHBOURS = 10

# For each file: ids and scores of what was found, best first.
Found: TypeAlias = Mapping[str, Sequence[tuple[str, float]]]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A system with the default model that holds all photographs."""
    if not FASHION.is_dir():
        pytest.skip("the labelled product photographs are not on this machine")
    with RunningSystem(tmp_path_factory.mktemp("fashion"), []) as running:
        labels = FASHION / "labels.csv"
        ran = run_cli(
            *("--address", running.search, "index", FASHION / "images"),
            *("--metadata-csv", labels, "--wait"),
            timeout_s=700,
        )
        assert ran.code == 0, ran.err
        yield running.search


@pytest.fixture(scope="module")
def sublabels() -> Mapping[str, str]:
    """The article type of each file."""
    with (FASHION / "labels.csv").open(newline="") as table:
        return {row["file"]: row["sublabel"] for row in csv.DictReader(table)}


@pytest.fixture(scope="module")
def found(address: str, sublabels: Mapping[str, str]) -> Found:
    """Each photograph searched by its own file."""
    files = sorted(sublabels)
    results: dict[str, Sequence[tuple[str, float]]] = {}
    with Client(address) as client:
        for start in range(0, len(files), QUERIES_A_REQUEST):
            names = files[start : start + QUERIES_A_REQUEST]
            queries = [Query.by_image(FASHION / "images" / name) for name in names]
            answers = client.search_many("images", queries, limit=NEIGHBOURS + 1, timeout_s=60)
            for name, answer in zip(names, answers, strict=True):
                results[name] = [(hit.id, hit.score) for hit in answer.hits]
    return results


def test_all_are_searchable(address: str, sublabels: Mapping[str, str]) -> None:
    with Client(address) as client:
        assert client.count("images") == len(sublabels)
        assert client.count("images", filter="exists(sublabel)") == len(sublabels)


def test_each_finds_itself_or_its_twin_first(found: Found) -> None:
    digests = {name: _digest(name) for name in found}
    wrong = {
        name: hits[0]
        for name, hits in found.items()
        if hits[0][1] < 0.999 or digests[hits[0][0]] != digests[name]
    }

    assert wrong == {}


def test_most_neighbours_are_of_the_same_kind(found: Found, sublabels: Mapping[str, str]) -> None:
    precisions = []
    for name, hits in found.items():
        others = [identity for identity, _ in hits if identity != name][:NEIGHBOURS]
        same = sum(sublabels[other] == sublabels[name] for other in others)
        precisions.append(same / NEIGHBOURS)

    assert sum(precisions) / len(precisions) >= 0.70


def _digest(name: str) -> str:
    return hashlib.sha256((FASHION / "images" / name).read_bytes()).hexdigest()
