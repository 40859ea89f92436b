"""The figures of a challenge, against hand-worked cases."""

from __future__ import annotations

import pytest

from lookalike_client.challenge.quality import (
    by_label,
    judge,
    pairs_at,
    recall_of_exact,
)


def ranked(*ids: str) -> list[tuple[str, float]]:
    return [(id, 1.0 - 0.05 * place) for place, id in enumerate(ids)]


LABELS = {"a": "x", "b": "x", "c": "x", "d": "y", "e": "y", "f": "z"}


def test_means_and_what_they_can_be_at_most() -> None:
    rankings = {"a": ranked("b", "d", "e"), "d": ranked("e", "a"), "f": ranked("a", "b")}
    judged = judge(rankings, LABELS)
    measured = judged.measured()

    assert judged.ids == ["a", "d"]  # nothing is like f
    assert measured.queries == 2
    assert measured.precision == pytest.approx((1 / 10 + 1 / 10) / 2)
    assert measured.precision_attainable == pytest.approx((2 / 10 + 1 / 10) / 2)
    assert measured.recall == pytest.approx((1 / 2 + 1 / 1) / 2)
    assert measured.recall_attainable == 1.0


def test_ten_cannot_hold_all_of_a_large_label() -> None:
    group = {f"i{n}": "x" for n in range(41)}
    measured = judge({"i0": ranked(*(f"i{n}" for n in range(1, 11)))}, group).measured()

    assert (measured.precision, measured.precision_attainable) == (1.0, 1.0)
    assert measured.recall == measured.recall_attainable == pytest.approx(10 / 40)


def test_a_query_and_the_eleventh_do_not_count() -> None:
    group = dict.fromkeys(("q", "o", "l"), "x")
    strangers = [f"s{n}" for n in range(8)]
    judged = judge({"q": ranked("q", "o", *strangers, "l")}, group)

    assert judged.found.tolist() == [1]
    assert judged.relevant.tolist() == [2]


def test_no_query_has_anything_to_find() -> None:
    assert judge({"f": ranked("a")}, LABELS).measured().queries == 0


def test_labels_from_the_weakest_up() -> None:
    rankings = {"a": ranked("b", "c"), "d": ranked("a", "b")}
    inner = {"a": "1", "b": "1"}
    found = by_label(judge(rankings, LABELS), judge({"a": ranked("b")}, inner), LABELS)

    assert [each.label for each in found] == ["y", "x"]
    assert (found[0].precision, found[0].filtered_precision) == (0.0, None)
    assert (found[1].items, found[1].filtered_recall) == (3, 1.0)


def test_equal_scores_take_turns_at_the_end() -> None:
    best = [(f"b{n}", 0.9) for n in range(9)] + [("last", 0.5)]
    twin = [*best[:9], ("its twin", 0.5)]
    worse = [*best[:8], ("no", 0.4), ("other", 0.3)]

    assert recall_of_exact({"q": twin}, {"q": best}) == 1.0
    assert recall_of_exact({"q": worse}, {"q": best}) == pytest.approx(0.8)
    assert recall_of_exact({}, {}) == 1.0


def test_pairs_count_once() -> None:
    found = {"a": [("b", 0.99), ("c", 0.7)], "b": [("a", 0.99)], "c": [("a", 0.7)]}

    assert pairs_at(found.items(), 0.9) == (2, 1)
    assert pairs_at(found.items(), 0.7) == (3, 2)
