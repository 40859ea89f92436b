"""Finds byte-equal rows while a segment is built."""

from __future__ import annotations

import numpy as np

from search_service.domain.arrays import F32, I64, U64

_SEED = 0x5EED  # fixed: digests are kept in files


def digest_rows(rows: F32) -> U64:
    """Return a 64-bit multilinear hash of each row, uint64 [n].

    Equal bytes give equal digests; the opposite is checked on the bytes.
    """
    words = np.ascontiguousarray(rows, dtype="<f4").view(np.uint32)
    factors = np.random.default_rng(_SEED).integers(
        0, 2**63, size=words.shape[1], dtype=np.uint64
    ) * np.uint64(2) + np.uint64(1)
    digests: U64 = np.einsum("nd,d->n", words.astype(np.uint64), factors)
    return digests


class DigestIndex:
    """Digest → node, in sorted runs of growing size: 16 bytes a node, no hashing."""

    def __init__(self) -> None:
        self._runs: list[tuple[U64, I64]] = []

    def add(self, digests: U64, nodes: I64) -> None:
        """Add digests that are not in it yet."""
        if not len(digests):
            return
        order = np.argsort(digests)
        run = (digests[order], nodes[order])
        while self._runs and len(self._runs[-1][0]) <= 2 * len(run[0]):
            run = _merge(self._runs.pop(), run)
        self._runs.append(run)

    def find(self, digests: U64) -> I64:
        """Return the node of each digest, -1 where there is none: int64 [n]."""
        found = np.full(len(digests), -1, dtype=np.int64)
        for known, nodes in self._runs:
            places = np.minimum(np.searchsorted(known, digests), len(known) - 1)
            hit = known[places] == digests
            found[hit] = nodes[places[hit]]
        return found


def _merge(left: tuple[U64, I64], right: tuple[U64, I64]) -> tuple[U64, I64]:
    digests = np.concatenate([left[0], right[0]])
    nodes = np.concatenate([left[1], right[1]])
    order = np.argsort(digests, kind="stable")
    return digests[order], nodes[order]
