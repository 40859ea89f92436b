"""All hashes within a distance are found, whatever came and went before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from lookalike.v1.image_pb2 import ImageFacts
from search_service.banks.item_hashes import HashCounts, ItemHashes
from search_service.banks.matrix import HashMatrix, distance
from search_service.domain.mutations import Delete, Mutation, Upsert
from search_service.shard.shard import Shard
from search_service.store.known_hashes import KnownHash, KnownHashes
from tests.unit.search_service.shard.kit import STILL, create, reopen, unit

RNG = np.random.default_rng(8)


def some_hashes(count: int) -> list[bytes]:
    return [RNG.bytes(32) for _ in range(count)]


def flipped(hash: bytes, bits: Sequence[int]) -> bytes:
    number = int.from_bytes(hash, "big")
    for bit in bits:
        number ^= 1 << bit
    return number.to_bytes(32, "big")


@pytest.mark.parametrize("count", [0, 1, 1_023, 1_024, 1_025, 5_000])
def test_every_hash_within_the_distance_is_found_and_no_other(count: int) -> None:
    hashes = some_hashes(count)
    asked = RNG.bytes(32)
    for place in range(0, count, 7):
        bits = RNG.choice(256, size=int(RNG.integers(0, 60)), replace=False)
        hashes[place] = flipped(asked, bits.tolist())
    places, distances = HashMatrix.empty().extended(hashes).near(asked, 31)
    wanted = [(n, distance(each, asked)) for n, each in enumerate(hashes)]
    assert list(zip(places.tolist(), distances.tolist(), strict=True)) == [
        (n, bits) for n, bits in wanted if bits <= 31
    ]


def test_more_hits_than_there_was_room_for_are_all_there() -> None:
    same = RNG.bytes(32)
    places, distances = HashMatrix.empty().extended([same] * 3_000).near(same, 0)
    assert places.tolist() == list(range(3_000))
    assert not distances.any()


def test_a_matrix_that_was_handed_out_stays_as_it_is() -> None:
    first, second, third = some_hashes(3)
    one = HashMatrix.empty().extended([first])
    two = one.extended([second])
    three = two.extended([third])
    assert [each.count for each in (one, two, three)] == [1, 2, 3]
    assert [three.hash_at(n) for n in range(3)] == [first, second, third]
    assert two.near(third, 0)[0].tolist() == []
    assert three.chosen(np.array([0, 2])).near(third, 0)[0].tolist() == [1]


def facts(hash: bytes, quality: int = 100) -> bytes:
    return ImageFacts(pdq_hash=hash, pdq_quality=quality).SerializeToString()


def apply(shard: Shard, *mutations: Mutation) -> None:
    for outcome in shard.submit(mutations).result(30):
        assert outcome.error is None


def stored(shard: Shard, id: str, told: bytes) -> Upsert:
    (version,) = shard.reserve_versions(1)
    return Upsert(id=id, version=version, vector=unit(*RNG.normal(size=8)), facts=told)


def deleted(shard: Shard, id: str) -> Delete:
    (version,) = shard.reserve_versions(1)
    return Delete(id=id, version=version)


def test_hashes_of_items_follow_the_shard_and_are_read_again_after_a_start(tmp_path: Path) -> None:
    first, second = some_hashes(2)
    shard = create(tmp_path, options=STILL)
    items = ItemHashes(shard)
    assert items.near(first, 31, 10) == []
    apply(shard, stored(shard, "a", facts(first)), stored(shard, "b", facts(second)))
    apply(shard, stored(shard, "low", facts(first, 49)), stored(shard, "bare", b""))
    assert [(each.id, each.distance) for each in items.near(first, 31, 10)] == [("a", 0)]
    assert items.counts() == HashCounts(matched=2, low_quality=1, without=1)
    assert items.some_without()

    apply(shard, stored(shard, "c", facts(first)), deleted(shard, "bare"))
    assert [each.id for each in items.near(first, 31, 10)] == ["a", "c"]
    assert [each.id for each in items.near(first, 31, 1)] == ["a"]
    assert [each.id for each in items.near(first, 31, 10, without="a")] == ["c"]
    only = shard.matching(None)[1:]
    assert "a" not in {each.id for each in items.near(first, 31, 10, among=only)}
    assert not items.some_without()

    apply(shard, deleted(shard, "a"), stored(shard, "c", facts(second)))
    assert items.near(first, 31, 10) == []
    assert [each.id for each in items.near(second, 31, 10)] == ["b", "c"]
    shard.close()

    shard = reopen(tmp_path, options=STILL)
    again = ItemHashes(shard)
    assert [each.id for each in again.near(second, 31, 10)] == ["b", "c"]
    assert again.counts() == HashCounts(matched=2, low_quality=1, without=0)
    shard.close()


def test_what_was_replaced_often_is_left_out_in_time(tmp_path: Path) -> None:
    shard = create(tmp_path, options=STILL)
    items = ItemHashes(shard)
    for _ in range(6):
        hashes = some_hashes(2_000)
        apply(shard, *(stored(shard, str(n), facts(each)) for n, each in enumerate(hashes)))
        assert [each.id for each in items.near(hashes[7], 0, 5)] == ["7"]
    assert items.counts() == HashCounts(matched=2_000, low_quality=0, without=0)
    assert items.size < 16_000  # 12,000 were stored, and 2,000 of them are there
    shard.close()


def test_a_list_of_hashes_is_kept_and_replaced(tmp_path: Path) -> None:
    first, second = sorted(some_hashes(2))
    known = KnownHashes(tmp_path)
    assert known.page(b"", 10) == []
    assert known.remove([first]) == 0
    assert not list(tmp_path.iterdir())  # asking makes no file
    assert known.put([KnownHash(first, 60, "one", "x", 1), KnownHash(second, None, "", "", 2)]) == 2
    assert known.put([KnownHash(first, 70, "two", "y", 3)]) == 0
    again = KnownHashes(tmp_path)
    assert again.page(b"", 1) == [KnownHash(first, 70, "two", "y", 3)]
    assert again.page(first, 10) == [KnownHash(second, None, "", "", 2)]
    assert [row for block in again.all() for row in block] == [(first, 70), (second, None)]
    assert again.find([second, bytes(32)]) == [KnownHash(second, None, "", "", 2)]
    assert again.remove([first, bytes(32)]) == 1
    assert again.remove(None) == 1
    assert again.page(b"", 10) == []
