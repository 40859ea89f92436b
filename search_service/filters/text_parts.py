"""What the parser makes of each rule of the grammar."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from lark import Token, Transformer

from lookalike.wire.times import parse_time
from search_service.domain.conditions import (
    AllOf,
    AnyElement,
    AnyOf,
    Equals,
    Exists,
    FieldPath,
    Filter,
    In,
    Instant,
    NoneOf,
    Prefix,
    Range,
    Scalar,
    Text,
    TextMatch,
)
from search_service.filters.limits import MAX_DEPTH, FilterSize, count_values
from search_service.filters.paths import MAX_PATH_KEYS, RESERVED, unquote_key
from search_service.filters.patterns import fault_of

_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)")
_ESCAPES = {
    '"': '"',
    "'": "'",
    "\\": "\\",
    "/": "/",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
}
_BOUNDS = {"<": "less_than", "<=": "at_most", ">": "greater_than", ">=": "at_least"}
# Word: how it compares, and whether case counts for nothing.
_TEXTS = {
    "contains": (TextMatch.CONTAINS, False),
    "icontains": (TextMatch.CONTAINS, True),
    "istartswith": (TextMatch.STARTS_WITH, True),
    "endswith": (TextMatch.ENDS_WITH, False),
    "iendswith": (TextMatch.ENDS_WITH, True),
    "iequals": (TextMatch.EQUALS, True),
    "matches": (TextMatch.REGEX, False),
}
# Whole numbers up to here are the same as float64 and as int.
_MOST_EXACT = 2**53
_LOWER = {"<": "greater_than", "<=": "at_least"}


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the filter with its size and the parentheses it stands in."""

    filter: Filter
    size: FilterSize
    parentheses: int = 0


@dataclass(frozen=True, slots=True)
class _Value:
    scalar: Scalar
    position: int


class PartBuilder(Transformer[Token, Any]):
    """Called by the parser at each reduction, innermost first."""

    class Mistake(Exception):
        """A limit or a value that is wrong, at a 0-based position; `parse_filter` catches it."""

        def __init__(self, position: int, message: str) -> None:
            super().__init__(message)
            self.position = position
            self.message = message

    def start(self, children: list[Part]) -> Part:
        return children[0]

    def disjunction(self, children: list[Any]) -> Part:
        return self._joined(children, AnyOf)

    def conjunction(self, children: list[Any]) -> Part:
        return self._joined(children, AllOf)

    def negated(self, children: list[Any]) -> Part:
        token, part = children
        return self._over(NoneOf(part.filter), [part], token)

    def group(self, children: list[Any]) -> Part:
        token, part = children
        if part.parentheses >= MAX_DEPTH:
            raise self.Mistake(
                token.start_pos, f"parentheses are more than {MAX_DEPTH} levels deep"
            )
        return Part(part.filter, part.size, part.parentheses + 1)

    def everything(self, children: list[Token]) -> Part:
        return _leaf(AllOf(()) if children[0].lower() == "true" else AnyOf(()))

    def equals(self, children: list[Any]) -> Part:
        path, token, value = children
        part = _leaf(Equals(path, value.scalar))
        return part if token.type == "EQUAL" else self._over(NoneOf(part.filter), [part], token)

    def compare(self, children: list[Any]) -> Part:
        path, token, bound = children
        return _leaf(Range(path, **{_BOUNDS[str(token)]: bound.scalar}))

    def between(self, children: list[Any]) -> Part:
        low, low_token, path, high_token, high = children
        if type(low.scalar) is not type(high.scalar):
            raise self.Mistake(high.position, "both ends of a range must be of one kind")
        ends = {_LOWER[str(low_token)]: low.scalar, _BOUNDS[str(high_token)]: high.scalar}
        return _leaf(Range(path, **ends))

    def within(self, children: list[Any]) -> Part:
        path, _, values = children
        return _leaf(In(path, values))

    def outside(self, children: list[Any]) -> Part:
        path, token, _, values = children
        part = _leaf(In(path, values))
        return self._over(NoneOf(part.filter), [part], token)

    def exists(self, children: list[Any]) -> Part:
        return _leaf(Exists(children[2]))

    def prefix(self, children: list[Any]) -> Part:
        path, _, token = children
        prefix = self._string(token)
        if not prefix:
            raise self.Mistake(token.start_pos, "the prefix must not be empty")
        return _leaf(Prefix(path, prefix))

    def text(self, children: list[Any]) -> Part:
        path, word, token = children
        match, ignore_case = _TEXTS[word.lower()]
        node = Text(path, match, self._string(token), ignore_case)
        fault = fault_of(node)
        if fault is not None:
            raise self.Mistake(token.start_pos, fault)
        return _leaf(node)

    def any_element(self, children: list[Any]) -> Part:
        token, _, path, part = children
        return self._over(AnyElement(path, part.filter), [part], token)

    def field(self, children: list[Token]) -> FieldPath:
        if len(children) > MAX_PATH_KEYS:
            raise self.Mistake(
                children[MAX_PATH_KEYS].start_pos or 0,
                f"a field path has at most {MAX_PATH_KEYS} keys",
            )
        for token in children:
            if token.lower() in RESERVED:
                raise self.Mistake(
                    token.start_pos or 0,
                    f"{token} is a word of the syntax: as a field it stands between backticks",
                )
        return tuple(unquote_key(str(token)) for token in children)

    def values(self, children: list[Any]) -> tuple[Scalar, ...]:
        return tuple(value.scalar for value in children[1:])

    def value(self, children: list[Token]) -> _Value:
        token = children[0]
        position = token.start_pos or 0
        if token.type in ("TRUE", "FALSE"):
            return _Value(token.type == "TRUE", position)
        if token.type == "STRING":
            return _Value(self._string(token), position)
        return _Value(
            self._number(token) if token.type == "NUMBER" else self._instant(token), position
        )

    bound = value

    def _joined(self, children: list[Any], kind: type[AllOf] | type[AnyOf]) -> Part:
        parts = children[::2]
        if len(parts) == 1:
            return parts[0]  # type: ignore[no-any-return]  # children are parts and tokens in turn
        return self._over(kind(tuple(part.filter for part in parts)), parts, children[1])

    def _over(self, node: Filter, parts: list[Part], token: Token) -> Part:
        size = FilterSize(
            depth=1 + max(part.size.depth for part in parts),
            nodes=1 + sum(part.size.nodes for part in parts),
            values=sum(part.size.values for part in parts),
        )
        excess = size.excess()
        if excess is not None:
            raise self.Mistake(token.start_pos or 0, excess)
        return Part(node, size, max(part.parentheses for part in parts))

    def _string(self, token: Token) -> str:
        start = token.start_pos or 0

        def unescape(match: re.Match[str]) -> str:
            escape = match[1]
            if len(escape) == 5:  # u and four digits
                return chr(int(escape[1:], 16))
            if escape not in _ESCAPES:
                raise self.Mistake(start + 1 + match.start(), f"unknown escape \\{escape}")
            return _ESCAPES[escape]

        text = _ESCAPE.sub(unescape, token[1:-1])
        try:  # two \u escapes may make up one character beyond U+FFFF
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            raise self.Mistake(start, "the string holds half of a surrogate pair") from None

    def _number(self, token: Token) -> float:
        if _is_rounded(token):
            raise self.Mistake(
                token.start_pos or 0,
                f"{token[:64]} cannot be kept exactly as a number; store it as text",
            )
        number = float(token)
        if not math.isfinite(number):
            raise self.Mistake(token.start_pos or 0, "the number is too large for a float64")
        return number

    def _instant(self, token: Token) -> Instant:
        epoch_us = parse_time(token[1:])
        if epoch_us is None:
            raise self.Mistake(
                token.start_pos or 0,
                "expected @ and a date or a time, such as @2024-01-31 or @2024-01-31T12:30:00Z",
            )
        return Instant(epoch_us)


def _is_rounded(token: str) -> bool:
    """Say whether a whole number, in digits, may be compared as another one."""
    digits = token.lstrip("+-").lstrip("0")
    if not digits.isdigit() or len(digits) < len(str(_MOST_EXACT)):
        return False
    return len(digits) > len(str(_MOST_EXACT)) or int(digits) > _MOST_EXACT


def _leaf(node: Filter) -> Part:
    return Part(node, FilterSize(depth=1, nodes=1, values=count_values(node)))
