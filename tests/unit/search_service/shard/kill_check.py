"""Kills `killed_writer` again and again, and compares the store with what it said."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from pathlib import Path

from search_service.domain.conditions import Range
from search_service.domain.items import Fields, StoredItem
from search_service.domain.queries import QueryRequest
from search_service.shard.shard import Shard
from tests.unit.search_service.shard.killed_writer import VECTORS
from tests.unit.search_service.shard.kit import SMALL, reopen

ROOT = Path(__file__).parents[4]


class KillCheck:
    """Remembers, over all rounds, what was tried and what was acknowledged."""

    def __init__(self, directory: Path, seed: int) -> None:
        self._directory = directory
        self._random = random.Random(seed)
        self._tried: dict[str, dict[int, str]] = defaultdict(dict)
        self._done: dict[str, set[int]] = defaultdict(set)
        self.acknowledged = 0

    def kill_once(self, least_s: float, most_s: float) -> None:
        """Run the writer for a random time and kill it with SIGKILL."""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, python_path()))}
        child = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.unit.search_service.shard.killed_writer",
                str(self._directory),
                str(self._random.randrange(2**31)),
            ],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert child.stdout is not None
        assert json.loads(child.stdout.readline())[0] == "open"
        timer = threading.Timer(
            self._random.uniform(least_s, most_s), child.send_signal, (signal.SIGKILL,)
        )
        timer.start()
        for line in child.stdout:
            if line.endswith("\n"):
                self._note(*json.loads(line))
        timer.join()
        child.stdout.close()
        assert child.wait() == -signal.SIGKILL

    def check(self) -> int:
        """Open the store and compare; return how many items there are."""
        shard = reopen(self._directory, SMALL)
        try:
            return self._compare(shard)
        finally:
            shard.close()

    def _note(self, what: str, changes: list[tuple[str, str, int]]) -> None:
        for id, kind, version in changes:
            if what == "tried":
                self._tried[id][version] = kind
            else:
                self._done[id].add(version)
                self.acknowledged += 1

    def _compare(self, shard: Shard) -> int:
        page = shard.list_items(
            filter=None, after_id="", page_size=10_000, fields=Fields(metadata=True, vector=True)
        )
        items = {item.id: item for item in page}
        assert len(items) == shard.count(None)
        for id, tried in self._tried.items():
            item = items.get(id)
            assert item is not None or self._may_be_absent(id), f"{id} was lost"
            if item is None:
                continue
            assert item.vector is not None
            assert item.metadata is not None
            by = item.metadata["by"]
            assert tried[int(str(by))] in "um"
            done = {v: tried[v] for v in self._done[id]}
            newest_metadata = max((v for v, k in done.items() if k in "um"), default=0)
            assert int(str(by)) >= newest_metadata, f"{id}: its metadata went back"
            newest_vector = max((v for v, k in done.items() if k == "u"), default=0)
            assert any(
                item.vector.tolist() == VECTORS[version % len(VECTORS)].tolist()
                for version, kind in tried.items()
                if kind == "u" and version >= newest_vector
            ), f"{id}: its vector went back"
            assert not self._must_be_absent(id), f"{id} came back"
            hits = shard.query(QueryRequest(item.vector[None, :], limit=300)).result(30)[0].hits
            assert id in {hit.id for hit in hits if hit.score >= 0.9999}, f"{id} is not found"
        _check_filters(shard, items)
        return len(items)

    def _may_be_absent(self, id: str) -> bool:
        """Whether some choice among what was tried and not acknowledged leaves no item."""
        upserts = [v for v in self._done[id] if self._tried[id][v] == "u"]
        deletes = [v for v, kind in self._tried[id].items() if kind == "d"]
        return not upserts or max(deletes, default=0) > max(upserts)

    def _must_be_absent(self, id: str) -> bool:
        upserts = [v for v, kind in self._tried[id].items() if kind == "u"]
        deletes = [v for v in self._done[id] if self._tried[id][v] == "d"]
        return max(deletes, default=0) > max(upserts, default=0)


def _check_filters(shard: Shard, items: dict[str, StoredItem]) -> None:
    """Compare what filters find with what the items hold."""
    by = {id: float(str(item.metadata["by"])) for id, item in items.items() if item.metadata}
    ordered = sorted(by.values())
    for bound in ordered[:: max(1, len(ordered) // 20)]:
        page = shard.list_items(
            filter=Range(("by",), at_least=bound),
            after_id="",
            page_size=10_000,
            fields=Fields(metadata=True),
        )
        assert {item.id for item in page} == {id for id, held in by.items() if held >= bound}


def python_path() -> list[Path]:
    """Where the child finds what this process imports."""
    return [ROOT, ROOT / "protos", ROOT / "client"]
