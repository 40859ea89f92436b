"""Kinds of pairs of pictures, as the service tells them: a confusion matrix (analysis.2)."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import cycle, islice

import numpy as np
from PIL import Image, PngImagePlugin

from embedder_service.decode import facts as embedder_facts
from embedder_service.decode.limits import ImageLimits
from embedder_service.decode.picture import decode_file
from lookalike.v1.image_pb2 import ImageFacts
from search_service.analysis.checkpoint import Checkpoint
from search_service.analysis.duplicates.kinds import Kind, PairKinds
from search_service.analysis.facts import picture_facts
from tests.bench.analysis.copies import (
    COPIES,
    as_jpeg,
    later,
    other_crops,
    page_of_text,
    screenshot,
)
from tests.bench.analysis.folders import pictures_of
from tests.bench.report import Report

PAIRS = 200
_LIMITS = ImageLimits(max_image_bytes=1 << 26, max_image_pixels=40_000_000, max_aspect_ratio=50)
_SEED = 21

Pair = tuple[bytes, bytes]


def measure(report: Report) -> None:
    """Print the matrix, and add its rows."""
    found = {name: _told(pairs) for name, pairs in _pairs().items()}
    columns = [Kind.BYTE_IDENTICAL, Kind.PIXEL_IDENTICAL, Kind.COPY, Kind.SIMILAR]
    print(f"{'made as':24}" + "".join(f"{kind.name.lower():>17}" for kind in columns))
    for name, counts in found.items():
        print(f"{name:24}" + "".join(f"{counts[kind]:17}" for kind in columns))
    similar = [counts for name, counts in found.items() if name.startswith("similar")]
    wrong = sum(counts[Kind.COPY] for counts in similar) / (PAIRS * len(similar))
    report.at_most(
        "analysis.2.similar", "similar pairs that are called copies", wrong, "share", 0.02
    )
    right = found["copy"][Kind.COPY] / PAIRS
    report.at_least("analysis.2.copy", "copies of any kind that are called so", right, "share", 0.9)
    for name, kind in (("byte", Kind.BYTE_IDENTICAL), ("pixel", Kind.PIXEL_IDENTICAL)):
        share = found[name][kind] / PAIRS
        report.equals(f"analysis.2.{name}", f"pairs of kind {kind.name}", share, "share", 1.0)


def _told(pairs: Iterator[Pair]) -> Counter[Kind]:
    files = [file for pair in islice(pairs, PAIRS) for file in pair]
    kinds = PairKinds(
        picture_facts([_facts(file) for file in files]), threads=2, kept=Checkpoint(None, "")
    )
    first = np.arange(0, len(files), 2)
    near = np.ones(len(first), dtype=np.float32)
    told = kinds.of_pairs(first, first + 1, near, 0.5, lambda progress: None)
    return Counter(Kind(each) for each in told.kinds.tolist())


def _facts(file: bytes) -> bytes:
    seen = decode_file(file, _LIMITS, least_short_side_px=594, admit=lambda pixels: None)
    luminance = embedder_facts.working_luminance(seen.rgb)
    return ImageFacts(
        width_px=seen.width_px,
        height_px=seen.height_px,
        sha256=hashlib.sha256(file).digest(),
        pixel_sha256=seen.digest(),
        grey_webp=embedder_facts.grey_thumbnail(luminance),
    ).SerializeToString()


def _pairs() -> Mapping[str, Iterator[Pair]]:
    """Return pairs of each kind; pictures are the half that no threshold was chosen on."""
    photographs = pictures_of("neardup_photos")[1::2]
    products = pictures_of("fashion")[601:]
    rng = np.random.default_rng(_SEED)
    both = [each for pair in zip(cycle(photographs), products, strict=False) for each in pair]
    return {
        "byte": ((file.read_bytes(), file.read_bytes()) for file in cycle(both)),
        "pixel": (_noted(Image.open(file).convert("RGB")) for file in cycle(both)),
        "copy": _copies([Image.open(file).convert("RGB") for file in both[:400]], rng),
        "similar: other parts": _parts(
            [Image.open(each).convert("RGB") for each in photographs], rng
        ),
        "similar: a moment later": (
            (as_jpeg(picture, 90), as_jpeg(later(picture, rng), 90))
            for picture in cycle([Image.open(each).convert("RGB") for each in photographs])
        ),
        "similar: pages of text": (
            (as_jpeg(page_of_text(rng), 85), as_jpeg(page_of_text(rng), 85)) for _ in range(PAIRS)
        ),
        "similar: screens": (
            (as_jpeg(screenshot(rng), 85), as_jpeg(screenshot(rng), 85)) for _ in range(PAIRS)
        ),
        "similar: faces": _faces(),
    }


def _noted(picture: Image.Image) -> Pair:
    """Return one picture in two files: with notes, and in another format."""
    one, other = io.BytesIO(), io.BytesIO()
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", "a note")
    picture.save(one, "PNG", pnginfo=notes)
    picture.save(other, "TIFF")
    return one.getvalue(), other.getvalue()


def _copies(pictures: list[Image.Image], rng: np.random.Generator) -> Iterator[Pair]:
    for picture, edit in zip(cycle(pictures), cycle(COPIES.values()), strict=False):
        yield as_jpeg(picture, 92), as_jpeg(edit(picture, rng), 85)


def _parts(pictures: list[Image.Image], rng: np.random.Generator) -> Iterator[Pair]:
    large = [picture for picture in pictures if min(picture.size) >= 300]
    for picture in cycle(large):
        one, other = other_crops(picture, rng)
        yield as_jpeg(one, 90), as_jpeg(other, 90)


def _faces() -> Iterator[Pair]:
    """Two shots of one person, of each pair of shots that follow one another."""
    files = pictures_of("faces_orl")
    people: dict[str, list[bytes]] = {}
    for file in files:
        people.setdefault(file.name.split("_")[0], []).append(file.read_bytes())
    for step in range(1, 10):
        for shots in people.values():
            yield from zip(shots, shots[step:], strict=False)
