"""Charts as SVG that takes its colours from the page around it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 640, 272
# At the top the name of the axis has a line, and that of a mark the next.
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 12, 42, 40
_NAME_AT = 16
# About so many values are written along an axis.
_TICKS = 5
_ROUND_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Series:
    """Points to be joined, or bars to be drawn; `colour` is the name of a style variable."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: str


@dataclass(frozen=True, slots=True)
class Axis:
    """A range of values with its name."""

    name: str
    least: float
    most: float

    def place(self, value: float, start: float, end: float) -> float:
        """Return where a value lies between two coordinates."""
        share = (value - self.least) / ((self.most - self.least) or 1.0)
        return start + min(max(share, 0.0), 1.0) * (end - start)

    def ticks(self) -> list[float]:
        """Return round values within the axis, evenly spaced."""
        rough = ((self.most - self.least) or 1.0) / _TICKS
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(each * power for each in _ROUND_STEPS if each * power >= rough * (1 - 1e-9))
        first = math.ceil(self.least / step - 1e-9)
        last = math.floor(self.most / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


def lines(
    series: Sequence[Series], x: Axis, y: Axis, *, mark: tuple[float, str] | None = None
) -> Markup:
    """Draw lines; `mark` is a value of x with its name, drawn as a line across."""
    shapes = [
        Markup('<polyline class="line" style="stroke:var(--{})" points="{}"/>').format(
            each.colour,
            " ".join(f"{_x(x, a):.1f},{_y(y, b):.1f}" for a, b in zip(each.x, each.y, strict=True)),
        )
        for each in series
    ]
    return _drawn(series, x, y, shapes, mark)


def areas(
    series: Sequence[Series], x: Axis, y: Axis, *, mark: tuple[float, str] | None = None
) -> Markup:
    """Draw filled outlines, one over the other; as `lines` otherwise."""
    shapes = []
    for each in series:
        if not each.x:
            continue
        points = [(_x(x, a), _y(y, b)) for a, b in zip(each.x, each.y, strict=True)]
        floor = _y(y, y.least)
        outline = [(points[0][0], floor), *points, (points[-1][0], floor)]
        shapes.append(
            Markup(
                '<polygon class="area" style="stroke:var(--{0});fill:var(--{0})" points="{1}"/>'
            ).format(each.colour, " ".join(f"{a:.1f},{b:.1f}" for a, b in outline))
        )
    return _drawn(series, x, y, shapes, mark)


def densities(counts: Sequence[int]) -> list[float]:
    """Return counts as shares of all, so that kinds of unequal number can be compared."""
    total = sum(counts)
    return [count / total if total else 0.0 for count in counts]


def _drawn(
    series: Sequence[Series],
    x: Axis,
    y: Axis,
    shapes: Sequence[Markup],
    mark: tuple[float, str] | None,
) -> Markup:
    parts = [_grid(x, y), *shapes]
    if mark is not None:
        at, name = mark
        place = _x(x, at)
        right = place > WIDTH / 2
        parts.append(
            Markup(
                '<line class="mark" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>'
                '<text class="mark" x="{3:.1f}" y="{4}" text-anchor="{5}">{6}</text>'
            ).format(
                place,
                _TOP - 10,
                HEIGHT - _BOTTOM,
                place + (-6 if right else 6),
                _TOP - 6,
                "end" if right else "start",
                name,
            )
        )
    legend = Markup("").join(
        Markup('<span><i style="background:var(--{})"></i>{}</span>').format(each.colour, each.name)
        for each in series
    )
    return Markup(
        '<figure><svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
        '<figcaption class="legend">{}</figcaption></figure>'
    ).format(
        WIDTH,
        HEIGHT,
        ", ".join(each.name for each in series),
        Markup("").join(parts),
        legend,
    )


def _grid(x: Axis, y: Axis) -> Markup:
    bottom, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    parts = []
    for value in y.ticks():
        at = _y(y, value)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}"/>'
            f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{_number(value)}</text>'
        )
    for value in x.ticks():
        at = _x(x, value)
        parts.append(
            f'<text x="{at:.1f}" y="{bottom + 16}" text-anchor="middle">{_number(value)}</text>'
        )
    middle = (_LEFT + right) / 2
    parts.append(
        f'<text class="name" x="{middle:.1f}" y="{HEIGHT - 4}" text-anchor="middle">'
        f"{escape(x.name)}</text>"
        f'<text class="name" x="{_LEFT - 40}" y="{_NAME_AT}">{escape(y.name)}</text>'
    )
    return Markup("".join(parts))  # noqa: S704 - numbers, and names that are escaped above


def _x(axis: Axis, value: float) -> float:
    return axis.place(value, _LEFT, WIDTH - _RIGHT)


def _y(axis: Axis, value: float) -> float:
    return axis.place(value, HEIGHT - _BOTTOM, _TOP)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"
