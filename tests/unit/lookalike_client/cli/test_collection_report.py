"""Whether all is well with a collection, in a sentence."""

import dataclasses

import pytest

from lookalike_client.cli.collection_report import found_how, trouble_of
from lookalike_client.types import CollectionStats

WELL = CollectionStats(
    items=212,
    head_vectors=0,
    unindexed_vectors=0,
    graph_vectors=212,
    side_list_vectors=0,
    segments=1,
    disk_bytes=1_000_000,
    builds=1,
    last_build_error="",
    building=False,
)


def stats(**changes: object) -> CollectionStats:
    return dataclasses.replace(WELL, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (stats(items=0, graph_vectors=0), "it is empty"),
        (stats(), "all 212 items can be found, through a graph"),
        # Equal vectors share a place: the graph never holds as many as there are items.
        (stats(graph_vectors=7), "all 212 items can be found, through a graph"),
        (
            stats(unindexed_vectors=212, head_vectors=217, graph_vectors=0),
            "all 212 items can be found, each compared with the query; so few need no graph",
        ),
        (
            stats(unindexed_vectors=12),
            "all 212 items can be found; the newest 12 are compared with the query one by one, "
            "a later build takes them",
        ),
        (
            stats(items=1, unindexed_vectors=1, building=True),
            "its one item can be found, each compared with the query; a graph is being built",
        ),
    ],
)
def test_a_healthy_collection_reads_as_one(given: CollectionStats, said: str) -> None:
    assert trouble_of(given) == ""
    assert found_how(given) == said


@pytest.mark.parametrize(
    "given", [stats(store_damage="2 rows cannot be read"), stats(last_build_error="disk full")]
)
def test_what_is_to_be_looked_at_is_said(given: CollectionStats) -> None:
    assert (given.store_damage or given.last_build_error) in trouble_of(given)
