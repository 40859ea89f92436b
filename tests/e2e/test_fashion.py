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

# The first test waits for all images to be embedded.
pytestmark = pytest.mark.timeout(900)

FASHION = Path(__file__).parents[3] / "shared" / "data" / "fashion"
EVERY = 3  # every third photograph: 500
QUERIES_A_REQUEST = 32
NEIGHBOURS = 4  # of a third of the photographs

# For each file: ids and scores of what was found, best first.
Found: TypeAlias = Mapping[str, Sequence[tuple[str, float]]]


@pytest.fixture(scope="module")
def address(
    tmp_path_factory: pytest.TempPathFactory, sublabels: Mapping[str, str]
) -> Iterator[str]:
    """A system with the default model that holds the photographs."""
    directory = tmp_path_factory.mktemp("fashion")
    images, table = directory / "images", directory / "labels.csv"
    images.mkdir()
    for name in sublabels:
        (images / name).symlink_to(FASHION / "images" / name)
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([("file", "sublabel"), *sublabels.items()])
    with RunningSystem(directory / "system", []) as running:
        ran = run_cli(
            *("--address", running.search, "index", images),
            *("--metadata-csv", table, "--wait"),
            timeout_s=700,
        )
        assert ran.code == 0, ran.err
        yield running.search


@pytest.fixture(scope="module")
def sublabels() -> Mapping[str, str]:
    """The article type of each file that is indexed."""
    if not FASHION.is_dir():
        pytest.skip("the labelled product photographs are not on this machine")
    with (FASHION / "labels.csv").open(newline="") as table:
        rows = sorted((row["file"], row["sublabel"]) for row in csv.DictReader(table))
    return dict(rows[::EVERY])


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
