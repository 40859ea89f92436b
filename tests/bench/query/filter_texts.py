"""How long text conditions take over texts that all differ, and `any` over elements.

`python -m tests.bench.query.filter_texts [--items N]`
"""

from __future__ import annotations

import argparse
import time

from search_service.domain.metadata import JsonValue
from search_service.filters.index import MetadataIndex
from search_service.filters.text import parse_filter

_WORDS = ("Sunset", "over", "the", "harbour", "Ölfarbe", "winter", "market", "red", "bicycle")
_QUESTIONS = (
    'caption contains "market {n}"',
    'caption contains "the"',
    'caption icontains "ÖLFARBE {n}"',
    'caption iendswith "9{n}"',
    'caption matches "(?i)^sunset.*[0-9]{n}$"',
    'any(parts, key = "Color" and value = "Red")',
)


def main() -> None:
    """Print milliseconds for the first time, and for when the answer is kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=400_000)
    items = parser.parse_args().items
    index = MetadataIndex()
    for ordinal in range(items):
        words = [_WORDS[(ordinal * step) % len(_WORDS)] for step in (1, 2, 5, 7)]
        parts: list[JsonValue] = [
            {"key": "Color", "value": ("Red", "Blue")[ordinal % 2]},
            {"key": "Size", "value": ordinal % 7},
        ]
        index.add(ordinal, {"caption": f"{' '.join(words)} {ordinal}", "parts": parts})
    for question in _QUESTIONS:
        filter = parse_filter(question.replace("{n}", "7"))
        times = []
        for _ in range(2):
            started = time.perf_counter()
            found = len(index.evaluate(filter))
            times.append((time.perf_counter() - started) * 1e3)
        print(f"{question:50} {found:9,} items  first {times[0]:8.1f} ms  kept {times[1]:6.1f} ms")


if __name__ == "__main__":
    main()
