"""A start from the saved metadata index answers as one that reads all metadata."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import apsw
import pytest
from pyroaring import BitMap

from search_service.domain.effects import MetadataChanged
from search_service.domain.items import Fields
from search_service.domain.metadata import Metadata
from search_service.domain.mutations import Delete, Mutation, UpdateMetadata, Upsert
from search_service.filters.text import parse_filter
from search_service.shard.metadata.filter_index import FILE
from search_service.shard.metadata.filter_log import (
    MOST_LISTED,
    FilterLog,
    read_saves,
    retold_since,
)
from search_service.shard.options import ShardOptions
from search_service.shard.shard import Shard
from search_service.store import schema
from tests.unit.search_service.shard.kill_check import python_path
from tests.unit.search_service.shard.kit import (
    SMALL,
    create,
    fill,
    make_spec,
    random_units,
    reopen,
    wait_until,
)

ITEMS = 400
VECTORS = random_units(ITEMS, 8)
AT_CLOSE = replace(SMALL, filters_save_items=1, filters_save_s=3_600.0)
NEVER = replace(SMALL, filters_save_items=10**9)
QUESTIONS = ("number < 150", "number >= 390", 'kind = "told"', "exists(kind)", "not exists(kind)")


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """The directory of a shard that was closed with its index saved."""
    directory = tmp_path / "shard"
    directory.mkdir()
    shard = create(directory, options=AT_CLOSE)
    fill(shard, VECTORS)
    shard.close()
    assert (directory / FILE).exists()
    return directory


def change(shard: Shard, seed: int) -> None:
    """Tell, replace, delete and add items; of some the same twice."""
    told: Metadata = {"kind": "told", "number": seed}
    mutations: list[Mutation] = [
        *(UpdateMetadata(f"item-{row}", told) for row in range(seed, seed + 30)),
        *(Upsert(f"item-{row}", VECTORS[row], {"kind": "new"}) for row in range(50, 60)),
        *(Delete(f"item-{row}") for row in range(seed + 20, seed + 40)),
        *(Upsert(f"new-{seed}-{row}", VECTORS[row], {"number": row}) for row in range(25)),
        *(UpdateMetadata(f"new-{seed}-{row}", told) for row in range(5)),
    ]
    for start in range(0, len(mutations), 7):
        for outcome in shard.submit(mutations[start : start + 7]).result(60):
            assert outcome.error is None


def answers(directory: Path) -> list[object]:
    """What a shard that is opened there says to filters; it leaves the file as it is."""
    shard = reopen(directory, NEVER)
    try:
        found: list[object] = []
        for question in QUESTIONS:
            filter = parse_filter(question)
            page = shard.list_items(filter=filter, after_id="", page_size=2_000, fields=Fields())
            found += [[item.id for item in page], shard.count(filter)]
        return [*found, shard.facets(("kind",), None, 10), shard.facets(("number",), None, 500)]
    finally:
        shard.close()


def check(directory: Path, caplog: pytest.LogCaptureFixture, *, used: bool) -> None:
    """Compare with a copy that has no file."""
    without = directory.with_name("without")
    shutil.copytree(directory, without)
    (without / FILE).unlink()
    expected = answers(without)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        assert answers(directory) == expected
    said = [record.getMessage() for record in caplog.records]
    assert ("metadata index read from its file" in said) is used
    assert any(text.startswith("the saved metadata index is left out") for text in said) is not used


def test_a_current_file_is_used(filled: Path, caplog: pytest.LogCaptureFixture) -> None:
    check(filled, caplog, used=True)


def test_a_file_that_lags_is_brought_up_to_date(
    filled: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for seed in (10, 200):
        shard = reopen(filled, NEVER)
        change(shard, seed)
        shard.close()
        check(filled, caplog, used=True)
        shutil.rmtree(filled.with_name("without"))


def test_a_save_that_failed_leaves_the_file_before_it_good(
    filled: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As after a kill between the moment of a save and its file."""
    (filled / f"{FILE}.tmp").mkdir()
    for seed in (10, 200):
        shard = reopen(filled, AT_CLOSE)
        change(shard, seed)
        shard.close()
    assert "the metadata index is not saved" in caplog.text
    (filled / f"{FILE}.tmp").rmdir()
    check(filled, caplog, used=True)


@pytest.mark.parametrize("step", [0, 1, 2])
def test_a_kill_at_any_step_of_a_save_leaves_a_file_that_is_right(
    filled: Path, step: int, caplog: pytest.LogCaptureFixture
) -> None:
    before = (filled / FILE).read_bytes()
    done = subprocess.run(
        [sys.executable, "-m", f"{__package__}.killed_saver", str(filled), str(step)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, python_path()))},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert (filled / f"{FILE}.tmp").exists() is (step == 1)
    assert ((filled / FILE).read_bytes() == before) is (step < 2)
    check(filled, caplog, used=True)


def test_half_a_temporary_file_does_no_harm(filled: Path, caplog: pytest.LogCaptureFixture) -> None:
    (filled / f"{FILE}.tmp").write_bytes((filled / FILE).read_bytes()[:999])
    check(filled, caplog, used=True)
    shard = reopen(filled, AT_CLOSE)
    change(shard, 100)
    shard.close()
    assert not (filled / f"{FILE}.tmp").exists()


def _damage(directory: Path) -> None:
    content = bytearray((directory / FILE).read_bytes())
    content[len(content) // 2] ^= 1
    (directory / FILE).write_bytes(content)


def _cut(directory: Path) -> None:
    content = (directory / FILE).read_bytes()
    (directory / FILE).write_bytes(content[: len(content) // 2])


def _put_back_an_older_one(directory: Path) -> None:
    older = (directory / FILE).read_bytes()
    for seed in (10, 150, 250):
        shard = reopen(directory, AT_CLOSE)
        change(shard, seed)
        shard.close()
    (directory / FILE).write_bytes(older)


def _take_that_of_another(directory: Path, uid: str) -> None:
    other = directory.with_name("other")
    other.mkdir()
    shard = create(other, replace(make_spec(), uid=uid), AT_CLOSE)
    fill(shard, VECTORS[::-1])
    shard.close()
    shutil.copy(other / FILE, directory / FILE)


@pytest.mark.parametrize(
    "spoil",
    [
        _damage,
        _cut,
        _put_back_an_older_one,
        lambda directory: _take_that_of_another(directory, "uid-2"),
        lambda directory: _take_that_of_another(directory, "uid-1"),
    ],
    ids=["damaged", "cut", "older", "of another collection", "of another store"],
)
def test_a_file_that_does_not_fit_is_left_out(
    filled: Path, spoil: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    spoil(filled)
    check(filled, caplog, used=False)


def test_a_store_that_was_put_back_does_not_take_a_later_file(
    filled: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = (filled / "store.db").read_bytes()
    shard = reopen(filled, AT_CLOSE)
    change(shard, 10)
    shard.close()
    (filled / "store.db").write_bytes(store)
    shard = reopen(filled, NEVER)
    change(shard, 300)
    shard.close()
    check(filled, caplog, used=False)


def test_writes_during_a_start_are_in_the_index(
    filled: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for seed in range(60, 340, 40):
        shard = reopen(filled, NEVER)
        change(shard, seed)
        told = {f"item-{row}" for row in range(seed, seed + 20)}
        page = shard.list_items(
            filter=parse_filter(f"number = {seed}"), after_id="", page_size=900, fields=Fields()
        )
        assert told <= {item.id for item in page}
        shard.close()
    check(filled, caplog, used=True)


def test_the_file_is_written_in_the_background(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "shard"
    directory.mkdir()
    options: ShardOptions = replace(SMALL, filters_save_items=1, filters_save_s=0.02)
    shard = create(directory, options=options)
    fill(shard, VECTORS)
    wait_until((directory / FILE).exists)
    before = (directory / FILE).stat().st_ino
    change(shard, 10)
    wait_until(lambda: (directory / FILE).stat().st_ino != before)
    shard.close()
    check(directory, caplog, used=True)


def test_few_items_have_no_file(tmp_path: Path) -> None:
    shard = create(tmp_path, options=SMALL)
    fill(shard, VECTORS)
    shard.close()
    assert not (tmp_path / FILE).exists()


def test_what_is_listed_is_bounded(tmp_path: Path) -> None:
    db = schema.create(tmp_path / "store.db", make_spec(), "")
    log = FilterLog(db)
    save = log.begin(db)
    log.saved = save.token
    log.record(db, [MetadataChanged(7, {}, {})])
    assert retold_since(db, save) == BitMap([7])
    many = [MetadataChanged(ordinal, {}, {}) for ordinal in range(MOST_LISTED - 1)]
    log.record(db, many)
    assert read_saves(db) == [save]
    assert len(retold_since(db, save)) == MOST_LISTED - 1
    again = FilterLog(db)  # as at the next start
    again.record(db, [MetadataChanged(8, {}, {})])
    assert read_saves(db) == []
    assert _keys(db) == 0
    later = again.begin(db)
    assert later.sequence > save.sequence
    db.close()


def _keys(db: apsw.Connection) -> int:
    return int(db.execute("SELECT count(*) FROM meta WHERE key GLOB 'filters.retold.*'").get)
