"""Matching a million PDQ hashes, and what it costs to make one (bank.1 to bank.3)."""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from embedder_service.decode.pdq import pdq_hash
from lookalike.v1.image_pb2 import ImageFacts
from lookalike.wire.vectors import normalise
from search_service.banks.item_hashes import ItemHashes
from search_service.banks.matrix import HashMatrix
from search_service.domain.mutations import Upsert
from tests.bench.report import Report
from tests.hostile.files import photo
from tests.unit.search_service.shard.kit import STILL, create

_TIMES = 50
_DISTANCE = 31
_STORED_AT_ONCE = 1_000
# Facts of a photograph have about so many bytes, most of them its grey picture.
_GREY_BYTES = 1_100


def measure(report: Report, count: int, stored: int) -> None:
    """Scan `count` hashes; read those of `stored` items; hash pictures of two sizes."""
    rng = np.random.default_rng(2)
    hashes = [rng.bytes(32) for _ in range(count)]
    matrix = HashMatrix.empty().extended(hashes)
    asked = hashes[count // 2]
    assert matrix.near(asked, _DISTANCE)[0].tolist() == [count // 2]
    what = f"one hash among {count:,}, all compared, median"
    report.at_most("bank.1", what, _median_ms(lambda: matrix.near(asked, _DISTANCE)), "ms", 20)
    _read(report, stored)
    for side_px in (500, 1_000):
        picture = photo(random.Random(1), side_px, side_px * 3 // 4)
        with threadpool_limits(limits=1, user_api="blas"):  # as in the decode processes
            spent = _median_ms(partial(pdq_hash, picture, *picture.size))
        what = f"a PDQ hash of {picture.width} x {picture.height} px, median"
        report.stated(f"bank.3.{side_px}", what, spent, "ms")


def _read(report: Report, stored: int) -> None:
    rng = np.random.default_rng(3)
    with tempfile.TemporaryDirectory() as directory:
        shard = create(Path(directory), options=STILL)
        for start in range(0, stored, _STORED_AT_ONCE):
            versions = shard.reserve_versions(_STORED_AT_ONCE)
            vectors = rng.normal(size=(_STORED_AT_ONCE, 8)).astype(np.float32)
            mutations = [
                Upsert(
                    id=str(start + n),
                    version=version,
                    vector=normalise(vectors[n], field="v"),
                    facts=ImageFacts(
                        pdq_hash=rng.bytes(32), pdq_quality=100, grey_webp=rng.bytes(_GREY_BYTES)
                    ).SerializeToString(),
                )
                for n, version in enumerate(versions)
            ]
            shard.submit(mutations).result(60)
        items = ItemHashes(shard)
        started = time.perf_counter()
        items.near(bytes(32), _DISTANCE, 5)
        seconds = time.perf_counter() - started
        assert items.counts().matched == stored
        shard.close()
    report.stated("bank.2", f"the first match after a start, {stored:,} items", seconds, "s")


def _median_ms(call: Callable[[], object]) -> float:
    spent = []
    for _ in range(_TIMES):
        started = time.perf_counter()
        call()
        spent.append(time.perf_counter() - started)
    return 1_000 * statistics.median(spent)
