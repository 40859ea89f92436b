"""JSON objects as messages, and back."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.wire.errors import InvalidField
from lookalike_client import structs
from lookalike_client.types import JsonValue

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(st.dictionaries(st.text(), VALUES, max_size=6))
def test_every_object_comes_back_equal(metadata: dict[str, JsonValue]) -> None:
    assert structs.to_dict(structs.from_dict(metadata)) == metadata


def test_whole_numbers_come_back_as_integers() -> None:
    back = structs.to_dict(structs.from_dict({"a": 3, "b": 2.5, "c": 1e300}))

    assert {key: type(value) for key, value in back.items()} == {"a": int, "b": float, "c": float}


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"a": math.nan}, "metadata.a"),
        ({"a": [1, math.inf]}, "metadata.a"),
        ({"a": {"b": b"bytes"}}, "metadata.a.b"),
        ({1: "a"}, "metadata"),
    ],
)
def test_what_json_does_not_have_is_refused_by_name(
    value: dict[str, JsonValue], field: str
) -> None:
    with pytest.raises(InvalidField) as refused:
        structs.from_dict(value)

    assert refused.value.field == field


def test_an_object_that_holds_itself_is_refused() -> None:
    endless: dict[str, JsonValue] = {}
    endless["self"] = endless

    with pytest.raises(InvalidField, match="deeper"):
        structs.from_dict(endless)
