from __future__ import annotations

import numpy as np

from search_service.segments.building.digests import DigestIndex, digest_rows
from tests.unit.search_service.segments.support import unit_vectors


def test_digests_differ_exactly_where_bytes_do() -> None:
    rows = unit_vectors(5_000)
    rows[10] = rows[4_000]
    rows[11] = rows[10]
    rows[11, 3] = np.nextafter(rows[11, 3], np.float32(2.0))
    digests = digest_rows(rows)
    assert digests[10] == digests[4_000]
    assert len(np.unique(digests)) == 4_999
    assert np.array_equal(digest_rows(rows[7:9]), digests[7:9])


def test_the_index_finds_what_was_added_in_many_runs() -> None:
    rng = np.random.default_rng(1)
    digests = rng.choice(2**62, size=10_000, replace=False).astype(np.uint64)
    index = DigestIndex()
    for start in range(0, 9_000, 700):
        stop = min(start + 700, 9_000)
        index.add(digests[start:stop], np.arange(start, stop))
    expected = np.where(np.arange(10_000) < 9_000, np.arange(10_000), -1)
    shuffled = rng.permutation(10_000)
    assert np.array_equal(index.find(digests[shuffled]), expected[shuffled])
    assert (DigestIndex().find(digests[:3]) == -1).all()
