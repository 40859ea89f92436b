"""Vectors that searches cannot serve well: not of unit length, not finite, all alike."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from search_service.analysis.checking.finding import Finding, Verdict, judged
from search_service.analysis.checking.models import check_models
from search_service.analysis.gallery import Gallery
from search_service.domain.arrays import F32, F64, I64, Flags

_ROWS_PER_BLOCK = 8_192
# Float32 vectors that were normalised are within 1e-6 of 1; what is farther off shifts
# scores in the third decimal, which is what thresholds are given in.
_NORM_TOLERANCE = 1e-3
# Of unit vectors, a spread of components below this is rounding.
_CONSTANT_SPREAD = 1e-6
# Among 4,000 vectors, 100 equal ones made 2.7 % of the others unreachable by their own query.
_MANY_EQUAL_SHARE = 0.01
_LEAST_EQUAL = 20
# Mean cosine of two items that have nothing to do with each other: .2 to .6 for networks
# that were trained on photographs. Beyond this, scores of everything crowd near 1.
_CROWDED = 0.9
_PAIRS = 20_000


def check_vectors(gallery: Gallery, seed: int) -> Iterator[Finding]:
    """Yield what the vectors alone show."""
    if not len(gallery):
        return
    seen = _looked_through(gallery)
    yield _norms(gallery, seen)
    yield _not_finite(gallery, seen)
    yield _constant(gallery, seen)
    yield _equal(gallery, seen)
    usable = np.flatnonzero(seen.finite & (np.abs(seen.norms - 1.0) <= _NORM_TOLERANCE))
    yield _spread(gallery, usable, seed)
    yield check_models(gallery, usable, seed)


@dataclass(frozen=True, slots=True)
class _Seen:
    norms: F64
    finite: Flags
    spreads: F64
    groups: I64  # number of the row's group of byte-equal vectors


def _looked_through(gallery: Gallery) -> _Seen:
    norms, finite, spreads = [], [], []
    numbers: dict[bytes, int] = {}
    groups = np.empty(len(gallery), dtype=np.int64)
    for start in range(0, len(gallery), _ROWS_PER_BLOCK):
        block = np.asarray(gallery.vectors[start : start + _ROWS_PER_BLOCK])
        whole = np.asarray(np.isfinite(block).all(axis=1))
        wide = np.where(whole[:, None], block, 0.0).astype(np.float64)
        norms.append(np.linalg.norm(wide, axis=1))
        spreads.append(wide.max(axis=1) - wide.min(axis=1))
        finite.append(whole)
        for place, row in enumerate(block):
            groups[start + place] = numbers.setdefault(_digest(row), len(numbers))
    return _Seen(np.concatenate(norms), np.concatenate(finite), np.concatenate(spreads), groups)


def _digest(row: F32) -> bytes:
    # Equal digests of 16 bytes are equal vectors for all that a count needs.
    return hashlib.blake2b(row.tobytes(), digest_size=16).digest()


def _norms(gallery: Gallery, seen: _Seen) -> Finding:
    off = np.flatnonzero(seen.finite & (np.abs(seen.norms - 1.0) > _NORM_TOLERANCE))
    return judged(
        "vector_norms",
        Verdict.FAIL if len(off) else Verdict.OK,
        f"{len(off):,} of {len(gallery):,} vectors are not of length 1",
        float(len(off)),
        advice="scores of these are not cosines: index them again",
        example_ids=_ids(gallery, off),
    )


def _not_finite(gallery: Gallery, seen: _Seen) -> Finding:
    off = np.flatnonzero(~seen.finite)
    return judged(
        "vectors_finite",
        Verdict.FAIL if len(off) else Verdict.OK,
        f"{len(off):,} of {len(gallery):,} vectors hold NaN or infinity",
        float(len(off)),
        advice="index these again, and look at what made their vectors",
        example_ids=_ids(gallery, off),
    )


def _constant(gallery: Gallery, seen: _Seen) -> Finding:
    off = np.flatnonzero(seen.finite & (seen.spreads < _CONSTANT_SPREAD))
    if gallery.vectors.shape[1] == 1:  # one component has no spread
        off = off[:0]
    return judged(
        "vectors_constant",
        Verdict.FAIL if len(off) else Verdict.OK,
        f"{len(off):,} of {len(gallery):,} vectors have the same value in every component",
        float(len(off)),
        advice="such a vector says nothing of a picture: look at what made it, index it again",
        example_ids=_ids(gallery, off),
    )


def _equal(gallery: Gallery, seen: _Seen) -> Finding:
    sizes = np.bincount(seen.groups)
    largest = int(sizes.max())
    rows = np.flatnonzero(seen.groups == int(sizes.argmax()))
    many = largest >= max(_LEAST_EQUAL, _MANY_EQUAL_SHARE * len(gallery))
    return judged(
        "vectors_equal",
        Verdict.WARN if many else Verdict.OK,
        f"the most frequent vector is that of {largest:,} of {len(gallery):,} items",
        float(largest),
        advice="these items can never be told apart. Are they one picture, a placeholder, or "
        "files that an encoder could not read? Set a duplicate policy, or delete them",
        example_ids=_ids(gallery, rows),
    )


def _spread(gallery: Gallery, usable: I64, seed: int) -> Finding:
    if len(usable) < 2:
        return Finding("vectors_spread", Verdict.OK, "too few vectors to tell")
    drawn = np.random.default_rng(seed).integers(0, len(usable), (2, _PAIRS))
    drawn = drawn[:, drawn[0] != drawn[1]]
    total = 0.0
    for start in range(0, drawn.shape[1], _ROWS_PER_BLOCK):
        a, b = usable[drawn[:, start : start + _ROWS_PER_BLOCK]]
        total += float(np.einsum("nd,nd->", gallery.vectors[a], gallery.vectors[b]))
    mean = total / max(drawn.shape[1], 1)
    return judged(
        "vectors_spread",
        Verdict.WARN if mean > _CROWDED else Verdict.OK,
        f"two random items have a mean cosine of {mean:.3f}",
        mean,
        advice="everything is near everything, and scores tell little apart: check the model's "
        "weights and preprocessing, or take another model",
    )


def _ids(gallery: Gallery, rows: I64) -> list[str]:
    return [gallery.ids[row] for row in rows[:5].tolist()]
