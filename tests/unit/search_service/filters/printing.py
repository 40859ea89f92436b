"""A filter in the text syntax."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta

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
from search_service.filters.paths import RESERVED

_BARE = re.compile(r"[^\W\d][\w-]*")
_WORDS = {
    (TextMatch.CONTAINS, False): "contains",
    (TextMatch.CONTAINS, True): "icontains",
    (TextMatch.STARTS_WITH, True): "istartswith",
    (TextMatch.ENDS_WITH, False): "endswith",
    (TextMatch.ENDS_WITH, True): "iendswith",
    (TextMatch.EQUALS, True): "iequals",
    (TextMatch.REGEX, False): "matches",
}
_EPOCH = datetime(1970, 1, 1)  # UTC, as all of these
_CONTROL = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}


def format_filter(filter: Filter) -> str:
    """Write a filter so that `parse_filter` reads it back to the same meaning."""
    if isinstance(filter, AllOf | AnyOf):
        return _join(filter)
    if isinstance(filter, NoneOf):
        return f"not {_operand(filter.filter)}"
    field = format_path(filter.field)
    if isinstance(filter, AnyElement):
        return f"any({field}, {format_filter(filter.filter)})"
    if isinstance(filter, Equals):
        return f"{field} = {format_scalar(filter.value)}"
    if isinstance(filter, In):
        return f"{field} in [{', '.join(format_scalar(value) for value in filter.values)}]"
    if isinstance(filter, Exists):
        return f"exists({field})"
    if isinstance(filter, Prefix):
        return f"{field} startswith {format_scalar(filter.prefix)}"
    if isinstance(filter, Text):
        return f"{field} {_WORDS[filter.match, filter.ignore_case]} {format_scalar(filter.text)}"
    return _format_range(field, filter)


def format_scalar(value: Scalar) -> str:
    """Write a value as the text syntax reads it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).translate(_CONTROL)
    if isinstance(value, Instant):
        return f"@{format_rfc3339(value.epoch_us)}"
    return repr(value).removesuffix(".0")


def _join(node: AllOf | AnyOf) -> str:
    if not node.filters:
        return "true" if isinstance(node, AllOf) else "false"
    if len(node.filters) == 1:
        return format_filter(node.filters[0])
    word = " and " if isinstance(node, AllOf) else " or "
    return word.join(_operand(child) for child in node.filters)


def _operand(node: Filter) -> str:
    while isinstance(node, AllOf | AnyOf) and len(node.filters) == 1:
        node = node.filters[0]
    text = format_filter(node)
    return f"({text})" if isinstance(node, AllOf | AnyOf) and node.filters else text


def _format_range(field: str, node: Range) -> str:
    low = _end(node.at_least, "<=", node.greater_than)
    high = _end(node.at_most, "<=", node.less_than)
    if low and high:
        return f"{low[0]} {low[1]} {field} {high[1]} {high[0]}"
    if low:
        return f"{field} {low[1].replace('<', '>')} {low[0]}"
    return f"{field} {high[1]} {high[0]}" if high else f"exists({field})"


def _end(included: Scalar | None, sign: str, excluded: Scalar | None) -> tuple[str, str] | None:
    if included is not None:
        return format_scalar(included), sign
    return None if excluded is None else (format_scalar(excluded), "<")


def format_path(path: FieldPath) -> str:
    """Write a path so that `parse_path` and the text syntax read it back."""
    return ".".join(_format_key(key) for key in path)


def format_rfc3339(epoch_us: int) -> str:
    """Write a timestamp in UTC with as many digits as it needs."""
    return f"{(_EPOCH + timedelta(microseconds=epoch_us)).isoformat()}Z"


def _format_key(key: str) -> str:
    if _BARE.fullmatch(key) and key.lower() not in RESERVED:
        return key
    return "`" + key.replace("`", "``") + "`"
