"""Settings of a collection that are changed by several callers at a time."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from search_service.domain.collection import (
    DuplicatePolicy,
    DuplicateSettings,
    SettingsChange,
)
from search_service.domain.mutations import Upsert
from tests.unit.search_service.shard.faulty_disk import faulty_disk
from tests.unit.search_service.shard.kit import SMALL, create, reopen, unit

ROUNDS = 40  # a change was lost in about one of twenty


def test_changes_of_different_settings_at_a_time_all_stay(tmp_path: Path) -> None:
    with faulty_disk() as disk, ThreadPoolExecutor(2) as callers:
        shard = create(tmp_path, options=replace(SMALL, vfs=disk.name))
        for number in range(1, ROUNDS + 1):
            disk.synced_when.clear()
            holding = shard.submit([Upsert("a", unit(1, *[0] * 7))])
            both = threading.Barrier(3)

            def change(
                duplicates: DuplicateSettings | None,
                expansion: int | None,
                both: threading.Barrier = both,
            ) -> None:
                both.wait(60)
                shard.update_settings(SettingsChange(duplicates, expansion))

            wanted = DuplicateSettings(DuplicatePolicy.FLAG, 1 - number / 100)
            changes = [callers.submit(change, wanted, None)]
            changes.append(callers.submit(change, None, 64 + number))
            both.wait(60)
            time.sleep(0.01)  # both wait for the writer, which waits for the disk
            disk.synced_when.set()
            for one in changes:
                one.result(60)

            assert holding.result(60)[0].error is None
            assert shard.spec.duplicates == wanted
            assert shard.spec.index.expansion_search == 64 + number
        spec = shard.spec
        shard.close()
        again = reopen(tmp_path)
        assert again.spec == spec
        again.close()
