"""The catalog over real shards: crashes, names, aliases, the lock."""

from __future__ import annotations

import dataclasses
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike.wire.errors import AlreadyExists, Exhausted, InvalidField, NotFound, Unavailable
from search_service.catalog.catalog import Catalog
from search_service.catalog.data_lock import DataDirectoryInUse
from search_service.catalog.names import NamesDamaged
from search_service.catalog.shards import Shards
from search_service.domain.collection import CollectionSpec, DuplicateSettings, Preset
from search_service.domain.mutations import Delete
from search_service.presets import index_settings
from search_service.shard.api import ShardApi
from search_service.shard.options import ShardOptions


def make_shards() -> Shards:
    return Shards(ShardOptions(ballast_bytes=4096), lambda: None)


def spec(name: str) -> CollectionSpec:
    return CollectionSpec(
        uid=uuid.uuid4().hex,
        name=name,
        dimension=3,
        model_fingerprint="",
        index=index_settings(Preset.BALANCED, 3),
        duplicates=DuplicateSettings(),
        create_time_us=1,
    )


def opened(root: Path) -> Catalog:
    catalog = Catalog(root, make_shards())
    catalog.open()
    return catalog


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    one = opened(tmp_path)
    yield one
    one.close()


def test_a_name_becomes_an_alias_of_the_renamed_collection(tmp_path: Path) -> None:
    catalog = opened(tmp_path)
    made = catalog.create(spec("a"))
    catalog.create(spec("b"))
    catalog.set_alias("live", "a")
    catalog.rename("a", "a.1")
    assert catalog.find("a") is catalog.find("a.1") is catalog.find("live") is made
    assert made.shard.spec.name == made.name == "a.1"
    for name, new_name, error in (
        ("live", "c", InvalidField),
        ("b", "a", AlreadyExists),
        ("b", "a.1", AlreadyExists),
        ("b", "no name", InvalidField),
        ("nowhere", "c", NotFound),
    ):
        with pytest.raises(error):
            catalog.rename(name, new_name)
    catalog.close()
    again = opened(tmp_path)
    assert again.aliases() == [("a", "a.1"), ("live", "a.1")]
    assert [each.name for each in again.collections()] == ["a.1", "b"]
    assert again.find("a").shard.spec.name == "a.1"
    again.close()


def test_a_renaming_that_broke_off_can_be_made_again(tmp_path: Path) -> None:
    catalog = opened(tmp_path)
    catalog.create(spec("a"))
    before = (tmp_path / "catalog.json").read_bytes()
    catalog.rename("a", "a.1")
    catalog.close()
    (tmp_path / "catalog.json").write_bytes(before)  # as a crash leaves it between the two
    catalog = opened(tmp_path)
    made = catalog.find("a")
    assert made.shard.spec.name == made.name == "a"
    (tmp_path / "catalog.json").unlink()
    (tmp_path / "catalog.json").mkdir()  # which no file takes the place of
    with pytest.raises(OSError, match=r"catalog\.json"):
        catalog.rename("a", "a.1")
    assert made.shard.spec.name == made.name == "a"
    (tmp_path / "catalog.json").rmdir()
    catalog.rename("a", "a.1")
    assert catalog.find("a") is catalog.find("a.1") is made
    catalog.close()


def test_a_collection_is_found_by_name_alias_and_uid(catalog: Catalog) -> None:
    made = catalog.create(spec("a"))
    assert catalog.set_alias("live", "a") == ""
    assert catalog.find("a") is catalog.find("live") is catalog.find(made.uid) is made
    assert catalog.aliases() == [("live", "a")]
    with pytest.raises(NotFound):
        catalog.find("b")
    with pytest.raises(InvalidField):
        catalog.find("")


def test_names_and_aliases_are_one_space(catalog: Catalog) -> None:
    catalog.create(spec("a"))
    catalog.create(spec("b"))
    catalog.set_alias("live", "a")
    for name in ("a", "live"):
        with pytest.raises(AlreadyExists):
            catalog.create(spec(name))
    with pytest.raises(AlreadyExists):
        catalog.set_alias("b", "a")
    assert catalog.set_alias("live", "b") == "a"


def test_a_uid_cannot_be_hidden_by_a_name(catalog: Catalog) -> None:
    made = catalog.create(spec("a"))
    with pytest.raises(InvalidField):
        catalog.create(spec(made.uid))
    with pytest.raises(InvalidField):
        catalog.set_alias(made.uid, "a")


def test_deleting_takes_aliases_and_files_along(catalog: Catalog, tmp_path: Path) -> None:
    made = catalog.create(spec("a"))
    catalog.set_alias("live", "a")
    with pytest.raises(InvalidField):
        catalog.delete("live")
    assert catalog.delete("a") == 0
    assert catalog.aliases() == []
    assert not (tmp_path / "collections" / made.uid).exists()
    with pytest.raises(Unavailable):
        made.shard.submit([Delete("x")]).result(timeout=60)


def test_a_half_made_collection_is_removed_at_the_start(tmp_path: Path) -> None:
    opened(tmp_path).close()
    directory = tmp_path / "collections" / uuid.uuid4().hex
    directory.mkdir()
    # As a crash leaves it before the name was written.
    make_shards().create(directory, spec("half")).close()
    catalog = opened(tmp_path)
    assert catalog.collections() == []
    assert not directory.exists()
    catalog.close()


def test_a_half_deleted_collection_is_finished_at_the_start(tmp_path: Path) -> None:
    catalog = opened(tmp_path)
    kept, gone = catalog.create(spec("kept")), catalog.create(spec("gone"))
    directory = tmp_path / "collections" / gone.uid
    saved = tmp_path / "saved"
    shutil.copytree(directory, saved)
    catalog.delete("gone")
    catalog.close()
    # As a crash leaves it after the name was removed, before the directory was.
    saved.rename(directory)
    catalog = opened(tmp_path)
    assert [one.uid for one in catalog.collections()] == [kept.uid]
    assert not directory.exists()
    catalog.close()


def test_what_is_no_collection_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "collections" / "notes"
    opened(tmp_path).close()
    other.mkdir()
    opened(tmp_path).close()
    assert other.exists()


def test_a_collection_that_cannot_be_opened_leaves_the_others(tmp_path: Path) -> None:
    catalog = opened(tmp_path)
    bad, good = catalog.create(spec("bad")), catalog.create(spec("good"))
    catalog.close()
    (tmp_path / "collections" / bad.uid / "store.db").write_bytes(b"no database at all" * 1000)
    catalog = opened(tmp_path)
    assert catalog.find("good").shard.spec.uid == good.uid
    assert not catalog.find("bad").is_open
    with pytest.raises(Unavailable, match="could not be opened"):
        _ = catalog.find("bad").shard
    assert catalog.delete("bad") == 0
    catalog.close()


def test_two_servers_cannot_share_a_directory(catalog: Catalog, tmp_path: Path) -> None:
    with pytest.raises(DataDirectoryInUse):
        opened(tmp_path)
    catalog.close()
    opened(tmp_path).close()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 2}', b'{"format": 1}'])
def test_damaged_names_stop_the_start(tmp_path: Path, content: bytes) -> None:
    catalog = opened(tmp_path)
    made = catalog.create(spec("a"))
    catalog.close()
    (tmp_path / "catalog.json").write_bytes(content)
    with pytest.raises(NamesDamaged):
        opened(tmp_path)
    assert (tmp_path / "collections" / made.uid / "store.db").exists()


def test_lost_names_do_not_cost_the_collections(tmp_path: Path) -> None:
    catalog = opened(tmp_path)
    made = catalog.create(spec("a"))
    catalog.close()
    (tmp_path / "catalog.json").unlink()
    with pytest.raises(NamesDamaged, match="put it back"):
        opened(tmp_path)
    assert (tmp_path / "collections" / made.uid / "store.db").exists()


def test_nothing_is_found_before_the_catalog_is_open(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="starting"):
        Catalog(tmp_path, make_shards()).find("a")


class FailingShards(Shards):
    """A factory whose disk is full."""

    def __init__(self, error: Exception) -> None:
        super().__init__(ShardOptions(ballast_bytes=4096), lambda: None)
        self._error = error

    def create(self, directory: Path, spec: CollectionSpec) -> ShardApi:  # type: ignore[override]
        (directory / "begun").touch()
        raise self._error


def test_a_failed_creation_leaves_nothing(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path, FailingShards(OSError(28, "No space left on device")))
    catalog.open()
    with pytest.raises(Exhausted, match="disk is full"):
        catalog.create(spec("a"))
    assert catalog.collections() == []
    assert list((tmp_path / "collections").iterdir()) == []
    catalog.close()


def test_a_spec_survives_a_restart(tmp_path: Path) -> None:
    catalog = opened(tmp_path)
    wanted = dataclasses.replace(spec("a"), model_fingerprint="f" * 64)
    catalog.create(wanted)
    catalog.close()
    catalog = opened(tmp_path)
    assert catalog.find("a").shard.spec == wanted
    catalog.close()
