"""A palette as a vector: how much of a picture has which colour, whatever it shows."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

# OKLab (Björn Ottosson 2020): linear sRGB to cone responses, and their cube roots to
# lightness, green to red, and blue to yellow.
_TO_LMS = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_TO_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)

# The centres of the bins: lightness in eighths, the two colour axes at half of that, since
# an object's lightness changes with the light, and its hue does not. The axes end where
# sRGB does: a from -0.234 to 0.276, b from -0.312 to 0.199.
_LIGHTNESS = tuple(index / 8 for index in range(9))
_GREEN_RED = tuple(index / 20 for index in range(-5, 7))
_BLUE_YELLOW = tuple(index / 20 for index in range(-7, 5))
_AXES = (_LIGHTNESS, _GREEN_RED, _BLUE_YELLOW)

# Bins that no colour of sRGB fills by more than this are left out.
_LEAST_SHARE = 0.02
_GAMUT_STEPS = 25


class Palette(nn.Module):
    """Maps float32 [B, 3, S, S] of 0..1 to [B, D]: square roots of shares of colours.

    Each pixel is shared among the bins around its colour (a quadratic spline, so that no
    border of a bin shows). Of unit length, the product of two such vectors is the
    Bhattacharyya coefficient of their histograms.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("to_lms", torch.tensor(_TO_LMS), persistent=False)
        self.register_buffer("to_lab", torch.tensor(_TO_LAB), persistent=False)
        self.register_buffer("bins", torch.from_numpy(bins_in_gamut()), persistent=False)
        for name, centres in zip("lab", _AXES, strict=True):
            self.register_buffer(f"centres_{name}", torch.tensor(centres), persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the histogram of each picture's colours."""
        lightness, green_red, blue_yellow = self._lab(pictures).unbind(1)
        first = _shares(lightness, self.get_buffer("centres_l"), _LIGHTNESS)
        second = _shares(green_red, self.get_buffer("centres_a"), _GREEN_RED)
        third = _shares(blue_yellow, self.get_buffer("centres_b"), _BLUE_YELLOW)
        pairs = (second.unsqueeze(3) * third.unsqueeze(2)).flatten(2)
        histogram = (first.transpose(1, 2) @ pairs).flatten(1) / pictures[0, 0].numel()
        # No value of a spline is negative, but a product in bf16 may be rounded to it.
        return histogram[:, self.get_buffer("bins")].clamp(min=0).sqrt()

    def _lab(self, pictures: Tensor) -> Tensor:
        """Return [B, 3, N]: lightness 0..1, and the two axes of colour."""
        stored = pictures.flatten(2)
        bent = ((stored.clamp(min=0.04045) + 0.055) / 1.055).pow(2.4)
        linear = torch.where(stored <= 0.04045, stored / 12.92, bent)
        cones = self.get_buffer("to_lms") @ linear
        # Black is 0 exactly; the floor keeps the root's slope finite.
        return self.get_buffer("to_lab") @ cones.clamp(min=1e-9).pow(1 / 3)


def _shares(values: Tensor, centres: Tensor, axis: tuple[float, ...]) -> Tensor:
    """Return [B, N, K]: the quadratic spline at each of `centres` for `values` [B, N]."""
    pitch = axis[1] - axis[0]
    away = ((values.unsqueeze(2) - centres) / pitch).abs()
    near = 0.75 - away * away
    far = 0.5 * (1.5 - away).clamp(min=0).pow(2)
    return torch.where(away < 0.5, near, far)


def bins_in_gamut() -> npt.NDArray[np.int64]:
    """Return the places of the bins that a colour of sRGB can fill, ascending."""
    grid = np.linspace(0.0, 1.0, _GAMUT_STEPS)
    stored = np.array(list(itertools.product(grid, repeat=3))).T
    linear = np.where(stored <= 0.04045, stored / 12.92, ((stored + 0.055) / 1.055) ** 2.4)
    lab = np.array(_TO_LAB) @ np.cbrt(np.array(_TO_LMS) @ linear)
    shares = []
    for values, axis in zip(lab, _AXES, strict=True):
        away = np.abs(values[:, None] - np.array(axis)) / (axis[1] - axis[0])
        far = 0.5 * np.maximum(1.5 - away, 0.0) ** 2
        shares.append(np.where(away < 0.5, 0.75 - away * away, far))
    most = np.zeros(tuple(len(axis) for axis in _AXES))
    for at, lightness in enumerate(shares[0].T):
        lit = lightness > 0
        for of, green_red in enumerate(shares[1][lit].T):
            product = (lightness[lit] * green_red)[:, None] * shares[2][lit]
            most[at, of] = product.max(axis=0)
    return np.flatnonzero(most.ravel() > _LEAST_SHARE).astype(np.int64)
