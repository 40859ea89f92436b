"""Changes of all items that meet a filter, and merges, in the fake service."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence

from lookalike.v1 import filter_pb2, search_pb2
from lookalike.wire.errors import InvalidField, LimitExceeded, PageTokenInvalid
from lookalike_client.testing.filter_text import parse
from lookalike_client.testing.filters import matches, meets
from lookalike_client.testing.state import FakeCollection, StoredItem, failed, patched, same
from lookalike_client.types import JsonValue, Metadata

# Items of one step.
_BATCH = 128


def selected(collection: FakeCollection, condition: filter_pb2.Filter) -> list[StoredItem]:
    """Return the items that meet a filter, by id; one without a condition is met by all."""
    check = meets(condition)
    return [item for _, item in sorted(collection.items.items()) if matches(check, item.metadata)]


def check_all(condition: filter_pb2.Filter, *, all_items: bool) -> None:
    """Check that everything is taken only where that is said, and nothing else is then.

    Raises:
        InvalidField: it is not so.
    """
    everything = _constant(condition) is True
    if everything and not all_items:
        raise InvalidField(
            "filter", "holds no condition and would take every item: set one, or set all"
        )
    if all_items and not everything:
        raise InvalidField("all", "takes every item: leave out the filter, or all")


def parts(items: Sequence[StoredItem], token: str) -> Iterator[Sequence[StoredItem]]:
    """Yield the items after a token's, some at a time; one empty part where there are none."""
    after = _read_token(token)
    left = [item for item in items if item.id > after]
    for start in range(0, max(len(left), 1), _BATCH):
        yield left[start : start + _BATCH]


def resume_token(part: Sequence[StoredItem]) -> str:
    """Return the token that goes on after a part."""
    return base64.b64encode(part[-1].id.encode()).decode()


def change_of(
    request: search_pb2.UpdateByFilterRequest, patch: dict[str, JsonValue]
) -> Callable[[Metadata], dict[str, JsonValue]]:
    """Return what a request makes of an item's metadata.

    Raises:
        InvalidField: it says not how, or not what.
    """
    merge = request.mode == search_pb2.METADATA_MODE_MERGE
    if not merge and request.mode != search_pb2.METADATA_MODE_REPLACE:
        raise InvalidField("mode", "say whether metadata replaces the stored one or is merged")
    if not request.HasField("metadata") or (merge and not patch):
        raise InvalidField("metadata", "is empty")
    return (lambda stored: patched(stored, patch)) if merge else (lambda stored: patch)


def changed(
    collection: FakeCollection,
    item: StoredItem,
    change: Callable[[Metadata], dict[str, JsonValue]],
) -> search_pb2.MutationResult | None:
    """Change an item; None: it has that metadata already."""
    try:
        result = change(item.metadata)
        if same(result, item.metadata):
            return None
        return collection.put_metadata(item, result)
    except LimitExceeded as error:
        return failed(item.id, error)


def _read_token(token: str) -> str:
    try:
        return base64.b64decode(token, validate=True).decode()
    except ValueError as error:
        raise PageTokenInvalid("resume_token", "the token is not one of this call") from error


def _constant(condition: filter_pb2.Filter) -> bool | None:
    """Return what a filter says of every item, because it holds no condition; else None."""
    match condition.WhichOneof("condition"):
        case None:
            return True
        case "expression":
            return _constant(parse(condition.expression))
        case "all_of":
            found = [_constant(each) for each in condition.all_of.filters]
            return False if False in found else None if None in found else True
        case "any_of":
            found = [_constant(each) for each in condition.any_of.filters]
            return True if True in found else None if None in found else False
        case "none_of":
            said = _constant(condition.none_of)
            return None if said is None else not said
        case _:
            return None
