"""Whether two pictures are copies of one another: by small grey pictures of both.

One is laid into the other as well as it goes. They are copies where it lies inside, and
where nearly all of the structure there, window by window, is the same: brightness and
contrast may differ. Two parts of one photograph do not lie inside one another; bursts,
faces and pages of text differ in windows here and there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from search_service.analysis.duplicates import alignment
from search_service.analysis.duplicates.resampling import (
    enlarged,
    inside_share,
    reduced,
    sampled,
    softened,
)
from search_service.domain.arrays import F32, F64, Flags

# Of pairs of which one is the other moved, those that share less are two pictures.
LEAST_INSIDE = 0.85
# Chosen on 1,080 copies, 572 similar pictures and 5,985 near pairs of product photographs:
# .5 % of the similar ones are called copies, and of what is called a copy among the product
# photographs 96 % are (98 % at .89, where marked and framed copies get lost). `make
# bench-analysis` prints what it reaches on other pairs.
LEAST_AGREEMENT = 0.87

_WINDOW_PX = 7
# Windows agree where structure and contrast are the same to this degree (the second factor
# of SSIM, Wang et al. 2004). By correlation alone one wallet is the next in another leather.
_SAME = 0.9
# Added to variances, in squared grey levels, so that noise in flat windows agrees: from 1
# to 6 it hardly matters; 0 or much more loses faint pictures, or sees only outlines.
_NOISE = 4.0
# An outline says more than a surface, but not much more: at .25 one wallet is the next.
_CONTRAST_WEIGHT = 0.15
# Placements that are refined at half the side, of those tried at a quarter of it.
_REFINED = 2
_FINE_STEPS, _HALF_STEPS = 5, 6
# Pairs whose best placement at half the side fits worse are settled: of copies of every
# kind in the measurement all but watermarks across a plain picture reach .9.
_LEAST_FIT = 0.75
PAIRS_AT_ONCE = 128


@dataclass(frozen=True, slots=True)
class Findings:
    """`agreement` float64 [P]: share of the structure that is the same, 0 to 1; `inside`
    float64 [P]: share of one that lies within the other."""

    agreement: F64
    inside: F64

    @property
    def copies(self) -> Flags:
        """Which pairs are copies, bool [P]."""
        copies: Flags = (self.agreement >= LEAST_AGREEMENT) & (self.inside >= LEAST_INSIDE)
        return copies


def compared(one: F32, other: F32, proportions: F64) -> Findings:
    """Compare pairs of grey pictures, float32 [P, n, n], 0 to 255, stretched to squares.

    `proportions` float64 [P]: width over height of each `other` as it is, through that of
    its `one`.
    """
    one, other = softened(one), softened(other)
    agreement, inside = np.zeros(len(one)), np.zeros(len(one))
    # Most copies have the whole frame: those are told without a search.
    whole = np.tile([1.0, 0.0, 1.0, 0.0], (len(one), 1))
    quick = _agreement(one, other, whole)
    settled = quick >= LEAST_AGREEMENT
    agreement[settled], inside[settled] = quick[settled], 1.0
    rest = np.flatnonzero(~settled)
    if len(rest):
        swapped, placements, hopeful = _searched(one[rest], other[rest], proportions[rest])
        rest, swapped, placements = rest[hopeful], swapped[hopeful], placements[hopeful]
        if len(rest):
            outer = np.where(swapped[:, None, None], other[rest], one[rest])
            inner = np.where(swapped[:, None, None], one[rest], other[rest])
            placements = alignment.refined(outer, inner, placements, _FINE_STEPS)
            agreement[rest] = _agreement(outer, inner, placements)
            inside[rest] = inside_share(placements, one.shape[1])
    flat = alignment.is_flat(one) | alignment.is_flat(other)
    agreement[flat] = 0.0  # nothing is known of a picture that shows nothing
    return Findings(agreement, inside)


def _searched(one: F32, other: F32, proportions: F64) -> tuple[Flags, F64, Flags]:
    """Return which pairs are to be swapped, their placements, and which have a chance."""
    quarter = [reduced(each, 4) for each in (one, other)]
    half = [reduced(each, 2) for each in (one, other)]
    straight = alignment.coarse(quarter[0], quarter[1], proportions)
    turned = alignment.coarse(quarter[1], quarter[0], 1.0 / proportions)
    scores = np.concatenate([straight.scores, turned.scores], axis=1)
    tried = np.concatenate([straight.placements, turned.placements], axis=1)
    first_turned = straight.scores.shape[1]
    order = np.argsort(-scores, axis=1, kind="stable")
    pairs = np.arange(len(one))
    best = np.full(len(one), -np.inf)
    placements = np.tile([1.0, 0.0, 1.0, 0.0], (len(one), 1))
    swapped = np.zeros(len(one), dtype=np.bool_)
    for rank in range(_REFINED):
        chosen = order[:, rank]
        swap = chosen >= first_turned
        outer = np.where(swap[:, None, None], half[1], half[0])
        inner = np.where(swap[:, None, None], half[0], half[1])
        placed = enlarged(tried[pairs, chosen], 2)
        placed = alignment.refined(outer, inner, placed, _HALF_STEPS)
        fit = alignment.likeness(outer, inner, placed)
        better = fit > best
        best[better], placements[better] = fit[better], placed[better]
        swapped[better] = swap[better]
    return swapped, enlarged(placements, 2), best >= _LEAST_FIT


def _agreement(outer: F32, inner: F32, placements: F64) -> F64:
    """Return the share of windows, weighted by their contrast, whose structure is the same."""
    shown, inside = sampled(inner, placements)
    windows = _windows(outer.shape[1])

    def mean(values: F32) -> F32:
        return (windows @ values @ windows.T).astype(np.float32, copy=False)

    left, left_deviation = _evened(outer, inside)
    right, right_deviation = _evened(shown, inside)
    calm = _NOISE / (left_deviation * right_deviation)
    left_mean, right_mean = mean(left), mean(right)
    left_variance = np.maximum(mean(left * left) - left_mean**2, 0.0)
    right_variance = np.maximum(mean(right * right) - right_mean**2, 0.0)
    together = mean(left * right) - left_mean * right_mean
    variances = left_variance + right_variance
    same: Flags = (2 * together + calm) / (variances + calm) > _SAME
    weight = variances**_CONTRAST_WEIGHT * (mean(inside) > 0.999)
    total = weight.sum(axis=(1, 2))
    agreement: F64 = (same * weight).sum(axis=(1, 2)) / np.maximum(total, 1e-6)
    return agreement


def _evened(picture: F32, inside: F32) -> tuple[F32, F32]:
    """Return a picture of mean 0 and deviation 1 where it is inside, and what that was."""
    count = np.maximum(inside.sum(axis=(1, 2), keepdims=True), 1.0)
    centred = (picture - (picture * inside).sum(axis=(1, 2), keepdims=True) / count) * inside
    deviation = np.sqrt((centred * centred).sum(axis=(1, 2), keepdims=True) / count + 1.0)
    evened: F32 = centred / deviation
    return evened, deviation


def _windows(side: int) -> F32:
    """Return float32 [m, side] that averages over each window along an axis."""
    first = np.arange(side - _WINDOW_PX + 1)[:, None]
    place = np.arange(side)[None, :]
    within = (place >= first) & (place < first + _WINDOW_PX)
    windows: F32 = within.astype(np.float32) / np.float32(_WINDOW_PX)
    return windows
