"""Text conditions over many different texts, against Python's own string methods."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from lookalike.wire.errors import FilterInvalid
from search_service.domain.conditions import AllOf, Filter, Text, TextMatch
from search_service.filters import text_search
from search_service.filters.estimate import estimate_share
from search_service.filters.index import MetadataIndex
from search_service.filters.keys import TextKeys
from search_service.filters.sorted_values import SortedValues
from search_service.filters.spaces import ItemSpace
from search_service.filters.text import parse_filter
from search_service.filters.texts import TextTest
from tests.unit.search_service.filters.reference import meets

_WORDS = ("Sunset", "sunset", "Straße", "STRASSE", "İstanbul", "istanbul", "ΣΊΣΥΦΟΣ", "σίσυφος")
_MORE = ("日本", "ﬁn", "FIN", "\U0001f600", "", "e\u0301", "é", "a\nb", "x" * 300)
QUESTIONS = [
    'caption contains "sun"',
    'caption icontains "SUN"',
    'caption icontains "strasse"',
    'caption icontains "ß"',
    'caption icontains "σίσυφοσ"',
    'caption istartswith "ISTANBUL"',
    'caption iendswith "FIN 7"',
    'caption endswith "\U0001f600"',
    'caption contains "\\n"',
    'caption iequals "sunset sunset 12"',
    'caption matches "^[A-Z].*[0-9]{4}$"',
    'caption matches "(?i)sunset.*日"',
    'caption matches "é|ß"',
    'not caption icontains "sunset" and caption matches "9$"',
]


@pytest.fixture(scope="module")
def many() -> tuple[MetadataIndex, dict[int, dict[str, Any]]]:
    """6,000 items whose captions nearly all differ, some of them lists, some no strings."""
    rng = random.Random(3)
    index, items = MetadataIndex(), dict[int, dict[str, Any]]()
    for ordinal in range(6_000):
        items[ordinal] = _item(rng, ordinal)
        index.add(ordinal, items[ordinal])
    for ordinal in rng.sample(range(6_000), 1_500):
        index.remove(ordinal, items.pop(ordinal))
        if rng.random() < 0.5:
            items[ordinal] = _item(rng, ordinal)
            index.add(ordinal, items[ordinal])
    form = dict(index.frozen_copy().columns)[("caption",)].texts.form
    assert isinstance(form, SortedValues)
    assert form.tail_keys, "the tail is part of the test"
    assert form.stale, "so are stale entries"
    return index, items


def _item(rng: random.Random, ordinal: int) -> dict[str, Any]:
    def caption() -> str:
        return f"{rng.choice(_WORDS)} {rng.choice(_WORDS + _MORE)} {rng.randrange(20_000)}"

    held = rng.choice((caption(), caption(), [caption(), caption()], [], None, 7, True, [3, "9"]))
    return {"caption": held} if ordinal % 11 else {}


@pytest.mark.parametrize("question", QUESTIONS)
def test_sorted_texts_answer_like_pythons_own(
    many: tuple[MetadataIndex, dict[int, dict[str, Any]]], question: str
) -> None:
    index, items = many
    filter = parse_filter(question)
    for _ in range(2):  # examined, and kept
        found = index.evaluate(filter)
        assert found == BitMap(o for o, held in items.items() if meets(filter, held))
    assert 0.0 <= _estimate(index, filter) <= 1.0


def _estimate(index: MetadataIndex, filter: Filter) -> float:
    everything, columns, elements = index.frozen_copy()
    return estimate_share(filter, ItemSpace(everything, dict(columns), elements))


def test_an_estimate_is_near_the_truth_before_and_after_an_evaluation(
    many: tuple[MetadataIndex, dict[int, dict[str, Any]]],
) -> None:
    index, items = many
    for filter in (
        parse_filter('caption matches "(?i)^sunset "'),
        parse_filter('caption icontains "t i"'),
    ):
        truth = sum(meets(filter, held) for held in items.values()) / len(items)
        assert _estimate(index, filter) == pytest.approx(truth, abs=0.15)
        index.evaluate(filter)
        assert _estimate(index, filter) == pytest.approx(truth, rel=0.5)


@given(st.lists(st.text(max_size=6), max_size=30, unique=True), st.text(min_size=1, max_size=3))
def test_a_run_of_texts_is_searched_as_each_alone(texts: list[str], needle: str) -> None:
    keys = sorted(text.encode() for text in texts if _whole(text))
    if not _whole(needle):
        return
    run = TextKeys.of(keys, [1] * len(keys))
    for match in TextMatch:
        for ignore_case in (False, True):
            if match is TextMatch.REGEX:
                test = TextTest(match, re.escape(needle), ignore_case=False)
            else:
                test = TextTest(match, needle, ignore_case)
            flags = test.fitting(run.run(folded=test.ignore_case))
            assert flags.tolist() == [test.fits(key) for key in keys]


def _whole(text: str) -> bool:
    return not any("\ud800" <= each <= "\udfff" for each in text)


def test_a_text_across_two_neighbours_is_in_neither() -> None:
    index = MetadataIndex()
    for ordinal in range(2_000):
        index.add(ordinal, {"a": f"{ordinal:04}ab"})
    assert not index.evaluate(parse_filter('a contains "b0"'))
    assert index.evaluate(parse_filter('a contains "9ab"')) == BitMap(range(9, 2_000, 10))


def test_more_texts_than_a_filter_may_examine_are_refused() -> None:
    budget = text_search.Budget()
    test = TextTest(TextMatch.REGEX, "x", ignore_case=False)
    budget.spend(("a",), test, text_search.MAX_MATCHED_TEXTS, 0)
    with pytest.raises(FilterInvalid, match=r"matches on a\.b would examine more than 500,000"):
        budget.spend(("a", "b"), test, 1, 0)
    plain = TextTest(TextMatch.CONTAINS, "x", ignore_case=False)
    budget.spend(("a",), plain, 10**9, text_search.MAX_EXAMINED_BYTES)
    with pytest.raises(FilterInvalid, match="128 MiB"):
        budget.spend(("a",), plain, 1, 1)


def test_the_texts_that_conditions_examine_add_up(
    many: tuple[MetadataIndex, dict[int, dict[str, Any]]],
) -> None:
    index, _ = many
    conditions = tuple(Text(("caption",), TextMatch.REGEX, f"new {i}$") for i in range(250))
    with pytest.raises(FilterInvalid, match="500,000 different texts"):
        index.evaluate(AllOf(conditions))
