"""A collection of a pair that is damaged is told, and can be removed; the other one stays."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import apsw
import apsw.sqlite_extra
import pytest

from lookalike.wire.errors import Precondition, Reason
from search_service.domain.mutations import Upsert
from search_service.store.schema import PAGE_BYTES
from tests.unit.search_service.reembedding.rig import SOURCE, TARGET, Rig
from tests.unit.search_service.shard.kit import random_units

COUNT = 800
ROWS = random_units(COUNT, 8)


async def paired(root: Path) -> Rig:
    """Return a pair whose collections have the same items."""
    rig = Rig(root)
    rig.create()
    await rig.reembeddings.start("old", "new")
    items = [
        Upsert(f"item-{number:05}", row, version=number + 1) for number, row in enumerate(ROWS)
    ]
    for name in ("old", "new"):
        rig.catalog.find(name).shard.submit(items).result()
    return rig


def zero_items(store: Path) -> None:
    """Zero the last page of the table of items."""
    with closing(apsw.Connection(str(store), flags=apsw.SQLITE_OPEN_READONLY)) as db:
        apsw.sqlite_extra.load(db, "cksumvfs")
        query = "SELECT pageno FROM dbstat WHERE name = 'items' ORDER BY path"
        pages = [int(row[0]) for row in db.execute(query)]
    with store.open("r+b") as file:
        file.seek((pages[-1] - 1) * PAGE_BYTES)
        file.write(bytes(PAGE_BYTES))


def at_rest(rig: Rig, uid: str) -> Rig:
    rig.catalog.close()
    zero_items(rig.store(uid))
    return Rig(rig.root, rig.queue)


def at_work(rig: Rig, uid: str) -> Rig:
    """The page is no longer what a reader finds, and no reader has met it yet."""
    again = rig.again()
    zero_items(again.store(uid))
    return again


def whole(rig: Rig, uid: str) -> Rig:
    """All of the store is gone, so that it cannot be opened."""
    rig.catalog.close()
    rig.store(uid).write_bytes(b"damaged")
    return Rig(rig.root, rig.queue)


@pytest.mark.parametrize(
    ("harm", "uid"), [(at_work, SOURCE), (at_work, TARGET), (at_rest, TARGET), (whole, SOURCE)]
)
async def test_one_that_is_damaged_is_told_and_removed(
    tmp_path: Path, harm: Callable[[Rig, str], Rig], uid: str
) -> None:
    rig = harm(await paired(tmp_path), uid)
    removed, kept = ("old", "new") if uid == SOURCE else ("new", "old")

    told = await rig.reembeddings.progress(kept)
    assert (bool(told.source_damage), bool(told.target_damage)) == (uid == SOURCE, uid == TARGET)

    # The one that is whole is not given up for the other.
    with pytest.raises(Precondition, match=f'"{removed}" is damaged') as refused:
        await rig.reembeddings.end(kept, kept)
    assert refused.value.reason is Reason.STORE_DAMAGED
    assert {each.name for each in rig.catalog.collections()} == {"old", "new"}
    assert len(rig.pairs.all()) == 1

    await rig.reembeddings.end(kept, removed)
    assert rig.pairs.all() == []
    assert [each.name for each in rig.catalog.collections()] == [kept]
    assert rig.catalog.find(kept).shard.count(None) == COUNT
    rig = rig.again()
    assert rig.pairs.all() == []
    assert rig.catalog.find(kept).shard.reserve_versions(1).start > COUNT
    rig.catalog.close()


@pytest.mark.parametrize("harm", [at_rest, whole])
async def test_a_pair_of_two_that_are_damaged_ends_and_both_stay(
    tmp_path: Path, harm: Callable[[Rig, str], Rig]
) -> None:
    rig = harm(harm(await paired(tmp_path), SOURCE), TARGET)
    told = await rig.reembeddings.progress("old")
    assert told.source_damage
    assert told.target_damage
    for name in ("old", "new"):
        with pytest.raises(Precondition, match="is damaged"):
            await rig.reembeddings.end("old", name)
    await rig.reembeddings.end("old")
    assert rig.pairs.all() == []
    assert {each.name for each in rig.catalog.collections()} == {"old", "new"}
    rig.catalog.close()


async def test_no_move_of_a_damaged_collection_begins(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.create()
    rig.catalog.find("old").shard.note_damage(OSError("a page is gone"))
    with pytest.raises(Precondition, match='"old" is damaged') as refused:
        await rig.reembeddings.start("old", "new")
    assert refused.value.field == "source"
    assert rig.pairs.all() == []
    rig.catalog.close()
