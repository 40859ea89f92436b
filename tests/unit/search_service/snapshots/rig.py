"""A data directory with a collection and its snapshots, in one process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from search_service.catalog.catalog import Catalog
from search_service.catalog.shards import Shards
from search_service.domain.items import Fields, StoredItem
from search_service.domain.mutations import Upsert
from search_service.shard.api import ShardApi
from search_service.snapshots.library import Snapshots
from tests.unit.search_service.shard.kit import SMALL, make_spec, never, random_units

UID = "0123456789abcdef0123456789abcdef"
NAME = "photos"
DIMENSION = 8
VECTORS = random_units(300, DIMENSION, seed=9)
EVERYTHING = Fields(metadata=True, facts=True, thumbnail=True, vector=True)


@dataclass(frozen=True)
class Rig:
    """What the parts are; `snapshots` is open."""

    catalog: Catalog
    snapshots: Snapshots

    def shard(self, name: str = NAME) -> ShardApi:
        """The shard of a collection."""
        return self.catalog.find(name).shard


@contextmanager
def opened(
    root: Path, *, bytes_per_s: float = 1e12, on_step: Callable[[str], None] | None = None
) -> Iterator[Rig]:
    """Open a data directory, with one collection the first time."""
    catalog = Catalog(root, Shards(SMALL, never))
    snapshots = Snapshots(root, catalog, bytes_per_s=bytes_per_s, on_step=on_step)
    catalog.open()
    try:
        if not catalog.collections():
            catalog.create(replace(make_spec(DIMENSION), uid=UID, name=NAME))
            write(catalog.find(NAME).shard, 0, len(VECTORS))
        snapshots.open()
        yield Rig(catalog, snapshots)
    finally:
        snapshots.close()
        catalog.close()


def write(shard: ShardApi, first: int, count: int) -> None:
    """Store items with all that an item may have."""
    upserts = [
        Upsert(
            f"item-{number}",
            VECTORS[number % len(VECTORS)],
            {"number": number},
            facts=b"facts-%d" % number,
            thumbnail=b"t" * (number % 40),
        )
        for number in range(first, first + count)
    ]
    assert all(outcome.error is None for outcome in shard.submit(upserts).result(60))


def content(shard: ShardApi) -> dict[str, tuple[object, ...]]:
    """Everything that is stored, by id."""
    page = shard.list_items(filter=None, after_id="", page_size=100_000, fields=EVERYTHING)
    return {item.id: _plain(item) for item in page}


def _plain(item: StoredItem) -> tuple[object, ...]:
    assert item.vector is not None
    return (
        item.version,
        item.update_time_us,
        item.metadata,
        item.facts,
        item.thumbnail,
        item.vector.tobytes(),
    )


def whole_archive(rig: Rig) -> bytes:
    """Take a snapshot, and return its archive."""
    return b"".join(rig.snapshots.download(rig.snapshots.create(NAME).id))


def nothing_half_made(root: Path, rig: Rig) -> bool:
    """Whether there is nothing beside what is listed."""
    names = {path.name for path in (root / "snapshots").iterdir()}
    return names == {one.id for one in rig.snapshots.list()}
