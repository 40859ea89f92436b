from __future__ import annotations

import math
from typing import Any

import pytest
from google.protobuf import json_format, struct_pb2
from hypothesis import given
from hypothesis import strategies as st

from lookalike.wire.errors import InvalidField, LimitExceeded
from search_service.servicers.structs import read_metadata, write_metadata

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def levels(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(levels, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(levels, value), default=0)
    return 0


@given(st.dictionaries(TEXT, VALUES, max_size=4).filter(lambda value: levels(value) <= 8))
def test_a_json_object_makes_the_round_trip(metadata: dict[str, Any]) -> None:
    struct = struct_pb2.Struct()
    write_metadata(metadata, struct)
    assert json_format.MessageToDict(struct) == metadata
    assert read_metadata(struct, "metadata") == metadata


def test_whole_numbers_become_int_where_that_is_exact() -> None:
    struct = struct_pb2.Struct()
    struct.update({"a": 3, "b": 2.0**53, "c": 2.0**60, "d": 0.5})
    found = read_metadata(struct, "metadata")
    assert {key: type(value) for key, value in found.items()} == {
        "a": int,
        "b": int,
        "c": float,
        "d": float,
    }


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_has_not_are_refused(number: float) -> None:
    struct = struct_pb2.Struct()
    struct.update({"deep": [{"n": number}]})
    with pytest.raises(InvalidField, match='"n" is NaN or infinite'):
        read_metadata(struct, "metadata")


def test_a_value_without_a_kind_is_refused() -> None:
    struct = struct_pb2.Struct()
    struct.fields["a"].SetInParent()
    with pytest.raises(InvalidField, match="no kind"):
        read_metadata(struct, "metadata")


def test_a_huge_struct_is_refused_before_it_is_converted() -> None:
    struct = struct_pb2.Struct()
    # Infinity would be refused as a number if it were looked at.
    struct.update({"a": [math.inf] * 20_000})
    with pytest.raises(LimitExceeded, match="16,384 bytes"):
        read_metadata(struct, "metadata")


def test_the_densest_object_within_the_limit_passes() -> None:
    struct = struct_pb2.Struct()
    struct.update({"": [1] * ((16 * 1024 - 6) // 2)})
    assert len(read_metadata(struct, "metadata")) == 1
