"""What callers put into metadata, as JSON has it."""

import enum
import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from lookalike.wire.errors import InvalidField, LimitExceeded
from lookalike_client import structs
from lookalike_client.metadata_values import is_large, plain

EXACT = 2**53


class Colour(enum.Enum):
    RED = "red"


class Size(enum.IntEnum):
    LARGE = 3


def endless() -> list[object]:
    found: list[object] = []
    found.append(found)
    return found


def wide(levels: int) -> object:
    """A small object that, written out, is a large one."""
    found: object = 1
    for _ in range(levels):
        found = [found] * 40
    return found


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        *[(EXACT, EXACT), (-EXACT, -EXACT), (1e300, 1e300), (2.0, 2.0), (-0.0, 0.0)],
        *[(np.int64(7), 7), (np.uint8(7), 7), (np.float32(0.5), 0.5), (np.bool_(True), True)],
        *[(np.str_("a"), "a"), (np.array(7), 7), (np.array([[1, 2]]), [[1, 2]]), ((1, 2), [1, 2])],
        (np.array(["2024-05-01T10:00"], "datetime64[ns]"), ["2024-05-01T10:00:00.000000000+00:00"]),
        (np.datetime64("2024-05"), "2024-05-01"),
        (np.datetime64("2024-05-01T10"), "2024-05-01T10:00:00+00:00"),
        (datetime(2024, 5, 1, 10), "2024-05-01T10:00:00+00:00"),
        (datetime(2024, 5, 1, 10, tzinfo=UTC), "2024-05-01T10:00:00+00:00"),
        (
            datetime(2024, 5, 1, 10, tzinfo=timezone(timedelta(hours=2))),
            "2024-05-01T10:00:00+02:00",
        ),
        (
            datetime(1880, 5, 1, 10, tzinfo=timezone(timedelta(seconds=1172))),
            "1880-05-01T09:40:28+00:00",
        ),
        *[(date(2024, 5, 1), "2024-05-01"), (time(10, 30), "10:30:00")],
        *[(Decimal("0.10"), 0.1), (Decimal("42.00"), 42), (Decimal("1E+3"), 1000)],
        *[(Colour.RED, "red"), (Size.LARGE, 3), (PurePosixPath("a/b"), "a/b")],
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ({"b": {"c": np.int8(1)}}, {"b": {"c": 1}}),
    ],
)
def test_what_has_one_exact_form_is_taken(value: Any, stored: object) -> None:
    found = plain({"a": value})

    assert found == {"a": stored}
    assert type(found["a"]) is type(stored)
    assert structs.to_dict(structs.from_dict({"a": value})) == found


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (EXACT + 1, "9007199254740993 cannot be kept exactly as a number; store it as text"),
        (-EXACT - 1, "-9007199254740993 cannot be kept exactly as a number; store it as text"),
        (10**400, "about 401 digits cannot be kept exactly as a number; store it as text"),
        pytest.param(10**5000, "about 5,001 digits cannot be kept exactly", id="5,001 digits"),
        (np.uint64(EXACT + 1), "9007199254740993 cannot be kept exactly"),
        (Decimal(EXACT + 1), "9007199254740993 cannot be kept exactly"),
        (Decimal("0.12345678901234567890"), "cannot be kept exactly"),
        (Decimal("1E+999999999"), r"1E\+999999999 cannot be kept exactly"),
        (np.longdouble(1) / 3, "cannot be kept exactly"),
        *[(math.nan, "NaN"), (math.inf, "infinity"), (np.float32("nan"), "NaN")],
        *[(Decimal("sNaN"), "sNaN"), (np.datetime64("NaT"), "NaT")],
        *[({1}, "a set"), (frozenset(), "a set"), (b"b", "bytes"), (bytearray(b"b"), "bytes")],
        *[(timedelta(1), "seconds"), (np.timedelta64(1, "s"), "seconds"), (1j, "complex is not")],
        *[(object(), "object is not"), (iter([1]), "list_iterator is not"), (range(3), "range is")],
        *[("\ud800", "surrogate"), (PurePosixPath("a\udcff"), "surrogate")],
        (np.ma.masked_array([1], [True]), "masked"),
    ],
)
def test_what_would_be_changed_is_refused_by_its_key(value: Any, says: str) -> None:
    for metadata, key in (({"a": value}, "a"), ({"b": [{"a": value}]}, "b.a")):
        with pytest.raises(InvalidField, match=says) as refused:
            structs.from_dict(metadata)

        assert refused.value.field == f"metadata.{key}"
        assert refused.value.message.startswith(f'metadata "{key}": ')
        assert refused.value.message.isprintable()


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        *[
            ({1: "a"}, r'int "1"'),
            ({None: 1}, "NoneType"),
            ({b"k": 1}, "bytes"),
            ({(1,): 1}, "tuple"),
        ],
        *[({"\ud800": 1}, "UTF-8"), (["a"], "got list"), ("a", "got str"), (None, "got NoneType")],
    ],
)
def test_keys_are_text(metadata: Any, says: str) -> None:
    with pytest.raises(InvalidField, match=says) as refused:
        structs.from_dict(metadata)

    assert refused.value.field == "metadata"


@pytest.mark.parametrize(
    ("value", "says"),
    [
        *[(endless(), "8 levels"), (wide(6), "larger than"), ("a" * 200_000, "larger than")],
        *[([[[[[[[[1]]]]]]]], "8 levels"), (list(range(9000)), "larger than")],
    ],
)
def test_an_object_is_bounded(value: Any, says: str) -> None:
    with pytest.raises(LimitExceeded, match=says):
        structs.from_dict({"a": value})


def test_as_deep_as_the_contract_allows() -> None:
    assert structs.to_dict(structs.from_dict({"a": [[[[[[[1]]]]]]]})) == {"a": [[[[[[[1]]]]]]]}


@pytest.mark.parametrize(
    ("text", "large"),
    [
        *[("9007199254740992", False), ("9007199254740993", True), ("-9007199254740993", True)],
        *[("9007199254740993.0", True), ("12345678901234567", True), ("1" * 5000, True)],
        *[("1e20", False), ("9007199254740993.5", False), ("0000000000000000000007", False)],
    ],
)
def test_large_whole_numbers_are_told_in_text(text: str, large: bool) -> None:
    assert is_large(text) is large
