"""One content, one snapshot."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from search_service.snapshots.manifest import STORE
from tests.unit.search_service.snapshots.rig import (
    NAME,
    Rig,
    content,
    nothing_half_made,
    opened,
    whole_archive,
)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with opened(tmp_path) as ready:
        yield ready


def test_the_same_content_is_one_snapshot_everywhere(rig: Rig, tmp_path: Path) -> None:
    data = whole_archive(rig)
    (taken,) = rig.snapshots.list()
    assert rig.snapshots.upload(iter([data])) == (taken, True)
    assert rig.snapshots.list() == [taken]
    with opened(tmp_path / "other") as other:
        assert other.snapshots.upload(iter([data])) == (taken, False)
        assert other.snapshots.upload(iter([data])) == (taken, True)
    with opened(tmp_path / "other") as other:
        assert other.snapshots.list() == [taken]
        other.snapshots.delete(taken.id)
        assert other.snapshots.upload(iter([data])) == (taken, False)
    assert rig.snapshots.create(NAME).id != taken.id


def test_a_snapshot_that_is_damaged_is_mended_by_an_upload(rig: Rig, tmp_path: Path) -> None:
    data = whole_archive(rig)
    (taken,) = rig.snapshots.list()
    store = tmp_path / "snapshots" / taken.id / STORE
    with store.open("r+b") as file:
        file.seek(store.stat().st_size // 2)
        file.write(b"damage")
    assert rig.snapshots.upload(iter([data])) == (taken, False)
    rig.snapshots.restore(taken.id, "restored")
    assert content(rig.shard("restored")) == content(rig.shard())
    assert nothing_half_made(tmp_path, rig)
