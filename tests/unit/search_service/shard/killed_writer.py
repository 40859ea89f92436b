"""A process that writes to a shard and says what was acknowledged, until it is killed.

Run as `python -m tests.unit.search_service.shard.killed_writer DIRECTORY SEED`. Each
line on stdout is JSON: `["tried", …]` before a submission and `["done", …]` after.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

from search_service.domain.mutations import Delete, Mutation, UpdateMetadata, Upsert
from search_service.shard.options import ShardOptions
from search_service.shard.shard import STORE
from tests.unit.search_service.shard.kit import create, make_spec, random_units, reopen

DIMENSION = 8
VECTORS = random_units(64, DIMENSION, seed=5)
IDS = [f"id-{number}" for number in range(300)]
# Builds start early and the metadata index is saved all the time, so that kills meet
# them too.
OPTIONS = ShardOptions(
    head_limit=200,
    ballast_bytes=0,
    checkpoint_pages=50,
    filters_save_items=1,
    filters_save_s=0.01,
)


def main() -> None:
    directory, seed = Path(sys.argv[1]), int(sys.argv[2])
    made = (directory / STORE).exists()
    shard = reopen(directory, OPTIONS) if made else create(directory, make_spec(DIMENSION), OPTIONS)
    rng = random.Random(seed)
    say("open", [])
    while True:
        versions = shard.reserve_versions(16)
        changes = [(rng.choice(IDS), rng.choice("uuumd"), version) for version in versions]
        say("tried", changes)
        pending = [
            shard.submit([mutation(*change) for change in changes[:8]]),
            shard.submit([mutation(*change) for change in changes[8:]]),
        ]
        for future, some in zip(pending, (changes[:8], changes[8:]), strict=True):
            assert all(outcome.error is None for outcome in future.result(60))
            say("done", some)


def mutation(id: str, kind: str, version: int) -> Mutation:
    if kind == "u":
        return Upsert(id, VECTORS[version % len(VECTORS)], {"by": version}, version=version)
    if kind == "m":
        return UpdateMetadata(id, {"by": version}, version=version)
    return Delete(id, version=version)


def say(what: str, changes: list[tuple[str, str, int]]) -> None:
    sys.stdout.write(json.dumps([what, changes]) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
