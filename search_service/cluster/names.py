"""Names, aliases and specs of a cluster's collections: one value in the log's Redis.

Fronts change it by compare-and-set, so that any number of them may. Each change has a number:
a Redis that has lost what it acknowledged shows an older one, and a front that knows better
puts the newer one back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from redis import Redis

from lookalike.wire.errors import Reason, Unavailable
from search_service.catalog.names import Names
from search_service.cluster.connection import log_errors
from search_service.domain.collection import CollectionSpec
from search_service.store.schema import spec_from_json, spec_to_json

_FORMAT = 2
_SET = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
"""


@dataclass(frozen=True, slots=True)
class Contents:
    """What the catalog says; `raw` is how it was found.

    `leaving` are collections that are deleted, of which replicas, logs or snapshots may still
    be there.
    """

    names: Names = field(default_factory=Names)
    specs: Mapping[str, CollectionSpec] = field(default_factory=dict)
    leaving: Mapping[str, CollectionSpec] = field(default_factory=dict)
    revision: int = 0
    raw: bytes = b""

    def changed(self, names: Names, specs: Mapping[str, CollectionSpec]) -> Contents:
        """Return contents with these collections; what has no name any more is leaving."""
        named = set(names.collections.values())
        known = {**self.leaving, **self.specs}
        gone = {uid: spec for uid, spec in known.items() if uid not in named}
        kept = {uid: spec for uid, spec in specs.items() if uid in named}
        return _numbered(names, kept, gone, self.revision + 1)

    def without(self, uid: str) -> Contents:
        """Return contents in which nothing is left of a deleted collection."""
        leaving = {each: spec for each, spec in self.leaving.items() if each != uid}
        return _numbered(self.names, self.specs, leaving, self.revision + 1)


class SharedCatalog:
    """Reads and changes the value; methods block and may be called from any thread."""

    def __init__(self, client: Redis, prefix: str) -> None:
        self._client = client
        self._key = f"{prefix}:catalog"
        self._set = client.register_script(_SET)

    def load(self, known: Contents | None = None) -> Contents:
        """Return what the catalog says; `known` itself where that is what it says.

        Raises:
            Unavailable: Redis is away, or another release wrote it.
        """
        with log_errors():
            raw: Any = self._client.get(self._key) or b""
        return known if known is not None and raw == known.raw else read_contents(raw)

    def spec(self, uid: str) -> CollectionSpec | None:
        """Return the spec of a collection; None: there is none of that UID."""
        return self.load().specs.get(uid)

    def save(self, contents: Contents, before: Contents) -> Contents:
        """Change the catalog from what `before` says; return `contents`.

        Raises:
            Unavailable: Redis is away, or another front has changed it meanwhile.
        """
        with log_errors():
            done = self._set([self._key], [before.raw, contents.raw])
        if not done:
            raise Unavailable(
                "another server changes the catalog: try again",
                reason=Reason.NOT_READY,
                retry_delay_s=0.1,
            )
        return contents


def read_contents(raw: bytes) -> Contents:
    """Return what a value of the catalog says; `raw` may be empty.

    Raises:
        Unavailable: another release wrote it.
    """
    if not raw:
        return Contents()
    read = orjson.loads(raw)
    if read["format"] != _FORMAT:
        raise Unavailable(
            f"the cluster's catalog has format {read['format']}; this release reads {_FORMAT}",
            reason=Reason.STORE_FAILED,
        )
    specs, leaving = (
        {uid: spec_from_json(orjson.dumps(spec)) for uid, spec in read[kind].items()}
        for kind in ("specs", "leaving")
    )
    names = Names(read["collections"], read["aliases"])
    return Contents(names, specs, leaving, read["revision"], raw)


def _numbered(
    names: Names,
    specs: Mapping[str, CollectionSpec],
    leaving: Mapping[str, CollectionSpec],
    revision: int,
) -> Contents:
    written = {
        "format": _FORMAT,
        "revision": revision,
        "collections": dict(names.collections),
        "aliases": dict(names.aliases),
        "specs": _as_json(specs),
        "leaving": _as_json(leaving),
    }
    raw = orjson.dumps(written, option=orjson.OPT_SORT_KEYS)
    return Contents(names, specs, leaving, revision, raw)


def _as_json(specs: Mapping[str, CollectionSpec]) -> dict[str, orjson.Fragment]:
    return {uid: orjson.Fragment(spec_to_json(spec)) for uid, spec in specs.items()}
