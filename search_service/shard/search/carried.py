"""What hits carry: metadata from memory where it was read lately, all else from the store."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from search_service.domain.items import Fields, StoredItem
from search_service.domain.metadata import decode_metadata, encode_metadata
from search_service.shard.live.item_cache import ItemCache
from search_service.store.answer_size import AnswerSize
from search_service.store.items import ItemReader
from search_service.store.picking import pick

_METADATA = Fields(metadata=True)


class CarriedItems:
    """Reads items for hits; any thread may call."""

    def __init__(self, reader: ItemReader, cache: ItemCache) -> None:
        self._reader = reader
        self._cache = cache

    def get(self, ids: Collection[str], fields: Fields) -> dict[str, StoredItem]:
        """Return the items among `ids`, by id.

        Raises:
            LimitExceeded: they are larger together than an answer can be.
            Unavailable: the store cannot be read.
        """
        if not _is_metadata(fields):
            return self._reader.get(list(ids), fields)
        found, missing = self._cache.find(ids)
        if missing:
            begun = self._cache.begin()
            read = self._reader.get(missing, _METADATA)
            self._cache.keep(read.values(), begun)
            found |= read
        return _picked(found, fields)


def _is_metadata(fields: Fields) -> bool:
    return fields.metadata and not (fields.facts or fields.thumbnail or fields.vector)


def _picked(items: dict[str, StoredItem], fields: Fields) -> dict[str, StoredItem]:
    AnswerSize().add_bytes(sum(len(item.metadata_json or b"") for item in items.values()))
    if not fields.metadata_paths:
        return items
    return {
        id: replace(
            item,
            metadata_json=encode_metadata(
                pick(decode_metadata(item.metadata_json or b"{}"), fields.metadata_paths)
            ),
        )
        for id, item in items.items()
    }
