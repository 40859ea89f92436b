"""Where an expression is wrong and what could have stood there."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from lookalike.wire.errors import FilterInvalid
from lookalike.wire.times import parse_time

_LONGEST_QUOTE = 24
# What is likely a date or a time, with nothing before it that makes it something else.
_BARE_TIME = re.compile(
    r"(?<![\w@.\"'`-])\d{4}(?:[-:/]\d\d?){2}"
    r"(?:[Tt ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:[Zz]|[+-]\d\d:?\d\d)?)?",
    re.ASCII,
)
# In the order in which they are named.
_NAMES = {
    "KEY": "a field",
    "STRING": "a string in quotes",
    "NUMBER": "a number",
    "TIMESTAMP": "a time such as @2024-01-01T00:00:00Z",
    "TRUE": "true",
    "FALSE": "false",
    "EQUAL": "=",
    "UNEQUAL": "!=",
    "LESS": "< or <=",
    "GREATER": "> or >=",
    "IN": "in",
    "STARTSWITH": "startswith",
    "TEXT": "contains, matches or the like",
    "EXISTS": "exists(..)",
    "ANY": "any(..)",
    "AND": "and",
    "OR": "or",
    "NOT": "not",
    "LPAR": "(",
    "RPAR": ")",
    "LBRACKET": "[",
    "RSQB": "]",
    "COMMA": "a comma",
    "DOT": ".",
    "$END": "the end",
}


def invalid_at(text: str, position: int, message: str, field: str) -> FilterInvalid:
    """Make the error for the character at `position` (0-based) of `text`."""
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return FilterInvalid(field, f"line {line}, column {column}: {message}")


def explain(text: str, error: UnexpectedInput, field: str) -> FilterInvalid:
    """Say what the parser expected and what it found."""
    if isinstance(error, UnexpectedCharacters):
        position = error.pos_in_stream or 0
        fault = _string_fault(text, position)
        if fault is not None:
            return invalid_at(text, *fault, field)
        return _unexpected(text, position, text[position], error.allowed or (), field)
    if isinstance(error, UnexpectedToken) and error.token.type != "$END":
        position = error.token.start_pos or 0
        return _unexpected(text, position, str(error.token), error.expected, field)
    expected = error.expected if isinstance(error, UnexpectedToken) else ()
    return _unexpected(text, len(text), "", expected, field)


def _unexpected(
    text: str, position: int, found: str, expected: Iterable[str], field: str
) -> FilterInvalid:
    hint = _time_hint(text, position, field)
    if hint is not None:
        return hint
    wanted = set(expected)
    names = [name for terminal, name in _NAMES.items() if terminal in wanted]
    shown = ascii(found[:_LONGEST_QUOTE]) if found else "the end"
    return invalid_at(text, position, f"expected {_either(names)}, found {shown}", field)


def _time_hint(text: str, position: int, field: str) -> FilterInvalid | None:
    """Say how a time is written, where one without its @ stands at `position`."""
    for match in _BARE_TIME.finditer(text):
        if match.start() <= position <= match.end():
            proper = match[0] if parse_time(match[0]) is not None else "2024-01-31"
            kind = "a time begins with @" if proper == match[0] else "a time is @ and a date"
            return invalid_at(text, match.start(), f"{kind}, such as @{proper}", field)
    return None


def _string_fault(text: str, position: int) -> tuple[int, str] | None:
    """Say why the string that begins at `position` is none."""
    quote = text[position]
    if quote not in "\"'`":
        return None
    escaped = False
    for at in range(position + 1, len(text)):
        character = text[at]
        if character < " " or "\x7f" <= character <= "\x9f":
            return at, f"control character {character!a}: write it as an escape"
        if character == quote and not escaped:
            # Complete, so it is a string where none can stand, or `` alone.
            return None
        escaped = character == "\\" and not escaped and quote != "`"
    return position, f"the closing {quote} is missing"


def _either(names: list[str]) -> str:
    if not names:
        return "something else"
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " or " + names[-1]
