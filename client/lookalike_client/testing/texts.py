"""Text conditions of filters, over Python's own strings and patterns."""

from __future__ import annotations

import re
from collections.abc import Callable

from lookalike.v1 import filter_pb2
from lookalike.wire.errors import FilterInvalid

_LONGEST_PATTERN = 512
# What `re` takes and RE2 does not: looking around, and repeating what was found.
_NOT_RE2 = re.compile(r"(?<!\\)(?:\\\\)*(?:\(\?<?[=!]|\(\?P=|\\[1-9])")


def fitting(node: filter_pb2.FieldText) -> Callable[[tuple[int, object]], bool]:
    """Return a check of a value with its rank, as of `filters.Value`.

    Patterns are read by `re` with ASCII classes, close to RE2.

    Raises:
        FilterInvalid: there is no such comparison, or the text is none for it.
    """
    test = _test(node)
    return lambda value: isinstance(value[1], str) and test(value[1])


def _test(node: filter_pb2.FieldText) -> Callable[[str], bool]:
    wanted = node.text.casefold() if node.ignore_case else node.text

    def folded(held: str) -> str:
        return held.casefold() if node.ignore_case else held

    if not wanted and node.match != filter_pb2.TEXT_MATCH_EQUALS:
        raise FilterInvalid("filter", "the text must not be empty")
    match node.match:
        case filter_pb2.TEXT_MATCH_EQUALS:
            return lambda held: folded(held) == wanted
        case filter_pb2.TEXT_MATCH_STARTS_WITH:
            return lambda held: folded(held).startswith(wanted)
        case filter_pb2.TEXT_MATCH_ENDS_WITH:
            return lambda held: folded(held).endswith(wanted)
        case filter_pb2.TEXT_MATCH_CONTAINS:
            return lambda held: wanted in folded(held)
        case filter_pb2.TEXT_MATCH_REGEX:
            pattern = _pattern(node)
            return lambda held: pattern.search(held) is not None
        case _:
            raise FilterInvalid("filter", "say how to compare: set a TextMatch")


def _pattern(node: filter_pb2.FieldText) -> re.Pattern[str]:
    if node.ignore_case:
        raise FilterInvalid("filter", "a pattern says (?i) itself")
    if len(node.text) > _LONGEST_PATTERN:
        raise FilterInvalid("filter", f"a pattern has at most {_LONGEST_PATTERN} characters")
    if _NOT_RE2.search(node.text):
        raise FilterInvalid("filter", "this is no pattern of RE2")
    try:
        return re.compile(node.text, 0 if "(?i)" in node.text else re.ASCII)
    except re.error as error:
        raise FilterInvalid("filter", f"this is no pattern of RE2: {error}") from error
