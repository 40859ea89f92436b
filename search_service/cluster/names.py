"""Names, aliases and specs of a cluster's collections: one value in the log's Redis.

Fronts change it by compare-and-set, so that any number of them may.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from redis import Redis

from lookalike.wire.errors import Reason, Unavailable
from search_service.catalog.names import Names
from search_service.cluster.log import log_errors
from search_service.domain.collection import CollectionSpec
from search_service.store.schema import spec_from_json, spec_to_json

_FORMAT = 1
_SET = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
"""


@dataclass(frozen=True, slots=True)
class Contents:
    """What the catalog says; `raw` is how it was found."""

    names: Names = field(default_factory=Names)
    specs: Mapping[str, CollectionSpec] = field(default_factory=dict)
    raw: bytes = b""


class SharedCatalog:
    """Reads and changes the value; methods block and may be called from any thread."""

    def __init__(self, client: Redis, prefix: str) -> None:
        self._client = client
        self._key = f"{prefix}:catalog"
        self._set = client.register_script(_SET)

    def load(self) -> Contents:
        """Return what the catalog says.

        Raises:
            Unavailable: Redis is away, or another release wrote it.
        """
        with log_errors():
            raw: Any = self._client.get(self._key) or b""
        if not raw:
            return Contents()
        read = orjson.loads(raw)
        if read["format"] != _FORMAT:
            raise Unavailable(
                f"the cluster's catalog has format {read['format']}; this release reads {_FORMAT}",
                reason=Reason.STORE_FAILED,
            )
        specs = {uid: spec_from_json(orjson.dumps(spec)) for uid, spec in read["specs"].items()}
        return Contents(Names(read["collections"], read["aliases"]), specs, raw)

    def spec(self, uid: str) -> CollectionSpec | None:
        """Return the spec of a collection; None: there is none of that UID."""
        return self.load().specs.get(uid)

    def save(self, names: Names, specs: Mapping[str, CollectionSpec], before: Contents) -> Contents:
        """Change the catalog from what `before` says.

        Raises:
            Unavailable: Redis is away, or another front has changed it meanwhile.
        """
        raw = orjson.dumps(
            {
                "format": _FORMAT,
                "collections": dict(names.collections),
                "aliases": dict(names.aliases),
                "specs": {
                    uid: orjson.Fragment(spec_to_json(spec))
                    for uid, spec in specs.items()
                    if uid in set(names.collections.values())
                },
            },
            option=orjson.OPT_SORT_KEYS,
        )
        with log_errors():
            done = self._set([self._key], [before.raw, raw])
        if not done:
            raise Unavailable(
                "another server changes the catalog: try again",
                reason=Reason.NOT_READY,
                retry_delay_s=0.1,
            )
        kept = {uid: spec for uid, spec in specs.items() if uid in names.collections.values()}
        return Contents(names, kept, raw)
