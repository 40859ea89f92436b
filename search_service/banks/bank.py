"""A bank: what is known of the images of a collection, and of others on a list."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from search_service.banks.facts import LEAST_QUALITY
from search_service.banks.item_hashes import HashCounts, ItemHash, ItemHashes
from search_service.banks.matrix import HashMatrix
from search_service.catalog.catalog import Catalog
from search_service.catalog.collection import Collection
from search_service.domain.arrays import I64
from search_service.shard.api import ShardApi
from search_service.store.known_hashes import KnownHash, KnownHashes


@dataclass(frozen=True, slots=True)
class ListedHash:
    """A hash on the list that is near."""

    known: KnownHash
    distance: int


@dataclass(frozen=True, slots=True)
class _Listed:
    matrix: HashMatrix
    low_quality: int


class Bank:
    """The hashes of one collection; methods block."""

    def __init__(self, shard: ShardApi, directory: Path) -> None:
        """`directory` is the collection's."""
        self.items = ItemHashes(shard)
        self._known = KnownHashes(directory)
        self._lock = threading.Lock()
        self._listed: _Listed | None = None  # read again after each change

    def near_items(
        self, hash: bytes, most: int, limit: int, *, without: str = "", among: I64 | None = None
    ) -> list[ItemHash]:
        """See `ItemHashes.near`."""
        return self.items.near(hash, most, limit, without=without, among=among)

    def near_listed(self, hash: bytes, most: int, limit: int) -> list[ListedHash]:
        """Return the `limit` nearest on the list within `most` bits, by distance, then hash."""
        matrix = self._read().matrix
        places, distances = matrix.near(hash, most)
        nearest = np.argsort(distances, kind="stable")[:limit]
        found = {matrix.hash_at(int(places[each])): int(distances[each]) for each in nearest}
        # One that was taken off meanwhile is not found any more.
        known = self._known.find(list(found))
        return [ListedHash(each, found[each.hash]) for each in known]

    def put(self, hashes: Sequence[KnownHash]) -> int:
        """Put hashes on the list, durably; return how many were new."""
        added = self._known.put(hashes)
        self._forget()
        return added

    def remove(self, hashes: Sequence[bytes] | None) -> int:
        """Take hashes off the list, all with None; return how many were on it."""
        removed = self._known.remove(hashes)
        self._forget()
        return removed

    def page(self, after: bytes, size: int) -> list[KnownHash]:
        """Return up to `size` of the list by hash, after this one."""
        return self._known.page(after, size)

    def item_counts(self) -> HashCounts:
        """Count the items by their hashes."""
        return self.items.counts()

    def listed_counts(self) -> tuple[int, int]:
        """Count the hashes on the list: those that are matched, those of low quality."""
        listed = self._read()
        return listed.matrix.count, listed.low_quality

    def _forget(self) -> None:
        with self._lock:
            self._listed = None

    def _read(self) -> _Listed:
        with self._lock:
            if self._listed is None:
                matrix, low = HashMatrix.empty(), 0
                for block in self._known.all():
                    good = [
                        hash
                        for hash, quality in block
                        if quality is None or quality >= LEAST_QUALITY
                    ]
                    matrix = matrix.extended(good)
                    low += len(block) - len(good)
                self._listed = _Listed(matrix, low)
            return self._listed


class Banks:
    """The banks of the collections that were asked about, made when they are first needed."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._banks: dict[str, tuple[ShardApi, Bank]] = {}
        self._lock = threading.Lock()

    def of(self, collection: Collection) -> Bank:
        """Return the bank of a collection.

        Raises:
            StoreDamaged, Unavailable: the collection could not be opened.
        """
        shard = collection.shard
        with self._lock:
            kept = self._banks.get(collection.uid)
            if kept is not None and kept[0] is shard:
                return kept[1]
            there = {each.uid for each in self._catalog.collections()}
            self._banks = {uid: bank for uid, bank in self._banks.items() if uid in there}
            bank = Bank(shard, self._catalog.directory(collection.uid))
            self._banks[collection.uid] = (shard, bank)
            return bank
