"""Groups of items over a socket."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from lookalike_client import (
    Client,
    ClusteringMethod,
    InvalidField,
    VectorItem,
)
from tests.integration.search_server import SearchServer, running

KINDS, EACH, DIMENSION = 4, 60, 24
RNG = np.random.default_rng(8)
KIND = np.repeat(np.arange(KINDS), EACH)
VECTORS = 3 * RNG.normal(size=(KINDS, DIMENSION))[KIND] + RNG.normal(
    scale=0.4, size=(KINDS * EACH, DIMENSION)
)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with running(tmp_path_factory.mktemp("data")) as server:
        yield from _filled(server)


def _filled(server: SearchServer) -> Iterator[Client]:
    server.create("kinds", DIMENSION)
    with Client(f"127.0.0.1:{server.port}") as client:
        items = [
            VectorItem(f"item-{number}", vector, {"half": number % 2, "seen": number})
            for number, vector in enumerate(VECTORS)
        ]
        assert all(result.error is None for result in client.upsert_vectors("kinds", items))
        yield client


def test_groups_are_found_stored_and_found_again(client: Client) -> None:
    stages: list[str] = []
    first = client.analysis.cluster(
        "kinds", map_items=50, on_progress=lambda said: stages.append(said.stage)
    )
    assert (first.items, first.noise, first.kept_labels) == (240, 0, 0)
    assert [each.label for each in first.clusters] == [f"cluster-{n}" for n in (1, 2, 3, 4)]
    assert [each.items for each in first.clusters] == [EACH] * KINDS
    assert {"reading items", "trying numbers of clusters", "placing items on a map"} <= set(stages)
    labels = {each.id: each.label for each in first.members}
    assert len(labels) == 240
    groups = {(label, int(id.split("-")[1]) // EACH) for id, label in labels.items()}
    assert len(groups) == KINDS
    assert all(labels[each.medoid_id] == each.label for each in first.clusters)
    assert 0.5 < first.silhouette <= 1
    assert len({place.id for place in first.places}) == 50
    assert {each.medoid_id for each in first.clusters} <= {place.id for place in first.places}

    named = {id: {"group": f"my {label}"} for id, label in labels.items()}
    assert all(r.error is None for r in client.update_metadata("kinds", named, merge=True))
    again = client.analysis.cluster("kinds", filter="half = 1", label_field="group", seed=7)
    assert (again.items, again.kept_labels, again.places) == (120, KINDS, [])
    assert {each.label for each in again.clusters} == {f"my cluster-{n}" for n in (1, 2, 3, 4)}
    assert all(each.kept_share == 1.0 for each in again.clusters)
    assert all(each.label == each.earlier_label for each in again.members)


def test_dense_places_are_found(client: Client) -> None:
    found = client.analysis.cluster("kinds", method=ClusteringMethod.HDBSCAN, min_cluster_size=10)
    assert found.method is ClusteringMethod.HDBSCAN
    assert found.noise == sum(each.label == "" for each in found.members)
    assert sum(each.items for each in found.clusters) + found.noise == 240
    assert found.tried == []


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"clusters": 1}, "clusters"),
        ({"clusters": 1_001}, "clusters"),
        ({"clusters": 2, "method": ClusteringMethod.HDBSCAN}, "clusters"),
        ({"max_clusters": 4, "method": ClusteringMethod.HDBSCAN}, "max_clusters"),
        ({"min_cluster_size": 4}, "min_cluster_size"),
        ({"map_items": 20_001}, "map_items"),
        ({"filter": "seen < 30", "clusters": 31}, "clusters"),
    ],
)
def test_what_cannot_be_grouped_is_refused(
    client: Client, options: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidField) as refused:
        client.analysis.cluster("kinds", **options)  # type: ignore[arg-type]

    assert refused.value.field == field
