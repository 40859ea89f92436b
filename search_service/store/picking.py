"""Parts of a metadata object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from search_service.domain.metadata import JsonValue, Metadata

if TYPE_CHECKING:
    from search_service.domain.conditions import FieldPath

# Wanted keys; an empty tree wants all that stands below.
_Tree: TypeAlias = "dict[str, _Tree]"


def pick(metadata: Metadata, paths: Iterable[FieldPath]) -> Metadata:
    """Return what stands under `paths`; a path that is not there is passed over.

    Keys below a list are looked for in each of its objects.
    """
    tree: _Tree = {}
    for path in sorted(set(paths), key=len, reverse=True):  # a prefix wins, coming last
        node = tree
        for key in path[:-1]:
            node = node.setdefault(key, {})
        node[path[-1]] = {}
    return _pick_object(metadata, tree)


def _pick_object(members: Metadata, tree: _Tree) -> dict[str, JsonValue]:
    picked: dict[str, JsonValue] = {}
    for key, wanted in tree.items():
        if key in members:
            found, value = _pick(members[key], wanted)
            if found:
                picked[key] = value
    return picked


def _pick(value: JsonValue, tree: _Tree) -> tuple[bool, JsonValue]:
    if not tree:
        return True, value
    if isinstance(value, Mapping):
        picked = _pick_object(value, tree)
        return bool(picked), picked
    if isinstance(value, Sequence) and not isinstance(value, str):
        parts = [part for found, part in (_pick(element, tree) for element in value) if found]
        return bool(parts), parts
    return False, None
