"""The cache of items holds what the store holds, within its bytes."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from search_service.domain.conditions import Filter, Range
from search_service.domain.items import Fields, StoredItem
from search_service.domain.mutations import Delete, Mutation, UpdateMetadata, Upsert
from search_service.domain.queries import BEFORE_ALL, GroupBy, QueryRequest
from search_service.domain.ranking import Boost, Linear, Ranking
from search_service.domain.selections import MetadataChange, Selection
from search_service.shard.live.item_cache import ItemCache
from search_service.shard.shard import Shard
from tests.unit.search_service.shard.kit import SMALL, create, random_units

METADATA = Fields(metadata=True)
VECTORS = random_units(40, 8, seed=4)


def item(id: str, version: int, size: int = 10) -> StoredItem:
    return StoredItem(id, version, 0, b'"' + b"x" * size + b'"')


# --- the cache by itself ---


def test_what_is_kept_is_found_until_it_is_forgotten() -> None:
    cache = ItemCache(1 << 20)
    cache.keep([item("a", 1), item("b", 1)], cache.begin())
    assert cache.find(["a", "b", "c"]) == ({"a": item("a", 1), "b": item("b", 1)}, ["c"])
    cache.forget(["a", "nobody"])
    assert cache.find(["a", "b"]) == ({"b": item("b", 1)}, ["a"])


def test_what_was_written_while_it_was_read_is_not_kept() -> None:
    cache = ItemCache(1 << 20)
    begun = cache.begin()
    cache.forget(["a"])
    cache.keep([item("a", 1), item("b", 1)], begun)
    assert cache.find(["a", "b"]) == ({"b": item("b", 1)}, ["a"])
    cache.keep([item("a", 2)], cache.begin())
    assert cache.find(["a"])[0] == {"a": item("a", 2)}


def test_nothing_is_kept_of_a_read_that_lasted_through_too_many_writes() -> None:
    cache = ItemCache(1 << 20)
    begun = cache.begin()
    cache.forget(["a"])
    for _ in range(200):
        cache.forget(["other"])
    cache.keep([item("a", 1), item("b", 1)], begun)
    assert cache.find(["a", "b"]) == ({}, ["a", "b"])


def test_the_least_recently_used_make_room() -> None:
    cache = ItemCache(5_000)
    for number in range(10):
        cache.keep([item(f"i{number}", 1, 1_000)], cache.begin())
        cache.find(["i0"])
    found, _ = cache.find([f"i{number}" for number in range(10)])
    assert {"i0", "i9"} <= found.keys()
    assert len(found) == 3
    assert cache.nbytes <= 5_000
    cache.keep([item("giant", 1, 6_000)], cache.begin())
    assert cache.nbytes == 0


def test_a_cache_of_no_bytes_keeps_nothing() -> None:
    cache = ItemCache(0)
    cache.keep([item("a", 1)], cache.begin())
    assert cache.find(["a"]) == ({}, ["a"])


steps = st.lists(
    st.tuples(st.sampled_from(["read", "write", "end"]), st.sampled_from("abc")), max_size=40
)


@given(steps)
def test_it_never_holds_less_than_the_newest_write(some: list[tuple[str, str]]) -> None:
    """Reads begin and end anywhere among the writes."""
    cache, store = ItemCache(2_000), dict.fromkeys("abc", 0)
    reads: list[tuple[int, StoredItem]] = []
    for step, id in some:
        if step == "read":
            begun = cache.begin()
            reads.append((begun, item(id, store[id])))
        elif step == "write":
            store[id] += 1
            cache.forget([id])
        elif reads:
            begun, read = reads.pop(0)
            cache.keep([read], begun)
        assert all(one.version == store[one.id] for one in cache.find("abc")[0].values())


# --- a shard with it ---


def found(shard: Shard, row: int, **options: Any) -> dict[str, Any]:
    request = QueryRequest(VECTORS[row : row + 1], 5, fields=METADATA, **options)
    (outcome,) = shard.query(request).result(30)
    hits = [*outcome.hits, *(hit for group in outcome.groups for hit in group.hits)]
    return {hit.id: (hit.item.version, hit.item.metadata) for hit in hits if hit.item is not None}


def store(shard: Shard, *mutations: Mutation) -> None:
    assert all(outcome.error is None for outcome in shard.submit(mutations).result(30))


def test_hits_carry_what_was_written_last(tmp_path: Path) -> None:
    shard = create(tmp_path)
    store(shard, *(Upsert(f"i{row}", VECTORS[row], {"n": row}) for row in range(20)))
    for _ in range(2):  # from the store, then from memory
        assert found(shard, 3)["i3"][1] == {"n": 3}
    store(shard, UpdateMetadata("i3", {"n": "new"}))
    for _ in range(2):
        assert found(shard, 3)["i3"][1] == {"n": "new"}
    store(shard, Upsert("i3", VECTORS[3], {"n": "again"}))
    for _ in range(2):
        assert found(shard, 3)["i3"][1] == {"n": "again"}
        assert found(shard, 3, group_by=GroupBy(("n",)))["i3"][1] == {"n": "again"}
    store(shard, Delete("i3"))
    assert "i3" not in found(shard, 3)
    store(shard, Upsert("i3", VECTORS[3], {}))
    assert found(shard, 3)["i3"][1] == {}
    shard.close()


def change_all(shard: Shard, filter: Filter, change: MetadataChange | None) -> None:
    """Change or delete what meets a filter, in one step."""
    outcome = shard.change_selection(Selection(filter, change, None, 100)).result(30)
    assert outcome.extent is None
    assert all(each.error is None and each.changed for each in outcome.outcomes)
    assert outcome.outcomes


def test_hits_carry_what_a_change_by_filter_made_of_them(tmp_path: Path) -> None:
    shard = create(tmp_path)
    store(shard, *(Upsert(f"i{row}", VECTORS[row], {"n": row, "k": 1}) for row in range(20)))
    low = Range(("n",), less_than=10.0)
    ways: list[dict[str, Any]] = [
        {},
        {"exact": True},
        {"after": BEFORE_ALL},
        {"group_by": GroupBy(("n",))},
        {"ranking": Ranking(diversity=0.1)},
    ]

    def carried(row: int) -> list[Any]:
        return [found(shard, row, **way).get(f"i{row}", (0, None))[1] for way in ways * 2]

    assert carried(3) == [{"n": 3, "k": 1}] * 10
    assert carried(13) == [{"n": 13, "k": 1}] * 10
    change_all(shard, low, MetadataChange({"k": None, "new": True}, merge=True))
    assert carried(3) == [{"n": 3, "new": True}] * 10
    change_all(shard, low, MetadataChange({"n": 0}, merge=False))
    assert carried(3) == [{"n": 0}] * 10
    change_all(shard, low, None)
    assert carried(3) == [None] * 10
    assert carried(13) == [{"n": 13, "k": 1}] * 10
    store(shard, Upsert("i3", VECTORS[3], {"n": "again"}))
    assert carried(3) == [{"n": "again"}] * 10
    shard.close()


def test_a_hit_in_memory_keeps_its_place_in_the_ranking(tmp_path: Path) -> None:
    shard = create(tmp_path)
    store(shard, *(Upsert(f"i{row}", VECTORS[row], {"n": row}) for row in range(20)))
    request = QueryRequest(
        VECTORS[:1], 5, fields=METADATA, ranking=Ranking((Boost(("n",), 1.0, Linear(0, 19)),))
    )
    for _ in range(2):  # from the store, then from memory
        (outcome,) = shard.query(request).result(30)
        scores = [hit.ranking.rank_score for hit in outcome.hits if hit.ranking is not None]
        assert len(scores) == 5
        assert scores == sorted(scores, reverse=True)
        assert all(hit.item and hit.item.metadata == {"n": int(hit.id[1:])} for hit in outcome.hits)
    shard.close()


def test_paths_are_picked_of_what_is_in_memory(tmp_path: Path) -> None:
    shard = create(tmp_path)
    store(shard, Upsert("a", VECTORS[0], {"x": {"y": 1, "z": 2}, "w": [1]}))
    for paths, wanted in (
        ((), {"x": {"y": 1, "z": 2}, "w": [1]}),
        ((("x", "z"), ("no",)), {"x": {"z": 2}}),
        ((("w",),), {"w": [1]}),
    ):
        request = QueryRequest(VECTORS[:1], fields=replace(METADATA, metadata_paths=paths))
        (outcome,) = shard.query(request).result(30)
        assert [hit.item.metadata for hit in outcome.hits if hit.item] == [wanted]
    shard.close()


def test_beside_writes_no_hit_is_older_than_what_was_acknowledged(tmp_path: Path) -> None:
    """Two threads search while one changes, replaces and deletes; a small cache evicts."""
    shard = create(tmp_path, options=replace(SMALL, item_cache_bytes=6_000))
    rows = range(20)
    acknowledged = dict.fromkeys(rows, 0)
    store(shard, *(Upsert(f"i{row}", VECTORS[row], {"turn": 0}) for row in rows))
    stop = threading.Event()
    wrong: list[str] = []
    searches = [0, 0]

    def search(which: int) -> None:
        rng = np.random.default_rng(which)
        while not stop.is_set():
            row = int(rng.integers(len(rows)))
            before = dict(acknowledged)
            for id, (_, metadata) in found(shard, row).items():
                if metadata["turn"] < before[int(id[1:])]:
                    wrong.append(f"{id}: {json.dumps(metadata)} after {before[int(id[1:])]}")
            searches[which] += 1

    threads = [threading.Thread(target=search, args=(which,)) for which in range(2)]
    for thread in threads:
        thread.start()
    rng = np.random.default_rng(9)
    turn = 0
    while turn < 600 or min(searches) < 200:
        turn += 1
        row = int(rng.integers(len(rows)))
        id, metadata = f"i{row}", {"turn": turn}
        if turn % 5 == 0:
            store(shard, Delete(id), Upsert(id, VECTORS[row], metadata))
        elif turn % 2:
            store(shard, UpdateMetadata(id, metadata))
        else:
            store(shard, Upsert(id, VECTORS[row], metadata))
        acknowledged[row] = turn
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
    shard.close()
