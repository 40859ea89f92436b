"""Groups: how many, which, what they are called, where they lie on a map."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import silhouette_samples
from threadpoolctl import threadpool_limits

from search_service.analysis.clustering.directions import DIMENSIONS, reduce
from search_service.analysis.clustering.middles import EXAMPLES, find_middles
from search_service.analysis.clustering.naming import name_clusters
from search_service.analysis.clustering.places import chosen_for_map, places_of
from search_service.analysis.clustering.ways import (
    by_centres,
    by_density,
    clearest,
    numbers_to_try,
    silhouettes,
)
from search_service.analysis.jobs import Progress
from search_service.domain.arrays import F32

KINDS, EACH, WIDTH = 6, 40, 96
RNG = np.random.default_rng(4)
KIND = np.repeat(np.arange(KINDS), EACH)
ROWS = (
    4 * RNG.normal(size=(KINDS, 16))[KIND] + RNG.normal(scale=0.4, size=(KINDS * EACH, 16))
).astype(np.float32)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """The analyses' process bounds its threads; so many tests at once need it as well."""
    with threadpool_limits(1):
        yield


def quiet(_: Progress) -> None: ...


def same_groups(labels: np.ndarray, kinds: np.ndarray) -> bool:
    pairs = set(zip(labels.tolist(), kinds.tolist(), strict=True))
    return len(pairs) == len(set(labels.tolist())) == len(set(kinds.tolist()))


def test_the_number_of_kinds_is_found() -> None:
    found = by_centres(ROWS, 0, 40, 0, quiet)

    assert same_groups(found.labels, KIND)
    assert max(found.tried, key=lambda each: each[1])[0] == KINDS
    assert found.fitted == len(ROWS)


def test_the_same_seed_gives_the_same_groups() -> None:
    first, again = (by_centres(ROWS, 9, 40, 3, quiet).labels for _ in range(2))

    assert first.tolist() == again.tolist()
    assert len(set(first.tolist())) == 9


def test_equal_rows_make_no_more_groups_than_there_are() -> None:
    three = ROWS[[0, EACH, 2 * EACH]].repeat(5, axis=0)

    assert len(set(by_centres(three, 8, 40, 0, quiet).labels.tolist())) == 3
    assert set(by_centres(ROWS[:1].repeat(9, axis=0), 0, 40, 0, quiet).labels.tolist()) == {0}


def test_what_lies_apart_is_noise() -> None:
    apart = 60 * np.eye(3, 16, dtype=np.float32)
    labels = by_density(np.concatenate([ROWS, apart]), 5, 0, quiet).labels

    assert labels[-3:].tolist() == [-1, -1, -1]
    kept = labels[:-3] >= 0
    assert kept.mean() > 0.5
    pairs = set(zip(labels[:-3][kept].tolist(), KIND[kept].tolist(), strict=True))
    assert len(pairs) == len({label for label, _ in pairs})  # no group holds two kinds


def test_items_beyond_the_sample_join_the_nearest() -> None:
    rng = np.random.default_rng(1)
    kind = rng.integers(0, 3, 24_000)
    rows = (9 * np.eye(3, 8)[kind] + rng.normal(scale=0.3, size=(len(kind), 8))).astype(np.float32)
    found = by_centres(rows, 3, 40, 0, quiet)

    assert found.fitted == 20_000
    assert same_groups(found.labels, kind)


def test_numbers_grow_up_to_the_greatest() -> None:
    assert numbers_to_try(1) == []
    assert numbers_to_try(2) == [2]
    numbers = numbers_to_try(100)
    assert (numbers[:4], numbers[-1]) == ([2, 3, 4, 5], 100)
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize(
    ("tried", "number"),
    [
        ([], 1),
        ([(2, 0.1), (64, 0.31), (96, 0.313)], 64),
        ([(2, 0.2), (16, 0.24), (24, 0.22)], 16),
        ([(2, -0.3), (3, -0.1), (4, -0.2)], 3),
    ],
)
def test_the_least_number_that_is_about_as_clear(
    tried: list[tuple[int, float]], number: int
) -> None:
    assert clearest(tried) == number


def test_silhouettes_are_those_of_what_is_in_groups() -> None:
    labels = np.where(np.arange(len(ROWS)) % 7 == 0, -1, KIND)
    rows, clear = silhouettes(ROWS, labels, 0)

    inside = np.flatnonzero(labels >= 0)
    assert rows.tolist() == inside.tolist()
    assert clear == pytest.approx(silhouette_samples(ROWS[inside], labels[inside]))
    assert len(silhouettes(ROWS, np.zeros(len(ROWS), dtype=np.int64), 0)[0]) == 0


def test_directions_are_the_principal_ones(tmp_path: Path) -> None:
    mix = RNG.normal(size=(3, WIDTH))
    vectors = (RNG.normal(size=(300, 3)) * (9, 3, 1)) @ mix
    rows: F32 = (vectors + RNG.normal(scale=0.01, size=vectors.shape)).astype(np.float32)
    reduced = reduce(rows, 0, tmp_path, quiet)

    assert reduced.rows.shape == (300, DIMENSIONS)
    assert 0.999 < reduced.kept <= 1
    spread = reduced.rows.std(axis=0)
    assert (np.diff(spread) <= 1e-4).all()
    apart = np.linalg.norm(rows[0] - rows[1:], axis=1)
    assert np.linalg.norm(reduced.rows[0] - reduced.rows[1:], axis=1) == pytest.approx(
        apart, rel=1e-2
    )
    few = tmp_path / "few"
    few.mkdir()
    assert reduce(rows[:5], 0, few, quiet).rows.shape == (5, 4)


def test_the_medoid_has_the_greatest_mean_cosine() -> None:
    vectors = (ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True)).astype(np.float32)
    labels = np.where(np.arange(len(ROWS)) == 1, -1, KIND)
    middles = find_middles(vectors, labels, KINDS)

    for number in range(KINDS):
        members = np.flatnonzero(labels == number)
        means = (vectors[members] @ vectors[members].T).mean(axis=1)
        assert middles.nearest[number][0] == members[means.argmax()]
        assert len(middles.nearest[number]) == EXAMPLES + 1
        assert set(middles.nearest[number].tolist()) <= set(members.tolist())
    assert middles.cosines[1] == 0
    assert (middles.cosines[labels >= 0] > 0.5).all()


def test_groups_keep_the_labels_of_their_items() -> None:
    clusters = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, -1])
    earlier = ["red", "red", "red", "", "cluster-4", "cluster-4", "red", "", "", "cluster-9"]
    names = name_clusters(clusters, 3, earlier)

    assert names.labels == ["red", "cluster-4", "cluster-10"]
    assert names.kept[:2] == pytest.approx([3 / 5, 2 / 3])
    assert np.isnan(names.kept[2])


def test_no_label_goes_twice_and_little_in_common_is_another_group() -> None:
    halves = name_clusters(np.array([0, 0, 0, 1, 1]), 2, ["a"] * 5)
    assert halves.labels == ["a", "cluster-1"]

    hardly = name_clusters(np.array([0] * 9), 1, ["a", *[""] * 8])
    assert hardly.labels == ["cluster-1"]
    assert name_clusters(np.array([-1, -1]), 0, ["a", ""]).labels == []


def test_maps_hold_the_middles_and_what_is_near_lies_near() -> None:
    middles = np.array([7, 200])
    chosen = chosen_for_map(len(ROWS), 60, middles, 0)
    assert len(set(chosen.tolist())) == 60
    assert set(middles.tolist()) <= set(chosen.tolist())
    assert chosen_for_map(5, 100, middles[:1] - 5, 0).tolist() == [0, 1, 2, 3, 4]
    assert len(chosen_for_map(300, 1, middles, 0)) == 1

    places = places_of(ROWS[chosen], 0, 1)
    assert (places.min() >= 0, places.max() <= 1) == (True, True)
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (KIND[chosen][apart.argmin(axis=1)] == KIND[chosen]).mean() > 0.95


@pytest.mark.parametrize("rows", [np.zeros((20, 4)), np.zeros((4, 1)), np.eye(5, 3)])
def test_maps_of_next_to_nothing_are_maps(rows: np.ndarray) -> None:
    places = places_of(rows.astype(np.float32), 0, 1)

    assert places.shape == (len(rows), 2)
    assert np.isfinite(places).all()
