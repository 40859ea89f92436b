"""Metadata and filters that often meet: few keys, few values, all kinds."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from search_service.domain.conditions import (
    AllOf,
    AnyElement,
    AnyOf,
    Equals,
    Exists,
    Filter,
    In,
    Instant,
    NoneOf,
    Prefix,
    Range,
    Text,
    TextMatch,
)

KEYS = ["a", "b", "camera", "f.number", "and"]
_MOMENTS = [
    "2024-01-01T00:00:00Z",
    "2024-01-01T01:00:00+01:00",
    "2023-12-31t23:59:59.999999z",
    "2024-02-30T00:00:00Z",
    "2024-01-01",
    "2024-01-01 00:00:00",
    "2023:12:31 23:59:59.999999",
    "2024-01-01T01:00+01",
    "2024:01:01",
]
_STRINGS = st.sampled_from(
    [
        "",
        "a",
        "ab",
        "abc",
        "ABC",
        "é",
        "É",
        "straße",
        "STRASSE",
        "ΟΔΟΣ",
        "\U0001f600",
        "\uffff",
        *_MOMENTS,
    ]
)
_NUMBERS = st.sampled_from([-1.5, -0.0, 0, 1, 2.5, 3, 1e300])
_LEAVES = st.one_of(st.none(), st.booleans(), _STRINGS, _NUMBERS)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(KEYS), inner, max_size=2),
    ),
    max_leaves=4,
)

paths = st.lists(st.sampled_from(KEYS), min_size=1, max_size=2).map(tuple)
_instants = st.integers(-2, 2).map(lambda us: Instant(1_704_067_200_000_000 + us))
_numbers = _NUMBERS.map(float)
scalars = st.one_of(_STRINGS, _numbers, st.booleans(), _instants)


def metadata() -> st.SearchStrategy[dict[str, Any]]:
    """Metadata of one item."""
    return st.dictionaries(st.sampled_from(KEYS), _VALUES, max_size=4)


def filters() -> st.SearchStrategy[Filter]:
    """Filters of a few levels."""
    return st.recursive(
        _leaf_filters(),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(lambda parts: AllOf(tuple(parts))),
            st.lists(inner, max_size=3).map(lambda parts: AnyOf(tuple(parts))),
            inner.map(NoneOf),
            st.builds(AnyElement, paths, inner),
        ),
        max_leaves=6,
    )


def _leaf_filters() -> st.SearchStrategy[Filter]:
    return st.one_of(
        st.builds(Equals, paths, scalars),
        st.builds(In, paths, st.lists(scalars, max_size=4).map(tuple)),
        st.builds(Exists, paths),
        _texts(),
        st.builds(Prefix, paths, _STRINGS.filter(bool)),
        st.one_of(_ranges(_STRINGS), _ranges(_numbers), _ranges(_instants)),
    )


def _texts() -> st.SearchStrategy[Filter]:
    """Text conditions that the text syntax has words for; patterns that `re` reads alike."""
    ways = st.sampled_from(
        [
            (TextMatch.CONTAINS, False),
            (TextMatch.CONTAINS, True),
            (TextMatch.STARTS_WITH, True),
            (TextMatch.ENDS_WITH, False),
            (TextMatch.ENDS_WITH, True),
            (TextMatch.EQUALS, True),
        ]
    )
    patterns = st.sampled_from(["^a", "b$", "^ab?c$", "[é-ü]", "a|s{2}|S{2}", "^$", ".{3}", "x*"])
    return st.one_of(
        st.builds(
            lambda path, way, text: Text(path, way[0], text, way[1]),
            paths,
            ways,
            _STRINGS.filter(bool),
        ),
        st.builds(lambda path, pattern: Text(path, TextMatch.REGEX, pattern), paths, patterns),
    )


def _ranges(bounds: st.SearchStrategy[Any]) -> st.SearchStrategy[Filter]:
    low = st.sampled_from(["greater_than", "at_least", None])
    high = st.sampled_from(["less_than", "at_most", None])
    ends = st.tuples(low, high).filter(any)

    def build(names: tuple[str | None, str | None]) -> st.SearchStrategy[Filter]:
        return st.builds(Range, paths, **{name: bounds for name in names if name})

    return ends.flatmap(build)
