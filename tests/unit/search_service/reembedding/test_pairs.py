"""Pairs of collections: one order of versions, through restarts, until they are ended."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from lookalike.wire.errors import InvalidField, Unavailable
from search_service.catalog.catalog import Catalog
from search_service.catalog.shards import Shards
from search_service.domain.items import Fields
from search_service.domain.mutations import Delete, MutationStatus, UpdateMetadata, Upsert
from search_service.reembedding.pairs import Pairs
from search_service.reembedding.settling import Settling
from search_service.shard.shard import STORE
from tests.unit.search_service.shard.kit import STILL, make_spec, random_units


def fatal() -> None:
    raise AssertionError("a store failed")


def opened(root: Path) -> tuple[Catalog, Pairs]:
    catalog = Catalog(root, Shards(STILL, fatal))
    pairs = Pairs(root / "reembedding.json", catalog)
    catalog.before_ready = pairs.open
    catalog.open()
    return catalog, pairs


def make(catalog: Catalog, pairs: Pairs) -> None:
    for number, name in enumerate(("old", "new")):
        spec = replace(make_spec(), name=name, uid=f"{number:032x}", model_fingerprint=name * 9)
        catalog.create(spec)
    pairs.begin(catalog.find("old"), catalog.find("new"))


def test_versions_of_both_grow_in_one_order_through_restarts(tmp_path: Path) -> None:
    catalog, pairs = opened(tmp_path)
    make(catalog, pairs)
    given: list[int] = []
    for _ in range(3):
        for name in ("old", "new", "new", "old"):
            # More than a block each, so that either store has to raise the bound.
            given += catalog.find(name).shard.reserve_versions(40_000)
        catalog.close()
        catalog, pairs = opened(tmp_path)
    pairs.end(pairs.all()[0])
    catalog.close()
    catalog, pairs = opened(tmp_path)
    assert pairs.all() == []
    for name in ("old", "new"):
        assert catalog.find(name).shard.reserve_versions(1)[0] > given[-1]
    assert given == sorted(set(given))
    catalog.close()


@pytest.mark.parametrize("name", ["old", "new"])
def test_a_collection_that_opens_without_its_pair_gives_out_no_version_again(
    tmp_path: Path, name: str
) -> None:
    """As after a restore of a snapshot of one, or beside one that cannot be opened."""
    catalog, pairs = opened(tmp_path)
    make(catalog, pairs)
    for giver in ("old", "new", "old"):
        given = catalog.find(giver).shard.reserve_versions(40_000)[-1]
    rows = random_units(2, 8)
    shard = catalog.find(name).shard
    shard.submit([Upsert("a", rows[0], version=given)]).result()
    own = catalog.find(name).shard.reserve_versions(1)[0]
    catalog.close()
    (tmp_path / "reembedding.json").unlink()
    catalog, pairs = opened(tmp_path)
    shard = catalog.find(name).shard
    changed, deleted = shard.submit([Upsert("a", rows[1]), Delete("a")]).result()
    assert (changed.status, deleted.status) == (MutationStatus.APPLIED, MutationStatus.APPLIED)
    assert changed.version > own > given
    catalog.close()


def test_no_version_is_given_twice_while_pairs_begin_and_end(tmp_path: Path) -> None:
    catalog, pairs = opened(tmp_path)
    make(catalog, pairs)
    stop = threading.Event()
    given: dict[str, list[int]] = {"old": [], "new": []}

    def take(name: str) -> None:
        shard = catalog.find(name).shard
        while not stop.is_set():
            given[name].extend(shard.reserve_versions(30_000)[::10_000])

    threads = [threading.Thread(target=take, args=(name,)) for name in given]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            pairs.end(pairs.all()[0])
            pairs.begin(catalog.find("old"), catalog.find("new"))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    for versions in given.values():
        assert versions == sorted(set(versions))
    catalog.close()


def test_what_was_committed_while_nobody_looked_is_taken_over(tmp_path: Path) -> None:
    catalog, pairs = opened(tmp_path)
    make(catalog, pairs)
    old, new = catalog.find("old").shard, catalog.find("new").shard
    rows = random_units(3, 8)
    for shard in (old, new):
        items = [
            Upsert(id, row, version=at)
            for at, (id, row) in enumerate(zip("abc", rows, strict=True), 1)
        ]
        shard.submit(items).result()
    old.submit([Delete("a"), UpdateMetadata("b", {"of": "old"})]).result()
    new.submit([UpdateMetadata("c", {"of": "new"}), UpdateMetadata("b", {"of": "new"})]).result()
    catalog.close()
    catalog, pairs = opened(tmp_path)
    settling = Settling(catalog, pairs)
    settling.step(pairs.all()[0])
    catalog.find("new").shard.submit([UpdateMetadata("c", {"n": 1}, merge=True)]).result()
    settling.step(pairs.all()[0])
    for name in ("old", "new"):
        shard = catalog.find(name).shard
        gone, b, c = shard.get(list("abc"), Fields(metadata=True))
        assert gone is None
        assert b is not None
        assert c is not None
        assert (b.metadata, c.metadata) == ({"of": "new"}, {"of": "new", "n": 1})
    catalog.close()


def test_no_picture_gets_the_owner_of_another(tmp_path: Path) -> None:
    """Two tenants used one id, and each collection took another's picture first."""
    catalog, pairs = opened(tmp_path)
    make(catalog, pairs)
    old, new = catalog.find("old").shard, catalog.find("new").shard
    settling = Settling(catalog, pairs, lambda: frozenset({("owner",)}))
    rows = random_units(3, 8)
    for shard, owner, version in ((old, "a", 1), (new, "b", 2)):
        shard.submit([Upsert("both", rows[0], {"owner": owner}, version=version)]).result()
    old.submit([Upsert("late", rows[1], {"owner": "a"}, version=3)]).result()
    for shard in (old, new):
        shard.submit([Upsert("same", rows[2], {"owner": "a"}, version=4)]).result()
    old.submit([UpdateMetadata("same", {"owner": "b"}, version=5)]).result()

    def owners(id: str) -> list[object]:
        settling.step(pairs.all()[0])
        items = [shard.get([id], Fields(metadata=True))[0] for shard in (old, new)]
        return [item.metadata["owner"] if item and item.metadata else None for item in items]

    assert owners("both") == ["a", "b"]
    assert owners("same") == ["b", "b"]
    assert owners("late") == ["a", None]
    new.submit([Upsert("late", rows[1], version=3, keep_metadata=True)]).result()
    assert owners("late") == ["a", "a"]
    catalog.close()


def test_an_end_that_broke_off_is_known_at_the_next_start(tmp_path: Path) -> None:
    catalog, pairs = opened(tmp_path)
    make(catalog, pairs)
    with pytest.raises(InvalidField):
        pairs.check_alone(catalog.find("old").uid)
    catalog.delete("old")  # and no more of the end
    catalog.close()
    catalog, pairs = opened(tmp_path)
    assert pairs.all() == []
    pairs.check_alone(catalog.find("new").uid)
    catalog.close()


def test_an_end_that_fails_leaves_the_pair_joined(tmp_path: Path) -> None:
    catalog, pairs = opened(tmp_path)
    make(catalog, pairs)
    (pair,) = pairs.all()
    (tmp_path / "reembedding.json").unlink()
    (tmp_path / "reembedding.json").mkdir()  # which no file takes the place of
    with pytest.raises(OSError, match=r"reembedding\.json"):
        pairs.end(pair)
    assert pairs.all() == [pair]
    given = [catalog.find(name).shard.reserve_versions(1)[0] for name in ("old", "new", "old")]
    assert given == sorted(set(given))
    (tmp_path / "reembedding.json").rmdir()
    pairs.end(pair, "new")
    assert pairs.all() == []
    catalog.close()


def test_a_pair_ends_although_one_of_it_is_damaged_and_removed(tmp_path: Path) -> None:
    catalog, pairs = opened(tmp_path)
    make(catalog, pairs)
    (pair,) = pairs.all()
    catalog.find("old").shard.note_damage(OSError("a page is gone"))
    pairs.end(pair, "old")
    assert pairs.all() == []
    assert catalog.find("new").shard.reserve_versions(1)
    catalog.close()


def test_a_pair_ends_although_one_of_it_cannot_be_opened(tmp_path: Path) -> None:
    catalog, pairs = opened(tmp_path)
    make(catalog, pairs)
    catalog.close()
    (catalog.directory(f"{0:032x}") / STORE).write_bytes(b"damaged")
    catalog, pairs = opened(tmp_path)
    (pair,) = pairs.all()
    pairs.end(pair, "old")
    assert pairs.all() == []
    assert [each.name for each in catalog.collections()] == ["new"]
    catalog.close()


def test_a_pair_ends_although_both_of_it_are_damaged_and_stay(tmp_path: Path) -> None:
    catalog, pairs = opened(tmp_path)
    make(catalog, pairs)
    (pair,) = pairs.all()
    for name in ("old", "new"):
        catalog.find(name).shard.note_damage(OSError("a page is gone"))
    pairs.end(pair)
    assert pairs.all() == []
    assert len(catalog.collections()) == 2
    catalog.close()


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 2}', '{"format": 1}'])
def test_a_file_that_is_not_ours_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "reembedding.json").write_text(text)
    catalog = Catalog(tmp_path, Shards(STILL, fatal))
    catalog.before_ready = Pairs(tmp_path / "reembedding.json", catalog).open
    with pytest.raises(Unavailable, match=r"reembedding\.json"):
        catalog.open()
    catalog.close()
