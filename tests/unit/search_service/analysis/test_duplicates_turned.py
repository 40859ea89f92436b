"""Copies that are turned or mirrored are found by sketches and told by their pictures."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from embedder_service.decode.facts import grey_thumbnail, working_luminance
from lookalike.v1.image_pb2 import ImageFacts
from search_service.analysis.checkpoint import Checkpoint
from search_service.analysis.duplicates.candidates import NearPairs
from search_service.analysis.duplicates.kinds import Kind, PairKinds, Told
from search_service.analysis.duplicates.links import Decisions, Links
from search_service.analysis.duplicates.turned_candidates import TurnedSketches
from search_service.analysis.duplicates.turns import (
    WAYS,
    back,
    lies_across,
    turn_of,
    turned,
    turned_waves,
)
from search_service.analysis.facts import picture_facts
from search_service.analysis.jobs import Progress
from search_service.domain.arrays import I64
from tests.bench.analysis.copies import COPIES, page_of_text
from tests.bench.analysis.turning import lying
from tests.hostile.files import photo

data: Any = pytest.importorskip("skimage.data")
PHOTOGRAPHS = [
    Image.fromarray(each()).convert("RGB")
    for each in (data.chelsea, data.coffee, data.astronaut, data.rocket, data.camera)
]
OTHERS = [photo(random.Random(n), 320, 240) for n in range(20)]


def say_nothing(progress: Progress) -> None:
    """Nobody listens."""


def facts_of(picture: Image.Image) -> bytes:
    return ImageFacts(
        width_px=picture.width,
        height_px=picture.height,
        grey_webp=grey_thumbnail(working_luminance(picture)),
    ).SerializeToString()


class Pictures:
    """What a search knows of some pictures."""

    def __init__(self, pictures: list[Image.Image]) -> None:
        facts = picture_facts([facts_of(each) for each in pictures])
        kept = Checkpoint(None, "")
        self.sketches = TurnedSketches(facts.greys, 1, kept, say_nothing)
        self.count = len(pictures)
        self._kinds = PairKinds(facts, 1, kept, self.sketches)

    def pairs(self) -> tuple[I64, I64]:
        return self.sketches.pairs_of(np.arange(self.count), say_nothing)

    def told(self, first: I64, second: I64, *, as_they_are: bool = True) -> Told:
        scores = np.zeros(len(first), dtype=np.float32)
        return self._kinds.of_pairs(
            first, second, scores, 0.9, say_nothing, as_they_are=as_they_are
        )


def test_ways_are_what_they_say_and_can_be_undone() -> None:
    rng = np.random.default_rng(1)
    picture = rng.normal(size=(8, 8)).astype(np.float32)
    shown = Image.fromarray(rng.integers(0, 255, size=(8, 8), dtype=np.uint8))
    for way in range(WAYS):
        there = turned(np.asarray(shown, dtype=np.float32), way)
        assert np.array_equal(there, np.asarray(lying(shown, turn_of(way)), dtype=np.float32))
        (undone,) = back(np.array([way]))
        assert np.array_equal(turned(turned(picture, way), int(undone)), picture)
    assert lies_across(np.arange(8)).tolist() == [0, 1] * 4


def test_waves_are_turned_as_their_pictures_are() -> None:
    rng = np.random.default_rng(2)
    pictures = rng.normal(size=(3, 8, 8)).astype(np.float32)
    basis = np.cos(np.pi * np.arange(8)[:, None] * (2 * np.arange(8) + 1) / 16)
    for way in range(WAYS):
        wanted = basis @ turned(pictures, way) @ basis.T
        found = turned_waves((basis @ pictures @ basis.T).astype(np.float32), way)
        assert np.allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize(
    ("edit", "least"),
    [
        ("recompressed", 1.0),
        ("framed", 0.8),
        ("centre-cropped", 0.8),
    ],
)
def test_turned_copies_are_found_and_how_they_lie_is_told(edit: str, least: float) -> None:
    rng = np.random.default_rng(3)
    pictures = [*PHOTOGRAPHS, *OTHERS]
    made = [
        (at, way, lying(COPIES[edit](picture, rng), turn_of(way)))
        for at, picture in enumerate(PHOTOGRAPHS)
        for way in range(1, WAYS)
    ]
    seen = Pictures([*pictures, *(picture for *_, picture in made)])
    first, second = seen.pairs()
    assert first.tolist() == sorted(first.tolist())
    assert (first < second).all()
    told = seen.told(first, second, as_they_are=False)
    sources = np.array([*range(len(pictures)), *(at for at, *_ in made)])
    copies = told.kinds == Kind.COPY
    assert (sources[first[copies]] == sources[second[copies]]).all()
    found = {
        (int(one), int(other)): int(way)
        for one, other, way in zip(first[copies], second[copies], told.ways[copies], strict=True)
    }
    ways = [
        (found.get((at, len(pictures) + number)), way) for number, (at, way, _) in enumerate(made)
    ]
    assert all(told is None or told == way for told, way in ways)
    assert sum(told is not None for told, _ in ways) >= least * len(made)


def test_a_copy_that_was_not_turned_is_one_as_it_is() -> None:
    rng = np.random.default_rng(4)
    copies = [COPIES["recompressed"](each, rng) for each in PHOTOGRAPHS]
    count = len(PHOTOGRAPHS)
    told = Pictures([*PHOTOGRAPHS, *copies]).told(np.arange(count), np.arange(count) + count)
    assert (told.kinds == Kind.COPY).all()
    assert not told.ways.any()


def test_what_is_only_alike_when_turned_is_no_copy() -> None:
    rng = np.random.default_rng(5)
    pages = [page_of_text(rng) for _ in range(4)]
    over = [lying(page_of_text(rng), replace(turn_of(0), degrees=180)) for _ in range(4)]
    seen = Pictures([*pages, *over, *OTHERS[:8]])
    first, second = np.triu_indices(seen.count, 1)
    assert seen.sketches.ways(first, second).any()
    assert not (seen.told(first, second, as_they_are=False).kinds == Kind.COPY).any()


def test_nothing_is_said_of_pictures_that_show_nothing() -> None:
    plain = Image.new("RGB", (300, 200), "white")
    seen = Pictures([plain, plain.rotate(90, expand=True), PHOTOGRAPHS[0]])
    first, second = seen.pairs()
    assert len(first) == len(second) == 0
    assert not seen.told(np.array([0, 0]), np.array([1, 2])).ways.any()


def test_the_nearest_are_those_that_a_plain_comparison_finds() -> None:
    rng = np.random.default_rng(6)
    turned_copies = [lying(each, turn_of(int(rng.integers(1, WAYS)))) for each in OTHERS]
    seen = Pictures([*OTHERS, *turned_copies])
    first, second = seen.pairs()
    pairs = set(zip(first.tolist(), second.tolist(), strict=True))
    assert {(n, n + len(OTHERS)) for n in range(len(OTHERS))} <= pairs
    every_first, every_second = np.triu_indices(seen.count, 1)
    ways = seen.sketches.ways(every_first, every_second)
    possible = {
        (int(one), int(other))
        for one, other in zip(every_first[ways > 0], every_second[ways > 0], strict=True)
    }
    assert pairs <= possible
    few = seen.sketches.pairs_of(np.array([0]), say_nothing)
    assert set(few[0].tolist()) == {0}


def test_a_pair_that_comes_again_keeps_what_is_surest() -> None:
    none = Decisions(frozenset(), frozenset(), frozenset(), frozenset())
    no_files = np.array([-1, -1])
    kinds: Any = None  # nothing is compared here
    links = Links(
        np.eye(2, dtype=np.float32),
        *(np.arange(2), no_files, kinds, 0.9, [Kind.COPY, Kind.SIMILAR], none),
    )
    pair = NearPairs(np.array([0]), np.array([1]), np.array([0.95], dtype=np.float32))
    for kind, agreement, way in ((Kind.SIMILAR, 0.0, 0), (Kind.COPY, 0.9, 0), (Kind.COPY, 0.8, 4)):
        told = Told(np.array([kind]), np.array([agreement]), np.array([way]))
        assert links.note(pair, told).tolist() == [True]
    assert links.note(pair, Told(np.array([Kind.SIMILAR]), np.zeros(1), np.array([0]))).all()
    (relation,) = links.relations(0, np.array([1]))
    assert (relation.kind, relation.agreement, relation.way) == (Kind.COPY, 0.9, 0)
