"""The text syntax of filters, read into messages of the contract.

A parser of its own, by recursive descent: the service's stands on a grammar library,
which a client does not need otherwise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp

from lookalike.v1 import filter_pb2
from lookalike.wire.errors import FilterInvalid
from lookalike.wire.times import parse_time
from lookalike_client.metadata_values import is_large

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
      | (?P<time>@[\w:.+-]*(?:[ ]\d\d:[\w:.+-]*)?(?:[ ](?:UTC|[+-]\d\d:?\d\d)(?!\w))?)
      | (?P<key>[^\W\d][\w-]*|`(?:[^`]|``)+`)
      | (?P<sign><=|>=|!=|[=<>()\[\],.])
      | (?P<end>$)
    )""",
    re.VERBOSE,
)
_WORDS = frozenset({"and", "or", "not", "in", "exists", "startswith", "true", "false"})
_EQUALS, _STARTS, _ENDS, _CONTAINS, _REGEX = (
    filter_pb2.TEXT_MATCH_EQUALS,
    filter_pb2.TEXT_MATCH_STARTS_WITH,
    filter_pb2.TEXT_MATCH_ENDS_WITH,
    filter_pb2.TEXT_MATCH_CONTAINS,
    filter_pb2.TEXT_MATCH_REGEX,
)
# Word: how it compares, and whether case counts for nothing.
_TEXTS = {
    "contains": (_CONTAINS, False),
    "icontains": (_CONTAINS, True),
    "istartswith": (_STARTS, True),
    "endswith": (_ENDS, False),
    "iendswith": (_ENDS, True),
    "iequals": (_EQUALS, True),
    "matches": (_REGEX, False),
}
_BRACKET = re.compile(r"\s*\(")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)")
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_BOUNDS = {"<": "less_than", "<=": "at_most", ">": "greater_than", ">=": "at_least"}
_LOWER = {"<": "greater_than", "<=": "at_least"}


def parse(text: str) -> filter_pb2.Filter:
    """Return the filter that `text` says, such as `category = "shoes" and price < 50`.

    Raises:
        FilterInvalid: it is none; the message names the column.
    """
    parser = _Parser(text)
    found = parser.disjunction()
    parser.expect("end")
    return found


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    column: int


class _Parser:
    """Reads one expression from left to right, a token ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._token = self._next()

    def disjunction(self) -> filter_pb2.Filter:
        parts = [self._conjunction()]
        while self._took_word("or"):
            parts.append(self._conjunction())
        if len(parts) == 1:
            return parts[0]
        return filter_pb2.Filter(any_of=filter_pb2.FilterList(filters=parts))

    def expect(self, kind: str, text: str = "") -> _Token:
        """Take a token of that kind, and of that text if one is given.

        Raises:
            FilterInvalid: another one stands there.
        """
        token = self._token
        if token.kind != kind or (text and token.text.lower() != text):
            raise self._wrong(f"expected {text or kind}")
        self._token = self._next()
        return token

    def _conjunction(self) -> filter_pb2.Filter:
        parts = [self._negation()]
        while self._took_word("and"):
            parts.append(self._negation())
        if len(parts) == 1:
            return parts[0]
        return filter_pb2.Filter(all_of=filter_pb2.FilterList(filters=parts))

    def _negation(self) -> filter_pb2.Filter:
        if self._took_word("not"):
            return _none_of(self._negation())
        return self._condition()

    def _condition(self) -> filter_pb2.Filter:
        if self._took_sign("("):
            inner = self.disjunction()
            self.expect("sign", ")")
            return inner
        if self._took_word("true"):
            return filter_pb2.Filter(all_of=filter_pb2.FilterList())
        if self._took_word("false"):
            return filter_pb2.Filter(any_of=filter_pb2.FilterList())
        if self._took_word("exists"):
            self.expect("sign", "(")
            field = self._field()
            self.expect("sign", ")")
            return filter_pb2.Filter(exists=filter_pb2.FieldExists(field=field))
        if self._token.kind in ("string", "number", "time"):
            return self._between()
        if _BRACKET.match(self._text, self._position) and self._took_word("any"):
            return self._any_element()
        return self._on_field(self._field())

    def _any_element(self) -> filter_pb2.Filter:
        self.expect("sign", "(")
        field = self._field()
        self.expect("sign", ",")
        inner = self.disjunction()
        self.expect("sign", ")")
        return filter_pb2.Filter(any_element=filter_pb2.AnyElement(field=field, filter=inner))

    def _on_field(self, field: str) -> filter_pb2.Filter:
        if self._took_word("startswith"):
            prefix = _unquoted(self.expect("string").text)
            return filter_pb2.Filter(prefix=filter_pb2.FieldPrefix(field=field, prefix=prefix))
        for word, (match, ignore_case) in _TEXTS.items():
            if self._took_word(word):
                text = _unquoted(self.expect("string").text)
                node = filter_pb2.FieldText(
                    field=field, match=match, text=text, ignore_case=ignore_case
                )
                return filter_pb2.Filter(text=node)
        if self._took_word("not"):
            self.expect("key", "in")
            return _none_of(self._one_of(field))
        if self._took_word("in"):
            return self._one_of(field)
        sign = self.expect("sign").text
        if sign in _BOUNDS:
            within = filter_pb2.FieldRange(field=field)
            getattr(within, _BOUNDS[sign]).CopyFrom(self._value(bound=True))
            return filter_pb2.Filter(range=within)
        if sign not in ("=", "!="):
            raise self._wrong("expected a comparison")
        equals = filter_pb2.FieldEquals(field=field, value=self._value())
        found = filter_pb2.Filter(equals=equals)
        return found if sign == "=" else _none_of(found)

    def _between(self) -> filter_pb2.Filter:
        low = self._value(bound=True)
        lower = self.expect("sign").text
        within = filter_pb2.FieldRange(field=self._field())
        upper = self.expect("sign").text
        if lower not in _LOWER or upper not in _LOWER:
            raise self._wrong("expected < or <= on both sides of the field")
        high = self._value(bound=True)
        if low.WhichOneof("kind") != high.WhichOneof("kind"):
            raise self._wrong("both ends of a range must be of one kind")
        getattr(within, _LOWER[lower]).CopyFrom(low)
        getattr(within, _BOUNDS[upper]).CopyFrom(high)
        return filter_pb2.Filter(range=within)

    def _one_of(self, field: str) -> filter_pb2.Filter:
        self.expect("sign", "[")
        values: list[filter_pb2.FilterValue] = []
        while not self._took_sign("]"):
            if values:
                self.expect("sign", ",")
            values.append(self._value())
        found = filter_pb2.Filter()
        # `in` is a word of Python: the field has no other way to be named.
        getattr(found, "in").CopyFrom(filter_pb2.FieldIn(field=field, values=values))
        return found

    def _field(self) -> str:
        keys = [self._key()]
        while self._took_sign("."):
            keys.append(self._key())
        return ".".join(keys)

    def _key(self) -> str:
        if self._token.text.lower() in _WORDS:
            raise self._wrong("as a field, a word of the syntax stands between backticks")
        return self.expect("key").text

    def _value(self, *, bound: bool = False) -> filter_pb2.FilterValue:
        if not bound:
            for word in ("true", "false"):
                if self._took_word(word):
                    return filter_pb2.FilterValue(bool_value=word == "true")
        token = self._token
        if token.kind == "string":
            value = filter_pb2.FilterValue(string_value=_unquoted(token.text))
        elif token.kind == "number" and is_large(token.text):
            raise self._wrong(
                f"{token.text:.64} cannot be kept exactly as a number; store it as text"
            )
        elif token.kind == "number":
            value = filter_pb2.FilterValue(number_value=float(token.text))
        elif token.kind == "time":
            value = filter_pb2.FilterValue(timestamp_value=self._time(token.text[1:]))
        else:
            raise self._wrong("expected a value")
        self._token = self._next()
        return value

    def _time(self, text: str) -> Timestamp:
        epoch_us = parse_time(text)
        if epoch_us is None:
            raise self._wrong("expected @ and a date or a time")
        stamp = Timestamp()
        stamp.FromMicroseconds(epoch_us)
        return stamp

    def _took_word(self, word: str) -> bool:
        return self._took("key", word)

    def _took_sign(self, sign: str) -> bool:
        return self._took("sign", sign)

    def _took(self, kind: str, text: str) -> bool:
        found = self._token.kind == kind and self._token.text.lower() == text
        if found:
            self._token = self._next()
        return found

    def _next(self) -> _Token:
        match = _TOKEN.match(self._text, self._position)
        if match is None:
            raise FilterInvalid("filter.expression", f"column {self._position + 1}: cannot be read")
        self._position = match.end()
        kind = match.lastgroup or "end"
        return _Token(kind, match[kind], match.start(kind) + 1)

    def _wrong(self, message: str) -> FilterInvalid:
        return FilterInvalid("filter.expression", f"column {self._token.column}: {message}")


def _none_of(inner: filter_pb2.Filter) -> filter_pb2.Filter:
    return filter_pb2.Filter(none_of=inner)


def _unquoted(text: str) -> str:
    def unescaped(match: re.Match[str]) -> str:
        escape = match[1]
        return chr(int(escape[1:], 16)) if len(escape) > 1 else _ESCAPES.get(escape, escape)

    return _ESCAPE.sub(unescaped, text[1:-1])
