"""The index against plain evaluation, through adds, removes and snapshots."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from lookalike.wire.errors import FilterInvalid, LimitExceeded
from search_service.domain.conditions import (
    AllOf,
    AnyOf,
    Equals,
    Exists,
    Filter,
    In,
    NoneOf,
    Prefix,
    Range,
)
from search_service.filters.estimate import estimate_share
from search_service.filters.index import MAX_ORDINAL, MAX_PATHS, MetadataIndex
from search_service.filters.index_file import IndexFileUnusable, load_index, save_index
from search_service.filters.sorted_values import SortedValues
from search_service.filters.spaces import ItemSpace
from search_service.filters.text import parse_filter
from tests.unit.search_service.filters.printing import format_rfc3339
from tests.unit.search_service.filters.reference import meets
from tests.unit.search_service.filters.strategies import filters, metadata

Items = dict[int, dict[str, Any]]


def expected(items: Items, filter: Filter) -> BitMap:
    return BitMap(ordinal for ordinal, held in items.items() if meets(filter, held))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_evaluation_equals_plain_evaluation_through_adds_updates_and_removes(
    data: st.DataObject,
) -> None:
    index, items = MetadataIndex(), Items()
    for _ in range(data.draw(st.integers(1, 12))):
        ordinal = data.draw(st.integers(0, 8))
        if ordinal in items:
            index.remove(ordinal, items.pop(ordinal))
        if data.draw(st.integers(0, 3)):
            items[ordinal] = data.draw(metadata())
            index.add(ordinal, items[ordinal])
    for filter in data.draw(st.lists(filters(), min_size=1, max_size=5)):
        assert index.evaluate(filter) == expected(items, filter), filter
        assert 0.0 <= _estimate(index, filter) <= 1.0
    assert index.all == BitMap(items)
    for ordinal, held in items.items():
        index.remove(ordinal, held)
    everything, columns, elements = index.frozen_copy()
    assert (everything, columns) == (BitMap(), [])
    assert (elements.columns, elements.standing, elements.plain) == ({}, {}, {})


@pytest.fixture(scope="module")
def many() -> tuple[MetadataIndex, Items]:
    """12,000 items with distinct values, a third of them changed or gone."""
    rng = random.Random(5)
    index, items = MetadataIndex(), Items()
    for ordinal in range(12_000):
        items[ordinal] = _various(rng)
        index.add(ordinal, items[ordinal])
    for ordinal in rng.sample(range(12_000), 4_000):
        index.remove(ordinal, items.pop(ordinal))
        if rng.random() < 0.5:
            items[ordinal] = _various(rng)
            index.add(ordinal, items[ordinal])
    return index, items


def _various(rng: random.Random) -> dict[str, Any]:
    return {
        "price": rng.choice((rng.random() * 100, float(rng.randrange(100)))),
        "sizes": [rng.randrange(3_000) for _ in range(rng.randrange(4))],
        "name": rng.choice(("img", "é", "z")) + str(rng.randrange(12_000)),
        "taken": format_rfc3339(1_600_000_000_000_000 + rng.randrange(10**15)),
    }


def _questions(rng: random.Random) -> list[Filter]:
    low = rng.random() * 100
    names = tuple("img" + str(rng.randrange(12_000)) for _ in range(10))
    return [
        Range(("price",), at_least=low, less_than=low + rng.choice((0.1, 5.0, 60.0))),
        Range(("price",), greater_than=float(int(low)), at_most=float(int(low) + 1)),
        Range(("sizes",), at_least=low * 10, at_most=low * 30),
        Range(("name",), greater_than="img5", less_than="é7"),
        Prefix(("name",), rng.choice(("img1", "é99", "z", "im", "none"))),
        In(("name",), names),
        In(("sizes",), tuple(float(rng.randrange(3_100)) for _ in range(20))),
        Equals(("price",), float(rng.randrange(100))),
        NoneOf(Exists(("sizes",))),
        AllOf((Prefix(("name",), "z"), NoneOf(Range(("sizes",), less_than=1_000.0)))),
        AnyOf((Equals(("sizes",), 7.0), Range(("price",), less_than=1.0))),
        parse_filter("taken >= @2030-01-01 and taken < @2045-06-01"),
    ]


def test_many_distinct_values_are_sorted_and_answer_like_plain_evaluation(
    many: tuple[MetadataIndex, Items],
) -> None:
    index, items = many
    columns = dict(index.frozen_copy()[1])
    for path, values in (
        ("price", columns[("price",)].numbers),
        ("sizes", columns[("sizes",)].numbers),
        ("name", columns[("name",)].texts),
        ("taken", columns[("taken",)].instants),
    ):
        assert isinstance(values.form, SortedValues), path
        assert values.form.tail_keys, f"{path}: the tail is part of the test"
        assert values.form.stale, f"{path}: stale entries are part of the test"
    for question in _questions(random.Random(1)) + _questions(random.Random(2)):
        assert index.evaluate(question) == expected(items, question), question


def _estimate(index: MetadataIndex, filter: Filter) -> float:
    everything, columns, elements = index.frozen_copy()
    return estimate_share(filter, ItemSpace(everything, dict(columns), elements))


def test_estimates_of_single_conditions_are_near_the_truth(
    many: tuple[MetadataIndex, Items],
) -> None:
    index, items = many
    for text in ("price < 30", 'name startswith "img"', "exists(taken)", "not price >= 80"):
        filter = parse_filter(text)
        share = len(index.evaluate(filter)) / len(items)
        assert _estimate(index, filter) == pytest.approx(share, rel=0.5), text


def test_a_snapshot_gives_the_same_index_and_goes_on(
    many: tuple[MetadataIndex, Items], tmp_path: Path
) -> None:
    index, items = many
    file = tmp_path / "metadata.idx"
    save_index(index.frozen_copy(), file, collection_uid="c1", token="t41")
    loaded = load_index(file, collection_uid="c1")
    assert loaded.token == "t41"
    assert loaded.index.all == index.all
    for question in _questions(random.Random(3)):
        assert loaded.index.evaluate(question) == index.evaluate(question), question
    held = dict(items)
    gone = BitMap(list(held)[::7])
    loaded.index.remove_all(gone)
    held = {ordinal: each for ordinal, each in held.items() if ordinal not in gone}
    held[50_000] = {"price": 3.0, "name": "img1", "sizes": [5]}
    loaded.index.add(50_000, held[50_000])
    for question in _questions(random.Random(4)):
        assert loaded.index.evaluate(question) == expected(held, question), question
    assert list(tmp_path.iterdir()) == [file]


@settings(max_examples=30, deadline=None)
@given(st.lists(metadata(), max_size=6), st.lists(filters(), max_size=4))
def test_any_metadata_goes_through_a_snapshot(
    tmp_path_factory: pytest.TempPathFactory, held: list[dict[str, Any]], asked: list[Filter]
) -> None:
    file = tmp_path_factory.mktemp("snapshot") / "metadata.idx"
    index = MetadataIndex()
    for ordinal, one in enumerate(held):
        index.add(ordinal, one)
    save_index(index.frozen_copy(), file, collection_uid="c", token="t")
    loaded = load_index(file, collection_uid="c")
    assert [path for path, _ in loaded.index.frozen_copy()[1]] == [
        path for path, _ in index.frozen_copy()[1]
    ]
    for filter in asked:
        assert loaded.index.evaluate(filter) == index.evaluate(filter)


def test_a_damaged_foreign_or_missing_snapshot_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "metadata.idx"
    with pytest.raises(IndexFileUnusable, match="cannot be read"):
        load_index(file, collection_uid="c1")
    index = MetadataIndex()
    index.add(1, {"a": "x", "b": 1.5})
    save_index(index.frozen_copy(), file, collection_uid="c1", token="t")
    with pytest.raises(IndexFileUnusable, match="another collection"):
        load_index(file, collection_uid="c2")
    whole = file.read_bytes()
    for at in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        file.write_bytes(damaged)
        with pytest.raises(IndexFileUnusable):
            load_index(file, collection_uid="c1")
        file.write_bytes(whole[:at])
        with pytest.raises(IndexFileUnusable):
            load_index(file, collection_uid="c1")


def test_a_failed_save_leaves_the_earlier_snapshot(tmp_path: Path) -> None:
    file = tmp_path / "metadata.idx"
    save_index(MetadataIndex().frozen_copy(), file, collection_uid="c", token="t1")
    (tmp_path / "metadata.idx.tmp").mkdir()
    with pytest.raises(OSError, match="directory"):
        save_index(MetadataIndex().frozen_copy(), file, collection_uid="c", token="t2")
    assert load_index(file, collection_uid="c").token == "t1"


def test_readers_see_an_item_with_all_its_fields_or_not_at_all() -> None:
    index, stop, faults = MetadataIndex(), threading.Event(), list[str]()
    torn = parse_filter("exists(a) and not exists(b) or exists(b) and not exists(a)")
    halves = parse_filter("a >= 0 and not b >= 0")

    def read() -> None:
        while not stop.is_set():
            if index.evaluate(torn) or index.evaluate(halves):
                faults.append("half an item was seen")
            if len(index.evaluate(parse_filter("true"))) > 4_001:
                faults.append("a removed item was seen")

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for ordinal in range(12_000):
        index.add(ordinal, {"a": ordinal * 0.5, "b": ordinal})
        if ordinal >= 4_000:
            index.remove(ordinal - 4_000, {"a": (ordinal - 4_000) * 0.5, "b": ordinal - 4_000})
    stop.set()
    for reader in readers:
        reader.join()
    assert faults == []
    assert index.all == BitMap(range(8_000, 12_000))


def test_what_evaluation_returns_is_not_changed_by_later_writes() -> None:
    index = MetadataIndex()
    index.add(1, {"a": "x", "on": True, "n": 1})
    asked = ['a = "x"', "on = true", "exists(a)", "n >= 0", "true", 'not a = "y"']
    before = [index.evaluate(parse_filter(text)) for text in asked]
    index.add(2, {"a": "x", "on": True, "n": 1})
    assert before == [BitMap([1])] * len(asked)
    before[0].clear()
    assert index.evaluate(parse_filter('a = "x"')) == BitMap([1, 2])


def test_ordinals_go_up_to_the_bound_and_no_further() -> None:
    index = MetadataIndex()
    index.add(MAX_ORDINAL, {"a": 1})
    assert index.evaluate(parse_filter("a = 1")) == BitMap([MAX_ORDINAL])
    for ordinal in (MAX_ORDINAL + 1, -1):
        with pytest.raises(LimitExceeded, match="copy it into a new one"):
            index.add(ordinal, {})


def test_metadata_is_admitted_up_to_the_bound_on_paths() -> None:
    index = MetadataIndex()
    index.add(0, {f"k{i}": i for i in range(MAX_PATHS - 1)})
    index.admit({"last": 1})
    index.add(1, {"last": 1})
    index.admit({"last": 2, "k5": 7})
    with pytest.raises(LimitExceeded, match="4,096"):
        index.admit({"one more": 1})
    index.remove(1, {"last": 1})
    index.admit({"one more": 1})


def test_a_filter_past_a_limit_is_not_evaluated() -> None:
    filter: Filter = Exists(("a",))
    for _ in range(16):
        filter = NoneOf(filter)
    with pytest.raises(FilterInvalid, match="16 levels"):
        MetadataIndex().evaluate(filter)


def test_numbers_past_float64_and_not_a_number_do_no_harm() -> None:
    index = MetadataIndex()
    held = {"a": [10**400, -(10**400), float("nan")]}
    index.add(3, held)
    assert index.evaluate(parse_filter("a > 1e308")) == BitMap([3])
    assert index.evaluate(parse_filter("a < -1e308")) == BitMap([3])
    index.remove(3, held)
    assert not index.evaluate(parse_filter("exists(a)"))
