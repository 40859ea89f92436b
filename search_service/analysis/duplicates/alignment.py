"""Where a picture lies within another: tried coarsely everywhere, then refined.

A copy may be cropped, framed or stretched; it is not turned within its plane.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from search_service.analysis.duplicates.resampling import inside_share, sampled, samplers
from search_service.domain.arrays import F32, F64, Flags

# The parts of the outer picture's sides that an inner one is tried at. Refining bridges
# half a step; a crop to less than half of a side is no copy but a detail.
_SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
# How far the proportions of a crop may be from those that sizes tell: its sides were
# rounded, and a step between shares is as large.
_PROPORTION_SLACK = 0.14
# A picture of less contrast than this, in steps of 0 to 255, has no structure to match.
_LEAST_CONTRAST = 2.0
_LARGEST_SCALE_STEP, _LARGEST_OFFSET_STEP = 0.05, 1.5
_SCALES = (0.9, 2.4)
_GAINS = (0.3, 3.0)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Placements to refine: `scores` float64 [P, C], the correlation of each; -2 where it
    was not tried; `placements` float64 [P, C, 4]."""

    scores: F64
    placements: F64


def coarse(outer: F32, inner: F32, proportions: F64) -> Candidates:
    """Try the inner pictures all over the outer ones, float32 [P, n, n] both.

    `proportions` float64 [P]: width over height of each inner one through that of its
    outer one; a crop keeps its own, a stretched copy is as wide and as high as the outer.
    """
    side = outer.shape[1]
    sums, squares = _integrals(outer)
    scores, placements = [], []
    for across, down in product(_SHARES, _SHARES):
        apart = np.abs(np.log(across / down / proportions))
        tried = np.flatnonzero((apart < _PROPORTION_SLACK) | (across == down))
        width, height = round(across * side), round(down * side)
        score = np.full(len(outer), -2.0)
        placement = np.ones((len(outer), 4))
        if len(tried):
            template = _template(inner[tried], width, height)
            found = _correlations(outer[tried], template, sums[tried], squares[tried])
            best = found.reshape(len(tried), -1).argmax(axis=1)
            score[tried] = found.reshape(len(tried), -1)[np.arange(len(tried)), best]
            y, x = np.divmod(best, found.shape[2])
            placement[tried] = _placed(side / width, x, side / height, y)
        scores.append(score)
        placements.append(placement)
    return Candidates(np.stack(scores, axis=1), np.stack(placements, axis=1))


def refined(outer: F32, inner: F32, placements: F64, steps: int) -> F64:
    """Return better placements: Gauss-Newton on the difference, brightness and contrast aside.

    What differs much, as a watermark does, counts for little.
    """
    placements = placements.copy()
    along = np.arange(outer.shape[1], dtype=np.float32)
    for _ in range(steps):
        shown, inside = sampled(inner, placements)
        left, right, gain = _matched(outer, shown, inside)
        error = left - gain * right
        spread = 1.5 * np.sqrt(_mean(error * error, inside)) + 2.0
        weight = inside / (1.0 + (error / spread) ** 2)
        scale_x, scale_y = (placements[:, at, None, None].astype(np.float32) for at in (0, 2))
        slope_x = gain * np.gradient(shown, axis=2) / scale_x
        slope_y = gain * np.gradient(shown, axis=1) / scale_y
        slopes = np.stack([slope_x * along, slope_x, slope_y * along[:, None], slope_y], axis=1)
        slopes = slopes.reshape(len(outer), 4, -1)
        weighted = slopes * weight.reshape(len(outer), 1, -1)
        normal = (weighted @ slopes.transpose(0, 2, 1)).astype(np.float64)
        pull = (weighted @ error.reshape(len(outer), -1, 1)).astype(np.float64)
        # Held back where a picture has no structure along an axis.
        trace = np.trace(normal, axis1=1, axis2=2)[:, None, None]
        normal += np.diag([2.5e-4, 2.5e-6, 2.5e-4, 2.5e-6]) * trace + 1e-3 * np.eye(4)
        step = np.linalg.solve(normal, pull)[..., 0]
        placements[:, ::2] += step[:, ::2].clip(-_LARGEST_SCALE_STEP, _LARGEST_SCALE_STEP)
        placements[:, 1::2] += step[:, 1::2].clip(-_LARGEST_OFFSET_STEP, _LARGEST_OFFSET_STEP)
        placements[:, ::2] = placements[:, ::2].clip(*_SCALES)
    return placements


def likeness(outer: F32, inner: F32, placements: F64) -> F64:
    """Return how well placements fit: the correlation, times the share that is inside, [P]."""
    shown, inside = sampled(inner, placements)
    left, right = _centred(outer, inside), _centred(shown, inside)
    energy = (left * left).sum((1, 2)) * (right * right).sum((1, 2))
    correlation = (left * right).sum((1, 2)) / np.sqrt(energy + 1.0)
    fit: F64 = correlation * inside_share(placements, outer.shape[1])
    return fit


def _placed(scale_x: float, x: F64, scale_y: float, y: F64) -> F64:
    return np.stack(
        [
            np.full(len(x), scale_x),
            (scale_x - 1) / 2 - scale_x * x,
            np.full(len(y), scale_y),
            (scale_y - 1) / 2 - scale_y * y,
        ],
        axis=1,
    )


def _template(inner: F32, width: int, height: int) -> F32:
    """Return pictures made smaller, without their mean, of unit energy, [P, height, width]."""
    side = inner.shape[1]
    scales = np.array([side / width, side / height])
    across, _ = samplers(scales[:1], (scales[:1] - 1) / 2, side, width)
    down, _ = samplers(scales[1:], (scales[1:] - 1) / 2, side, height)
    small = down[0] @ inner @ across[0].T
    small = small - small.mean(axis=(1, 2), keepdims=True)
    energy = np.sqrt((small * small).sum(axis=(1, 2), keepdims=True))
    template: F32 = small / np.maximum(energy, _LEAST_CONTRAST * np.sqrt(width * height))
    return template


def _correlations(outer: F32, template: F32, sums: F64, squares: F64) -> F64:
    """Return the correlation of each template with each place in its picture."""
    height, width = template.shape[1:]
    windows = np.lib.stride_tricks.sliding_window_view(outer, (height, width), axis=(1, 2))
    products = np.einsum("pyxhw,phw->pyx", windows, template, optimize=True)
    mean = _windowed(sums, height, width)
    energy = _windowed(squares, height, width) - mean * mean / (width * height)
    floor = _LEAST_CONTRAST**2 * width * height
    found: F64 = products / np.sqrt(np.maximum(energy, floor))
    return found


def _integrals(pictures: F32) -> tuple[F64, F64]:
    """Return the sums of what lies above and left of each corner, and of its squares."""
    exact = pictures.astype(np.float64)
    both = []
    for values in (exact, exact * exact):
        sums = values.cumsum(axis=1).cumsum(axis=2)
        both.append(np.pad(sums, ((0, 0), (1, 0), (1, 0))))
    return both[0], both[1]


def _windowed(integral: F64, height: int, width: int) -> F64:
    lower, upper = integral[:, height:], integral[:, :-height]
    windowed: F64 = (lower - upper)[:, :, width:] - (lower - upper)[:, :, :-width]
    return windowed


def _matched(outer: F32, shown: F32, inside: F32) -> tuple[F32, F32, F32]:
    """Return both pictures without their means, and the gain from the second to the first."""
    left, right = _centred(outer, inside), _centred(shown, inside)
    energy = (right * right).sum(axis=(1, 2), keepdims=True) + 1e-3
    gain = (left * right).sum(axis=(1, 2), keepdims=True) / energy
    return left, right, gain.clip(*_GAINS)


def _centred(picture: F32, inside: F32) -> F32:
    centred: F32 = (picture - _mean(picture, inside)) * inside
    return centred


def _mean(values: F32, inside: F32) -> F32:
    count = np.maximum(inside.sum(axis=(1, 2), keepdims=True), 1.0)
    mean: F32 = (values * inside).sum(axis=(1, 2), keepdims=True) / count
    return mean


def is_flat(pictures: F32) -> Flags:
    """Return which pictures have no structure at all, bool [P]."""
    flat: Flags = pictures.std(axis=(1, 2)) < _LEAST_CONTRAST
    return flat
