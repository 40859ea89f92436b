"""Conditions that one object of a list meets together."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from pyroaring import BitMap

from search_service.filters.estimate import estimate_share
from search_service.filters.index import MetadataIndex
from search_service.filters.index_file import load_index, save_index
from search_service.filters.spaces import ItemSpace
from search_service.filters.text import parse_filter
from tests.unit.search_service.filters.reference import meets

Items = dict[int, dict[str, Any]]

RED_SHIRT: dict[str, Any] = {
    "attributes": [{"key": "Color", "value": "Red"}, {"key": "Size", "value": "M"}],
    "camera": {"model": "D40", "lenses": [{"mm": 50, "mounts": [{"of": "F"}]}, {"mm": 85}]},
}
CASES = [
    ('any(attributes, key = "Color" and value = "Red")', True),
    ('any(attributes, key = "Color" and value = "M")', False),
    ('attributes.key = "Color" and attributes.value = "M"', True),
    ('any(attributes, not key = "Color")', True),
    ('not any(attributes, key = "Color")', False),
    ("any(attributes, not exists(key))", False),
    ('not any(attributes, key = "Weight")', True),
    ("any(attributes, true)", True),
    ("any(attributes, false)", False),
    ("any(nothing, true)", False),
    ("not any(nothing, true)", True),
    ('any(camera, model = "D40" and lenses.mm = 85)', True),
    ("any(camera, any(lenses, mm = 85 and not exists(mounts)))", True),
    ("any(camera, any(lenses, mm = 85 and exists(mounts)))", False),
    ('any(camera.lenses, mm = 50 and mounts.of = "F")', True),
    ('any(camera.lenses, mm = 50 and any(mounts, of = "E"))', False),
    ('any(camera.lenses.mounts, of = "F")', True),
    ("any(camera.model, true)", False),
    ('any(attributes, key icontains "COL" and value matches "^R")', True),
]


@pytest.mark.parametrize(("text", "met"), CASES)
def test_one_object_meets_the_whole_condition(text: str, met: bool) -> None:
    index = MetadataIndex()
    other: dict[str, Any] = {"attributes": [], "camera": None, "nothing": [1, "x", None]}
    index.add(7, RED_SHIRT)
    index.add(8, other)
    filter = parse_filter(text)
    assert (7 in index.evaluate(filter)) == met
    assert meets(filter, RED_SHIRT) == met
    assert (8 in index.evaluate(filter)) == meets(filter, other)


def _item(rng: random.Random) -> dict[str, Any]:
    def attribute() -> Any:
        made: dict[str, Any] = {
            "key": rng.choice(("Color", "Size", "size", None)),
            "value": rng.choice(("Red", "red", "M", 3, True, ["Red", "M"], [])),
        }
        if rng.random() < 0.3:
            made["parts"] = [{"n": rng.randrange(4), "ok": rng.random() < 0.5} for _ in range(2)]
        return rng.choice((made, made, made, [made], "Red", None, {}))

    held = rng.choice(([attribute() for _ in range(rng.randrange(4))], attribute(), None))
    return {"attributes": held, "camera": {"attributes": held}} if rng.random() < 0.9 else {}


QUESTIONS = [
    'any(attributes, key = "Color" and value = "Red")',
    'any(attributes, key iequals "size" and not value = 3)',
    'not any(attributes, key = "Color" and value in ["Red", "M"])',
    "any(attributes, any(parts, n = 1 and ok = true) and exists(key))",
    "any(attributes, not any(parts, n >= 2))",
    'any(attributes.parts, n = 1 and ok = true) or any(camera.attributes, key = "Size")',
    'any(camera, any(attributes, parts.n = 3 and value = "Red"))',
    'any(camera.attributes, value contains "e") and not any(attributes, value = true)',
]


@pytest.fixture
def many() -> tuple[MetadataIndex, Items]:
    """3,000 items, half of them changed or gone, so that numbers are used again."""
    rng = random.Random(9)
    index, items = MetadataIndex(), Items()
    for ordinal in range(3_000):
        items[ordinal] = _item(rng)
        index.add(ordinal, items[ordinal])
    for ordinal in rng.sample(range(3_000), 1_500):
        index.remove(ordinal, items.pop(ordinal))
        if rng.random() < 0.6:
            items[ordinal] = _item(rng)
            index.add(ordinal, items[ordinal])
    return index, items


def _check(index: MetadataIndex, items: Items) -> None:
    for text in QUESTIONS:
        filter = parse_filter(text)
        found = index.evaluate(filter)
        assert found == BitMap(o for o, held in items.items() if meets(filter, held)), text
        frozen = index.frozen_copy()
        space = ItemSpace(frozen.everything, dict(frozen.columns), frozen.elements)
        share = len(found) / len(items)
        assert estimate_share(filter, space) == pytest.approx(share, abs=0.3), text


def test_elements_answer_like_plain_evaluation(many: tuple[MetadataIndex, Items]) -> None:
    index, items = many
    _check(index, items)
    gone = BitMap(list(items)[::3])
    index.remove_all(gone)
    for ordinal in gone:
        del items[ordinal]
    items[9_000] = RED_SHIRT
    index.add(9_000, RED_SHIRT)
    _check(index, items)


def test_elements_go_through_a_file(many: tuple[MetadataIndex, Items], tmp_path: Path) -> None:
    index, items = many
    file = tmp_path / "filters.idx"
    save_index(index.frozen_copy(), file, collection_uid="c", token="t")
    loaded = load_index(file, collection_uid="c").index
    _check(loaded, items)
    for ordinal in list(items)[::2]:
        loaded.remove(ordinal, items.pop(ordinal))
    items[9_000] = RED_SHIRT
    loaded.add(9_000, RED_SHIRT)
    _check(loaded, items)


def test_numbers_of_elements_are_used_again() -> None:
    index = MetadataIndex()
    index.add(1, RED_SHIRT)
    used = index.frozen_copy().elements.used
    for ordinal in range(1, 500):
        index.remove(ordinal, RED_SHIRT)
        index.add(ordinal + 1, RED_SHIRT)
    assert index.frozen_copy().elements.used == used
