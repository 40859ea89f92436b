from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import apsw

from search_service.shard.shard import STORE
from search_service.store.wal import Wal
from tests.unit.search_service.shard.kit import SMALL, create, fill, random_units, wait_until

VECTORS = random_units(500, 8)
ROW = ("x" * 1_000,)


def opened(path: Path) -> apsw.Connection:
    db = apsw.Connection(str(path))
    db.execute("PRAGMA journal_mode=WAL").fetchall()
    db.execute("PRAGMA wal_autocheckpoint=0").fetchall()
    db.execute("CREATE TABLE IF NOT EXISTS t (x)")
    return db


def test_an_idle_store_gives_the_room_of_its_log_back(tmp_path: Path) -> None:
    shard = create(tmp_path, options=replace(SMALL, idle_checkpoint_s=0.2))
    log = tmp_path / f"{STORE}-wal"
    fill(shard, VECTORS)
    wait_until(lambda: log.stat().st_size == 0)
    fill(shard, VECTORS[:5], first=500)
    assert log.stat().st_size > 0
    wait_until(lambda: log.stat().st_size == 0)
    assert shard.count(None) == 505
    shard.close()


def test_a_reader_keeps_the_log_and_delays_nobody(tmp_path: Path) -> None:
    path = tmp_path / "db"
    db, reader = opened(path), apsw.Connection(str(path))
    log = path.with_name("db-wal")
    wal = Wal(db, due_pages=10)
    db.execute("INSERT INTO t VALUES (?)", ROW)
    reading = reader.execute("SELECT x FROM t")
    next(reading)
    db.execute("INSERT INTO t VALUES (?)", ROW)
    assert not wal.empty()
    assert log.stat().st_size > 0
    reading.close()
    assert wal.empty()
    assert log.stat().st_size == 0
    assert wal.empty(), "there is nothing to do twice"
    db.close()
    reader.close()


def test_a_log_is_folded_once_it_is_long_enough(tmp_path: Path) -> None:
    path = tmp_path / "db"
    db = opened(path)
    wal = Wal(db, due_pages=10)
    before = path.stat().st_size
    db.execute("INSERT INTO t VALUES (?)", ROW)
    wal.fold_if_due()
    assert path.stat().st_size == before
    for _ in range(60):
        db.execute("INSERT INTO t VALUES (?)", ROW)
    wal.fold_if_due()
    assert path.stat().st_size > before
    db.close()
