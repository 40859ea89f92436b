"""When a folder is not to be believed."""

import os
from pathlib import Path

import pytest

from lookalike_client.syncing.errors import SyncRefused
from lookalike_client.syncing.guard import check_folder, look_for, too_many
from lookalike_client.syncing.state import Claim, State


@pytest.mark.parametrize(
    ("removed", "of", "share", "allowed"),
    [
        (0, 0, 0.2, True),
        (20, 100, 0.2, True),
        (21, 100, 0.2, False),
        (5, 10, 0.2, True),
        (5, 9, 0.2, False),
        (6, 12, 0.2, False),
        (1, 1, 0.2, False),
        (60, 100, 0.6, True),
        (99, 100, 1.0, True),
    ],
)
def test_a_share_may_go_and_few_may(removed: int, of: int, share: float, allowed: bool) -> None:
    assert (too_many(removed, of, files=max(1, of - removed), share=share) == "") is allowed


def test_an_empty_folder_needs_to_be_allowed_as_a_whole() -> None:
    assert "no image" in too_many(3, 3, files=0, share=0.99)
    assert too_many(3, 3, files=0, share=1.0) == ""


def test_a_folder_is_refused_that_is_no_folder_or_not_mounted(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check_folder(tmp_path, was_mount=False)
    for path, was_mount, why in (
        (tmp_path / "none", False, "not there"),
        (tmp_path / "file", False, "no folder"),
        (tmp_path, True, "not mounted"),
    ):
        with pytest.raises(SyncRefused, match=why):
            check_folder(path, was_mount=was_mount)


def test_gone_kept_and_unmounted_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "there.txt").touch()
    (tmp_path / "disk").mkdir()
    claims = [Claim(name, name, "sha") for name in ("gone.jpg", "there.txt", "no/folder.jpg")]

    found = look_for(tmp_path, claims)

    assert (sorted(found.ids), found.kept) == (["gone.jpg", "no/folder.jpg"], ["there.txt"])
    with pytest.raises(SyncRefused, match="not mounted"):
        look_for(tmp_path, [Claim("disk/a.jpg", "disk/a.jpg", "sha", is_nested=True)])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look everywhere")
def test_what_cannot_be_looked_at_is_not_gone(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0)
    found = look_for(tmp_path, [Claim("locked/a.jpg", "locked/a.jpg", "sha")])
    assert (found.ids, found.unreadable) == ([], ["locked/a.jpg"])


def test_folders_that_share_a_state_know_of_each_other(tmp_path: Path) -> None:
    state = State(tmp_path / "state" / "sync.sqlite")
    one = state.folder("uid", tmp_path / "one", "")
    two = state.folder("uid", tmp_path / "two", "")
    elsewhere = state.folder("other", tmp_path / "three", "")
    one.remember(is_mount=False)
    one.claim([Claim("a", "a", "A", "", True), Claim("b", "b", "B")])

    assert two.of_others(["a", "b", "c"]) == {"a": tmp_path / "one", "b": tmp_path / "one"}
    assert one.of_others(["a"]) == elsewhere.of_others(["a"]) == {}
    with one.locked(), two.locked(), pytest.raises(SyncRefused, match="running"), one.locked():
        pass
    two.remember(is_mount=True)
    two.release(["a"])
    assert set(one.claims()) == {"b"}
    state.close()
    again = State(tmp_path / "state" / "sync.sqlite")
    folder = again.folder("uid", tmp_path / "one", "")
    assert (folder.is_new, folder.was_mount()) == (False, False)
    assert folder.claims()["b"] == Claim("b", "b", "B")
    again.close()
