"""Sampling pictures of a batch at places of their own, along each axis by itself.

A placement says where a picture lies within another: float64 [P, 4], the columns scale
and offset along x, then along y. Pixel x of the outer picture shows what is at
`scale * x + offset` of the inner one; a scale of 1 or more, so that it is made smaller.
"""

from __future__ import annotations

import numpy as np

from search_service.domain.arrays import F32, F64, Flags

# How far, in pixels, a sample may reach over the edge: rounding of a place, no more.
_OVER_EDGE = 0.75


def samplers(scales: F64, offsets: F64, width: int, count: int) -> tuple[F32, Flags]:
    """Return float32 [P, count, width] that sample `width` pixels, and which are inside.

    Triangles as wide as a sample is, as in resizing with an antialiased bilinear filter.
    """
    places = scales[:, None] * np.arange(count) + offsets[:, None]
    reach = np.maximum(1.0, scales)[:, None, None]
    triangles = 1.0 - np.abs(np.arange(width) - places[:, :, None]) / reach
    weights: F32 = np.maximum(triangles, 0.0).astype(np.float32)
    weights /= np.maximum(weights.sum(axis=2, keepdims=True), 1e-6)
    half = 0.5 * scales[:, None]
    inside = (places - half >= -_OVER_EDGE) & (places + half <= width - 1 + _OVER_EDGE)
    return weights, inside


def sampled(inner: F32, placements: F64) -> tuple[F32, F32]:
    """Return the inner pictures as the outer ones show them, and 1 where they do, [P, n, n]."""
    side = inner.shape[1]
    across, in_x = samplers(placements[:, 0], placements[:, 1], side, side)
    down, in_y = samplers(placements[:, 2], placements[:, 3], side, side)
    shown = (down @ inner @ across.transpose(0, 2, 1)).astype(np.float32, copy=False)
    return shown, (in_y[:, :, None] & in_x[:, None, :]).astype(np.float32)


def inside_share(placements: F64, side: int) -> F64:
    """Return the share of each inner picture that lies within the outer one, [P]."""
    return _inside(placements[:, 0], placements[:, 1], side) * _inside(
        placements[:, 2], placements[:, 3], side
    )


def enlarged(placements: F64, factor: int) -> F64:
    """Return what placements are for pictures of `factor` times the side."""
    shift = (factor - 1) / 2
    finer = placements.copy()
    finer[:, 1::2] = factor * placements[:, 1::2] + shift * (1 - placements[:, ::2])
    return finer


def reduced(pictures: F32, factor: int) -> F32:
    """Return pictures, [P, n, n], at a part of their side, by averaging."""
    side = pictures.shape[1] // factor
    blocks = pictures.reshape(len(pictures), side, factor, side, factor)
    small: F32 = blocks.mean(axis=(2, 4), dtype=np.float32)
    return small


def softened(pictures: F32) -> F32:
    """Blur by a pixel: what half a pixel of displacement changes then counts for less."""
    padded = np.pad(pictures, ((0, 0), (1, 1), (1, 1)), mode="edge")
    down = 0.25 * padded[:, :-2] + 0.5 * padded[:, 1:-1] + 0.25 * padded[:, 2:]
    soft: F32 = 0.25 * down[:, :, :-2] + 0.5 * down[:, :, 1:-1] + 0.25 * down[:, :, 2:]
    return soft


def _inside(scales: F64, offsets: F64, side: int) -> F64:
    first = (-0.5 - offsets) / scales
    last = (side - 0.5 - offsets) / scales
    common = np.minimum(last, side - 0.5) - np.maximum(first, -0.5)
    share: F64 = np.maximum(common, 0.0) / (last - first)
    return share
