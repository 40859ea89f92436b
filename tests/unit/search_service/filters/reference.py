"""Filters evaluated the slow and plain way: one item, one condition at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

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

_DATE = r"\d{4}-\d\d-\d\d"
_CLOCK = r"[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d(:?\d\d)?)?"
_EXIF = re.compile(r"(\d{4}):(\d\d):(\d\d)(?= |$)")


def meets(filter: Filter, metadata: Mapping[str, Any]) -> bool:
    """Say whether an item with `metadata` meets `filter`."""
    if isinstance(filter, AllOf):
        return all(meets(child, metadata) for child in filter.filters)
    if isinstance(filter, AnyOf):
        return any(meets(child, metadata) for child in filter.filters)
    if isinstance(filter, NoneOf):
        return not meets(filter.filter, metadata)
    if isinstance(filter, AnyElement):
        return any(meets(filter.filter, held) for held in _objects(_at(metadata, filter.field)))
    found = list(_at(metadata, filter.field))
    if isinstance(filter, Exists):
        return bool(found)
    elements = [element for value in found for element in _elements(value)]
    if isinstance(filter, Equals):
        return any(_equal(element, filter.value) for element in elements)
    if isinstance(filter, In):
        return any(_equal(element, value) for element in elements for value in filter.values)
    if isinstance(filter, Prefix):
        return any(isinstance(e, str) and e.startswith(filter.prefix) for e in elements)
    if isinstance(filter, Text):
        return any(isinstance(e, str) and _fits(e, filter) for e in elements)
    return any(_in_range(element, filter) for element in elements)


def _at(value: Any, path: FieldPath) -> Iterator[Any]:
    """What stands under `path`, in each element of the lists on the way."""
    if value is None:
        return
    if not path:
        yield value
    elif isinstance(value, dict):
        yield from _at(value.get(path[0]), path[1:])
    elif isinstance(value, list):
        for element in value:
            yield from _at(element, path)


def _objects(found: Iterable[Any]) -> Iterator[dict[str, Any]]:
    for value in found:
        if isinstance(value, dict):
            yield value
        elif isinstance(value, list):
            yield from _objects(value)


def _fits(held: str, node: Text) -> bool:
    wanted = node.text
    if node.match is TextMatch.REGEX:
        return re.search(wanted, held) is not None
    if node.ignore_case:
        held, wanted = held.casefold(), wanted.casefold()
    return {
        TextMatch.EQUALS: held == wanted,
        TextMatch.STARTS_WITH: held.startswith(wanted),
        TextMatch.ENDS_WITH: held.endswith(wanted),
        TextMatch.CONTAINS: wanted in held,
    }[node.match]


def _elements(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for element in value:
            yield from _elements(element)
    elif not isinstance(value, dict) and value is not None:
        yield value


def _comparable(element: Any, kind: type) -> Any:
    """`element` as `kind`; None where it is of another kind."""
    if kind is Instant:
        return _instant(element) if isinstance(element, str) else None
    if kind is bool or isinstance(element, bool):
        return element if kind is bool and isinstance(element, bool) else None
    if kind is str:
        return element if isinstance(element, str) else None
    return float(element) if isinstance(element, int | float) else None


def _equal(element: Any, value: Scalar) -> bool:
    own = _comparable(element, type(value))
    return own is not None and own == value


def _in_range(element: Any, node: Range) -> bool:
    bounds = [node.greater_than, node.at_least, node.less_than, node.at_most]
    kind = next(type(bound) for bound in bounds if bound is not None)
    own = _key(_comparable(element, kind))
    above, least, below, most = (_key(bound) for bound in bounds)
    return own is not None and not (
        (above is not None and not own > above)
        or (least is not None and not own >= least)
        or (below is not None and not own < below)
        or (most is not None and not own <= most)
    )


def _key(value: Any) -> Any:
    return value.epoch_us if isinstance(value, Instant) else value


def _instant(text: str) -> Instant | None:
    written = _EXIF.sub(r"\1-\2-\3", text.upper())
    if re.fullmatch(f"{_DATE}({_CLOCK})?", written) is None:
        return None
    try:
        moment = datetime.fromisoformat(written)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return Instant((moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1))
    except (ValueError, OverflowError):
        return None
