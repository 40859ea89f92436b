"""What earlier releases knew of folders is read and written on; of later ones it is left alone."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from lookalike.wire.errors import InvalidField
from lookalike_client.syncing import state
from lookalike_client.syncing.state import State
from tests.golden import sync, writing

GOLDEN = sorted((writing.HERE / "client").glob("sync_state_*.json"))


def unpacked(golden: Path, folder: Path) -> Path:
    path = folder / "state.sqlite"
    path.write_bytes(writing.content(json.loads(golden.read_text())["state"]))
    return path


def test_each_version_has_a_golden_file() -> None:
    """Write one with `python -m tests.golden.sync`; those of earlier releases stay."""
    assert sync.name_of(state.FORMAT) in GOLDEN


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
def test_it_is_read_and_written_on(golden: Path, tmp_path: Path) -> None:
    path = unpacked(golden, tmp_path)
    changed = replace(sync.CLAIMS["p/a.jpg"], sha256="e" * 64)
    with closing(State(path)) as held:
        folder = held.folder(sync.COLLECTION, sync.ROOT, sync.PREFIX)
        assert not folder.is_new
        assert folder.was_mount()
        assert folder.claims() == sync.CLAIMS
        assert folder.moves() == {sync.MOVE.target: sync.MOVE}
        folder.claim([changed])
        folder.end_moves([sync.MOVE.target])
    with closing(State(path)) as held:
        folder = held.folder(sync.COLLECTION, sync.ROOT, sync.PREFIX)
        assert folder.claims() == {**sync.CLAIMS, "p/a.jpg": changed}
        assert folder.moves() == {}


def test_one_of_a_later_release_is_refused_in_one_line_and_left_as_it_is(tmp_path: Path) -> None:
    path = unpacked(sync.name_of(state.FORMAT), tmp_path)
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {state.FORMAT + 1}")
    before = path.read_bytes()

    with pytest.raises(InvalidField) as refused:
        State(path)

    said = f"format {state.FORMAT + 1}; this release reads {state.FORMAT}"
    assert said in refused.value.message
    assert "\n" not in refused.value.message
    assert path.read_bytes() == before
