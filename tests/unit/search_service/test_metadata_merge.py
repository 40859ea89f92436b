"""Merges of metadata as RFC 7396 has them."""

from __future__ import annotations

import pytest

from search_service.domain.metadata import Metadata, merged, same


@pytest.mark.parametrize(
    ("stored", "patch", "result"),
    [
        # Those examples of the RFC's appendix in which both are objects.
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        # What is in a list stays as it is, null too.
        ({"a": 1}, {"a": [None, {"b": None}]}, {"a": [None, {"b": None}]}),
        ({"a": 1}, {"a": {"b": 2}}, {"a": {"b": 2}}),
        ({"a": {"b": 2}}, {"a": {}}, {"a": {"b": 2}}),
    ],
)
def test_a_patch_is_merged(stored: Metadata, patch: Metadata, result: Metadata) -> None:
    before = repr((stored, patch))
    assert merged(stored, patch) == result
    assert repr((stored, patch)) == before


@pytest.mark.parametrize(
    ("one", "other", "want"),
    [
        ({"a": 1, "b": {"c": [1], "d": 2}}, {"b": {"d": 2, "c": [1]}, "a": 1}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": [0]}, {"a": [False]}, False),
        ({"a": None}, {}, False),
        ({"a": "1"}, {"a": 1}, False),
    ],
)
def test_what_is_the_same_is_told_from_what_python_takes_for_it(
    one: Metadata, other: Metadata, want: bool
) -> None:
    assert same(one, other) is same(other, one) is want
