"""Points in time in the text syntax of filters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.wire.errors import FilterInvalid
from search_service.domain.conditions import AllOf, Equals, In, Instant, Range
from search_service.filters.text import parse_filter
from tests.unit.search_service.filters.printing import format_rfc3339


@given(st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999))
def test_times_are_written_and_read_back(epoch_us: int) -> None:
    assert parse_filter(f"a = @{format_rfc3339(epoch_us)}") == Equals(("a",), Instant(epoch_us))


@pytest.mark.parametrize(
    "written",
    [
        "2024-05-01T10:00:00Z",
        "2024-05-01T10:00:00",
        "2024-05-01 10:00:00",
        "2024-05-01 10:00",
        "2024-05-01t10:00:00.000z",
        "2024-05-01 12:00:00+02:00",
        "2024-05-01T12:00:00+0200",
        "2024:05:01 10:00:00",
        "2024-05-01 10:00:00 UTC",
        "2024-05-01 12:00:00 +0200",
    ],
)
def test_a_time_in_a_filter_may_be_written_in_any_form(written: str) -> None:
    wanted = Instant(1_714_557_600_000_000)
    assert parse_filter(f"taken > @{written} and b = 1") == AllOf(
        (Range(("taken",), greater_than=wanted), Equals(("b",), 1.0))
    )
    assert parse_filter(f"taken in [@{written},@{written}]") == In(("taken",), (wanted, wanted))


@pytest.mark.parametrize(
    ("text", "column", "proper"),
    [
        ("taken > 2024-01-01", 9, "@2024-01-01"),
        ("taken>2024-01-01 and a = 1", 7, "@2024-01-01"),
        ("2024-01-01 <= taken < 2025-01-01", 1, "@2024-01-01"),
        ("taken > @2024-01-01 and taken < 2025-01-01", 33, "@2025-01-01"),
        ("taken = 2024-01-01T10:00:00Z", 9, "@2024-01-01T10:00:00Z"),
        ("taken = 2024-01-01 10:00:00", 9, "@2024-01-01 10:00:00"),
        ("taken = 2024:05:01 10:00:00", 9, "@2024:05:01 10:00:00"),
        ("taken in [2024-01-01]", 11, "@2024-01-01"),
        ("taken > 2024-13-45", 9, "@2024-01-31"),
        ("taken > 2024/05/01", 9, "@2024-01-31"),
    ],
)
def test_a_time_without_its_sign_is_told_how_it_is_written(
    text: str, column: int, proper: str
) -> None:
    with pytest.raises(FilterInvalid) as caught:
        parse_filter(text)
    assert caught.value.message.startswith(f"line 1, column {column}: a time ")
    assert caught.value.message.endswith(f"such as {proper}")
