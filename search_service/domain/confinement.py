"""What part of a collection a caller is confined to: the items whose metadata says so."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lookalike.wire.errors import PermissionDenied
from search_service.domain.conditions import AllOf, Equals, FieldPath, Filter
from search_service.domain.metadata import JsonValue, Metadata, same


@dataclass(frozen=True, slots=True)
class Confinement:
    """The items that hold each value under its path: a text, a number or a boolean.

    An item that holds it in a list, among others, may be seen by all of them and changed
    by none.
    """

    fields: tuple[tuple[FieldPath, str | float | bool], ...]

    @property
    def mark(self) -> str:
        """16 hexadecimal digits: the same for the same fields in any order."""
        said = sorted(json.dumps(field) for field in self.fields)
        return hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]

    def within(self, condition: Filter | None) -> Filter:
        """Return the filter that only items in here meet, and `condition` besides."""
        own = tuple(Equals(path, value) for path, value in self.fields)
        return AllOf(own if condition is None else (*own, condition))

    def shows(self, metadata: Metadata) -> bool:
        """Say whether an item may be seen."""
        return all(
            any(_equal(each, value) for each in _listed(_at(metadata, path)))
            for path, value in self.fields
        )

    def owns(self, metadata: Metadata) -> bool:
        """Say whether an item is of here alone, so that it may be changed."""
        return all(_equal(_at(metadata, path), value) for path, value in self.fields)

    def stamped(self, metadata: Metadata, field: str = "metadata") -> Metadata:
        """Return `metadata` with the values of here, also as a patch.

        Raises:
            PermissionDenied: it has other ones.
        """
        for path, value in self.fields:
            metadata = _with(metadata, path, value, field)
        return metadata


def same_owner(one: Metadata, other: Metadata, paths: Iterable[FieldPath]) -> bool:
    """Say whether two items hold the same under the paths that callers are confined by."""
    return all(same({"": _at(one, path)}, {"": _at(other, path)}) for path in paths)


def _with(
    metadata: Metadata, path: FieldPath, value: str | float | bool, field: str
) -> Mapping[str, JsonValue]:
    key, rest = path[0], path[1:]
    if key not in metadata:
        inner = _with({}, rest, value, field) if rest else value
        return {**metadata, key: inner}
    held = metadata[key]
    if rest and isinstance(held, Mapping):
        return {**metadata, key: _with(held, rest, value, field)}
    if rest or not _equal(held, value):
        raise PermissionDenied(
            f'this API key writes items whose "{key}" it sets itself: leave it out', field
        )
    return metadata


def _at(metadata: Metadata, path: FieldPath) -> JsonValue:
    value: JsonValue = metadata
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _listed(value: JsonValue) -> list[JsonValue]:
    return list(value) if isinstance(value, list) else [value]


def _equal(held: JsonValue, value: str | float | bool) -> bool:
    """Compare as filters do: a boolean is no number."""
    if isinstance(held, bool) or isinstance(value, bool):
        return held is value
    return isinstance(held, str | int | float) and held == value
