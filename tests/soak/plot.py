"""A plot of a soak as SVG: memory of each part, and the times of the slowest searches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_WIDTH, _HEIGHT, _LEFT = 900, 220, 60
_COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b")
_WINDOW_S, _MINUTE_S = 10.0, 60.0

Points = Sequence[tuple[float, float]]


def drawn(
    memory: Sequence[tuple[float, str, float]], searches: Sequence[tuple[float, float]]
) -> str:
    """Return the picture; `memory` holds (seconds, part, MB), `searches` (seconds, ms)."""
    parts = sorted({part for _, part, _ in memory})
    lines = {part: [(at, mb) for at, name, mb in memory if name == part] for part in parts}
    slowest: dict[int, float] = {}
    for at, ms in searches:
        window = int(at / _WINDOW_S)
        slowest[window] = max(slowest.get(window, 0.0), ms)
    minutes: dict[int, list[float]] = {}
    for at, ms in searches:
        minutes.setdefault(int(at / _MINUTE_S), []).append(ms)
    worst = {
        "slowest of 10 s": [(w * _WINDOW_S, ms) for w, ms in sorted(slowest.items())],
        "99 % of a minute": [
            ((minute + 0.5) * _MINUTE_S, float(np.percentile(found, 99)))
            for minute, found in sorted(minutes.items())
        ],
    }
    size = f'width="{_WIDTH}" height="{2 * _HEIGHT + 40}"'
    times = _chart("search, ms", worst, _HEIGHT + 20)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">'
        f"{_chart('resident memory, MB', lines, 0)}{times}</svg>\n"
    )


def _chart(title: str, lines: dict[str, list[tuple[float, float]]], top: int) -> str:
    points = [point for line in lines.values() for point in line] or [(1.0, 1.0)]
    last_s, most = max(at for at, _ in points) or 1.0, max(value for _, value in points) or 1.0
    out = [f'<text x="4" y="{top + 14}">{title}</text>']
    out.append(f'<text x="4" y="{top + 30}">{most:,.0f}</text>')
    out.append(f'<text x="4" y="{top + _HEIGHT - 4}">0, {last_s / 60:.1f} min</text>')
    for number, (name, line) in enumerate(lines.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        path = " ".join(_placed(at / last_s, value / most, top) for at, value in line)
        out.append(f'<polyline fill="none" stroke="{colour}" points="{path}"/>')
        x = 200 + 120 * number
        out.append(f'<text x="{x}" y="{top + 14}" fill="{colour}">{name}</text>')
    return "".join(out)


def _placed(x_share: float, y_share: float, top: int) -> str:
    x = _LEFT + x_share * (_WIDTH - _LEFT - 10)
    return f"{x:.1f},{top + _HEIGHT - 20 - y_share * (_HEIGHT - 50):.1f}"
