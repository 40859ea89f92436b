"""Names and aliases of collections, in one small durable file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from search_service.durable_files import write_durably

_FORMAT = 1


class NamesDamaged(Exception):
    """The file of names cannot be read: it is not ours, or was damaged."""


@dataclass(frozen=True, slots=True)
class Names:
    """Which UID a name or alias stands for. Names and aliases are one space."""

    collections: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)

    def uid_of(self, name: str) -> str | None:
        """Return the UID that a name or alias stands for."""
        return self.collections.get(name) or self.aliases.get(name)

    def name_of(self, uid: str) -> str | None:
        """Return the name of a collection."""
        return next((name for name, its in self.collections.items() if its == uid), None)

    def aliases_of(self, uid: str) -> list[str]:
        """Return the aliases that point to a collection, sorted."""
        return sorted(alias for alias, its in self.aliases.items() if its == uid)

    def with_collection(self, name: str, uid: str) -> Names:
        """Return names in which `name` is a collection."""
        return Names({**self.collections, name: uid}, self.aliases)

    def without_collection(self, uid: str) -> Names:
        """Return names without a collection and the aliases that point to it."""
        return Names(
            {name: its for name, its in self.collections.items() if its != uid},
            {alias: its for alias, its in self.aliases.items() if its != uid},
        )

    def renamed(self, name: str, new_name: str) -> Names:
        """Return names in which a collection has another name, and the old one as an alias."""
        uid = self.collections[name]
        others = {its: other for its, other in self.collections.items() if its != name}
        return Names({**others, new_name: uid}, {**self.aliases, name: uid})

    def with_alias(self, alias: str, uid: str) -> Names:
        """Return names in which `alias` points to a collection."""
        return Names(self.collections, {**self.aliases, alias: uid})

    def without_alias(self, alias: str) -> Names:
        """Return names without an alias."""
        return Names(
            self.collections, {key: uid for key, uid in self.aliases.items() if key != alias}
        )


class NameFile:
    """The file: replaced as a whole by an atomic rename, synced before and after."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def exists(self) -> bool:
        """Say whether the file was ever written."""
        return self._path.exists()

    def load(self) -> Names:
        """Read the names.

        Raises:
            NamesDamaged: the file is not one of these.
            OSError: it cannot be read.
        """
        try:
            content = orjson.loads(self._path.read_bytes())
        except orjson.JSONDecodeError as error:
            raise NamesDamaged(f"{self._path} holds no JSON") from error
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise NamesDamaged(f"{self._path} has another format than {_FORMAT}")
        return Names(self._mapping(content, "collections"), self._mapping(content, "aliases"))

    def save(self, names: Names) -> None:
        """Write the names durably.

        Raises:
            OSError: they could not be written; the old ones stand.
        """
        content = orjson.dumps(
            {
                "format": _FORMAT,
                "collections": dict(names.collections),
                "aliases": dict(names.aliases),
            },
            option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS,
        )
        write_durably(self._path, [content])

    def _mapping(self, content: dict[str, Any], key: str) -> dict[str, str]:
        mapping = content.get(key)
        if not isinstance(mapping, dict) or not all(
            isinstance(value, str) for value in mapping.values()
        ):
            raise NamesDamaged(f"{self._path} has no {key}")
        return mapping
