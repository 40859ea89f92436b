"""Vectors that searches cannot serve well are told, and others are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lookalike.v1.image_pb2 import ImageFacts
from search_service.analysis.checking.finding import Finding, Verdict
from search_service.analysis.checking.pictures import check_pictures
from search_service.analysis.checking.retrieval import Searched
from search_service.analysis.checking.thresholds import check_threshold, check_threshold_scores
from search_service.analysis.checking.vectors import check_vectors
from search_service.analysis.gallery import Gallery
from search_service.analysis.neighbours import Nearest
from search_service.domain.arrays import F32

N, DIMENSION = 400, 32


def unit(vectors: Any) -> F32:
    found: F32 = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return found


def gallery(vectors: F32, facts: list[bytes] | None = None) -> Gallery:
    n = len(vectors)
    ids = [f"item-{place}" for place in range(n)]
    ordinals = np.arange(1, n + 1)
    return Gallery(ids, ordinals, vectors, [b"{}"] * n, facts or [b""] * n, ordinals)


def plain(seed: int = 0) -> F32:
    return unit(np.random.default_rng(seed).normal(size=(N, DIMENSION)) + 0.5)


def found(vectors: F32, facts: list[bytes] | None = None) -> dict[str, Finding]:
    return {each.name: each for each in check_vectors(gallery(vectors, facts), seed=1)}


def test_ordinary_vectors_are_well() -> None:
    assert {each.verdict for each in found(plain()).values()} == {Verdict.OK}
    assert not any(each.advice for each in found(plain()).values())


@pytest.mark.parametrize(
    ("rows", "name"),
    [
        (np.full(DIMENSION, np.nan), "vectors_finite"),
        (np.r_[np.inf, np.zeros(DIMENSION - 1)], "vectors_finite"),
        (np.r_[1.01, np.zeros(DIMENSION - 1)], "vector_norms"),
        (np.zeros(DIMENSION), "vectors_constant"),
        (np.full(DIMENSION, DIMENSION**-0.5), "vectors_constant"),
    ],
)
def test_a_vector_that_says_nothing_fails_and_is_named(rows: Any, name: str) -> None:
    vectors = plain()
    vectors[7] = rows
    finding = found(vectors)[name]
    assert (finding.verdict, finding.value) == (Verdict.FAIL, 1.0)
    assert list(finding.example_ids) == ["item-7"]
    assert finding.advice


def test_many_equal_vectors_are_told() -> None:
    vectors = plain()
    vectors[10:40] = vectors[3]
    finding = found(vectors)["vectors_equal"]
    assert (finding.verdict, finding.value) == (Verdict.WARN, 31.0)


def test_vectors_that_are_all_alike_are_told() -> None:
    crowded = unit(np.random.default_rng(2).normal(size=(N, DIMENSION)) * 0.05 + 1.0)
    assert found(crowded)["vectors_spread"].verdict is Verdict.WARN


def test_vectors_of_two_models_are_told() -> None:
    rng = np.random.default_rng(4)
    one = unit(rng.normal(size=(N - 60, DIMENSION)) * 0.2 + rng.normal(size=DIMENSION))
    other = unit(rng.normal(size=(60, DIMENSION)) * 0.2 + rng.normal(size=DIMENSION))
    both = np.concatenate([one, other])
    finding = found(both)["mixed_models"]
    assert (finding.verdict, finding.value) == (Verdict.WARN, 0.15)
    # Where one group was made by the service and one was handed in, it is hardly chance.
    facts = [ImageFacts(width_px=1).SerializeToString()] * (N - 60) + [b""] * 60
    assert found(both, facts)["mixed_models"].verdict is Verdict.FAIL


def pictures(*facts: ImageFacts) -> dict[str, Finding]:
    vectors = unit(np.ones((len(facts), 4)) + np.eye(len(facts), 4) * 0.01)
    shown = gallery(vectors, [each.SerializeToString() for each in facts])
    return {each.name: each for each in check_pictures(shown, {"policy": "off", "threshold": 1.0})}


def test_blank_pictures_that_match_each_other_fail() -> None:
    whole, blank = ImageFacts(width_px=9), ImageFacts(width_px=9, blank=True)
    assert {each.verdict for each in pictures(whole, whole).values()} == {Verdict.OK}
    assert pictures(whole, blank)["blank_pictures"].verdict is Verdict.WARN
    finding = pictures(blank, whole, blank)["blank_pictures"]
    assert (finding.verdict, finding.value) == (Verdict.FAIL, 2.0)
    assert list(finding.example_ids) == ["item-0", "item-2"]
    cut = pictures(whole, ImageFacts(width_px=9, truncated=True))["truncated_pictures"]
    assert (cut.verdict, list(cut.example_ids)) == (Verdict.WARN, ["item-1"])


DECISION = {"threshold": 0.8, "model_fingerprint": "m", "gallery_items": 100}


@pytest.mark.parametrize(
    ("options", "verdict", "says"),
    [
        ({"policy": "off", "calibration": None}, Verdict.OK, "no threshold counts"),
        ({"calibration": None}, Verdict.WARN, "never validated"),
        ({"fingerprint": "other"}, Verdict.FAIL, "another model"),
        ({"calibration": DECISION | {"gallery_items": 40}}, Verdict.WARN, "among 40 items"),
        ({"threshold": 0.9}, Verdict.WARN, "the calibrated one 0.8"),
        ({}, Verdict.OK, "was calibrated"),
    ],
)
def test_a_threshold_must_have_been_validated(
    options: dict[str, Any], verdict: Verdict, says: str
) -> None:
    given = {"policy": "flag", "threshold": 0.8, "calibration": DECISION, "fingerprint": "m"}
    finding = check_threshold(given | options, gallery(plain()))
    assert (finding.verdict, says in finding.found) == (verdict, True)


@pytest.mark.parametrize(
    ("threshold", "policy", "verdict"),
    [
        (0.2, "flag", Verdict.FAIL),
        (0.75, "flag", Verdict.WARN),
        (0.9, "flag", Verdict.OK),
        (0.99, "flag", Verdict.WARN),  # nothing reaches it
        (0.99, "reject", Verdict.OK),  # what did was rejected
        (1.0, "reject", Verdict.WARN),
        (0.2, "off", Verdict.OK),
    ],
)
def test_a_threshold_must_suit_the_scores(threshold: float, policy: str, verdict: Verdict) -> None:
    scores = np.array([[0.3], [0.4], [0.5], [0.6], [0.7], [0.8], [0.95]], dtype=np.float32)
    rows = np.arange(7)
    searched = Searched(rows, Nearest(rows[:, None], scores))
    given = {"policy": policy, "threshold": threshold, "calibration": None}
    assert check_threshold_scores(given, searched).verdict is verdict
