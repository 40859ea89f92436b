"""Copies that are turned or mirrored, among all others (analysis.2.turned)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageOps

from embedder_service.decode.facts import grey_thumbnail, working_luminance
from lookalike.v1.image_pb2 import ImageFacts
from search_service.analysis.checkpoint import Checkpoint
from search_service.analysis.duplicates.kinds import Kind, PairKinds
from search_service.analysis.duplicates.turned_candidates import TurnedSketches
from search_service.analysis.duplicates.turns import WAYS, Turn, turn_of
from search_service.analysis.facts import picture_facts
from search_service.analysis.jobs import Progress
from tests.bench.analysis.copies import COPIES, Edit
from tests.bench.analysis.folders import pictures_of
from tests.bench.report import Report

_SIMPLE = ("recompressed", "resized", "centre-cropped")
_SHARE = 0.3
_SEED = 23
_CLOCKWISE = {
    90: Image.Transpose.ROTATE_270,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}


def lying(picture: Image.Image, turn: Turn) -> Image.Image:
    """Return a picture mirrored or not, then turned clockwise."""
    if turn.mirrored:
        picture = ImageOps.mirror(picture)
    return picture.transpose(_CLOCKWISE[turn.degrees]) if turn.degrees else picture


def measure(report: Report) -> None:
    """Plant turned copies among all pictures of a set, find them, and add rows."""
    simple = {name: COPIES[name] for name in _SIMPLE}
    kinds = (("simple", "JPEG q20-60, smaller, 90 % crop", simple), ("all", "any kind", COPIES))
    for folder, name in (("neardup_photos", "photographs"), ("fashion", "products")):
        pictures = [Image.open(file).convert("RGB") for file in pictures_of(folder)]
        for kind, what, edits in kinds:
            recall, false, told = _found(pictures, edits)
            row = f"analysis.2.turned.{name}.{kind}"
            least = 0.9 if kind == "simple" else 0.75
            report.at_least(f"{row}.recall", f"turned {name}, {what}", recall, "", least)
            report.at_most(
                f"{row}.false",
                f"turned {name}, {what}: false copies of {told:,}",
                false / max(told, 1),
                "share",
                0.05,
            )


def _found(pictures: Sequence[Image.Image], edits: Mapping[str, Edit]) -> tuple[float, int, int]:
    """Return the share of planted copies that are found, the false copies, and all."""
    rng = np.random.default_rng(_SEED)
    names = list(edits)
    planted: dict[tuple[int, int], int] = {}
    shown = list(pictures)
    sources = list(range(len(pictures)))
    for number, at in enumerate(rng.permutation(len(pictures))[: int(_SHARE * len(pictures))]):
        way = 1 + number % (WAYS - 1)
        edit = edits[names[number // (WAYS - 1) % len(names)]]
        planted[int(at), len(shown)] = way
        shown.append(lying(edit(pictures[at], rng), turn_of(way)))
        sources.append(int(at))
    facts = picture_facts([_facts(picture) for picture in shown])
    kept = Checkpoint(None, "")
    sketches = TurnedSketches(facts.greys, 2, kept, _say_nothing)
    first, second = sketches.pairs_of(np.arange(len(shown)), _say_nothing)
    told = PairKinds(facts, 2, kept, sketches).of_pairs(
        first,
        second,
        np.zeros(len(first), dtype=np.float32),
        1.0,
        _say_nothing,
        as_they_are=False,
    )
    copies = np.flatnonzero(told.kinds == Kind.COPY)
    pairs = {(int(first[at]), int(second[at])): int(told.ways[at]) for at in copies}
    right = sum(pairs.get(pair) == way for pair, way in planted.items())
    false = sum(sources[one] != sources[other] for one, other in pairs)
    return right / len(planted), false, len(pairs)


def _facts(picture: Image.Image) -> bytes:
    return ImageFacts(
        width_px=picture.width,
        height_px=picture.height,
        grey_webp=grey_thumbnail(working_luminance(picture)),
    ).SerializeToString()


def _say_nothing(progress: Progress) -> None:
    """Nobody waits for these."""
