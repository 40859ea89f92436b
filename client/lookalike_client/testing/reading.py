"""Items as the fake service sends them, and the order in which it lists them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from google.protobuf.struct_pb2 import Struct

from lookalike.v1 import filter_pb2, search_pb2
from lookalike.wire import vectors
from lookalike.wire.errors import InvalidField
from lookalike_client import structs
from lookalike_client.testing.filters import Path, Value, read_path, values_of
from lookalike_client.testing.state import StoredItem
from lookalike_client.types import JsonValue


def item_message(
    item: StoredItem, fields: search_pb2.ItemFields, *, with_id: bool = True
) -> search_pb2.Item:
    """Return the parts of an item that are asked for."""
    message = search_pb2.Item(
        id=item.id if with_id else "",
        version=item.version,
        update_time=item.update_time,
        near_duplicate_of=item.near_duplicate_of,
    )
    if fields.metadata:
        metadata = _metadata(item, fields.metadata_fields)
        if fields.metadata_as_json:
            message.metadata_json = json.dumps(structs.to_dict(metadata)).encode()
        else:
            message.metadata.CopyFrom(metadata)
    if item.facts is not None and fields.facts:
        message.facts.CopyFrom(item.facts)
        message.facts.ClearField("thumbnail_webp")
    if item.facts is not None and fields.thumbnail and item.facts.thumbnail_webp:
        message.facts.thumbnail_webp = item.facts.thumbnail_webp
    if fields.vector:
        message.vector_f32_le = vectors.encode(item.vector)
        for vector in item.further:
            message.vectors.add(vector_f32_le=vectors.encode(vector))
    return message


def ordered(items: Sequence[StoredItem], order: search_pb2.ItemOrder) -> list[StoredItem]:
    """Return items, which come by id, by a field; those without a value last."""
    pick = max if order.descending else min
    valued: list[tuple[Value, StoredItem]] = []
    without: list[StoredItem] = []
    for item in items:
        values = values_at(item, order.field, "order.field")
        if values:
            valued.append((pick(values), item))
        else:
            without.append(item)
    # Stable, also when reversed: equal values stay by id.
    valued.sort(key=lambda pair: pair[0], reverse=order.descending)
    return [item for _, item in valued] + without


def values_at(item: StoredItem, field: str, where: str) -> frozenset[Value]:
    """Return the values of a metadata field.

    Raises:
        InvalidField: the field is no path.
    """
    return values_of(item.metadata).get(path_of(field, where), frozenset())


def path_of(field: str, where: str) -> Path:
    """Return the keys of a field's path.

    Raises:
        InvalidField: it is none.
    """
    try:
        return read_path(field)
    except ValueError as error:
        raise InvalidField(where, str(error)) from error


def value_message(value: Value) -> filter_pb2.FilterValue:
    """Return a value of a metadata field."""
    _, held = value
    if isinstance(held, bool):
        return filter_pb2.FilterValue(bool_value=held)
    if isinstance(held, str):
        return filter_pb2.FilterValue(string_value=held)
    return filter_pb2.FilterValue(number_value=held)


def _metadata(item: StoredItem, fields: Sequence[str]) -> Struct:
    if not fields:
        return structs.from_dict(item.metadata)
    kept: dict[str, JsonValue] = {}
    for index, field in enumerate(fields):
        _keep(path_of(field, f"fields.metadata_fields[{index}]"), item.metadata, kept)
    return structs.from_dict(kept)


def _keep(path: Path, source: dict[str, JsonValue], kept: dict[str, JsonValue]) -> None:
    """Copy what stands under `path`, if it is there."""
    key, *rest = path
    if key not in source:
        return
    value = source[key]
    if not rest:
        kept[key] = value
    elif isinstance(value, dict):
        inner = kept.setdefault(key, {})
        if isinstance(inner, dict):
            _keep(tuple(rest), value, inner)
