"""Vectors to search and queries to search with: generated, or from a file."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lookalike.wire.vectors import F32
from tests.bench.search.dataset import HardVectors
from tests.bench.search.options import Options
from tests.bench.search.peers.environment import Missing, python_of

I64 = npt.NDArray[np.int64]

# 1,000 queries against a block give 200 MB of scores.
_BLOCK_ROWS = 50_000
# Rows beyond the end of a file are made as e1 + 0.6 (e2 - e3), scaled to unit length.
_MIX = 0.6

_CONVERT = """
import sys, h5py, numpy as np
with h5py.File(sys.argv[1], "r") as file:
    np.save(sys.argv[2], np.asarray(file["train"], dtype=np.float32))
    np.save(sys.argv[3], np.asarray(file["test"], dtype=np.float32))
"""


class Source(Protocol):
    """Endless unit vectors, and queries that are not among them."""

    @property
    def dimension(self) -> int:
        """Length of the vectors."""

    def rows(self, start: int, stop: int) -> F32:
        """Return the vectors `start` to `stop`, float32 [stop - start, D]."""

    def queries(self, count: int) -> F32:
        """Return float32 [count, D] that are not among the rows."""


@dataclass(frozen=True)
class FileVectors:
    """The vectors of a file, scaled to unit length; past its end, mixtures of them."""

    stored: F32
    held_out: F32

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        return int(self.stored.shape[1])

    def rows(self, start: int, stop: int) -> F32:
        """Return rows of the file, then mixtures."""
        end = min(stop, len(self.stored))
        real = _unit(np.asarray(self.stored[start:end])) if start < end else None
        first_made = max(start, len(self.stored))
        if first_made >= stop:
            assert real is not None  # the range is not empty and ends within the file
            return real
        made = np.stack([self._mixture(place) for place in range(first_made, stop)])
        return made if real is None else np.concatenate([real, made])

    def queries(self, count: int) -> F32:
        """Return up to `count` held-out vectors."""
        return _unit(np.asarray(self.held_out[:count]))

    def _mixture(self, place: int) -> F32:
        picks = np.random.default_rng([3, place]).integers(0, len(self.stored), 3)
        one, two, three = _unit(np.asarray(self.stored[picks]))
        mixed: F32 = _unit((one + _MIX * (two - three))[None])[0]
        return mixed


@dataclass(frozen=True)
class Dataset:
    """`base` float32 [N, D] in a memory-mapped file, `queries` float32 [Q, D]."""

    source: Source
    base_path: Path
    queries_path: Path

    @cached_property
    def base(self) -> F32:
        """The vectors of the set."""
        mapped: F32 = np.load(self.base_path, mmap_mode="r")
        return mapped

    @cached_property
    def queries(self) -> F32:
        """Vectors that are not in the set."""
        loaded: F32 = np.load(self.queries_path)
        return loaded

    @cached_property
    def truth(self) -> I64:
        """The exact 100 nearest of each query, int64 [Q, 100]."""
        return nearest(self.base, self.queries, 100)


def prepare(options: Options) -> Dataset:
    """Write the vectors of a run below `options.work`, and return them."""
    options.work.mkdir(parents=True, exist_ok=True)
    source = _open(options)
    base_path, queries_path = options.work / "base.npy", options.work / "queries.npy"
    shape = (options.count, source.dimension)
    out = np.lib.format.open_memmap(base_path, mode="w+", dtype=np.float32, shape=shape)
    for start in range(0, options.count, _BLOCK_ROWS):
        stop = min(start + _BLOCK_ROWS, options.count)
        out[start:stop] = source.rows(start, stop)
    out.flush()
    np.save(queries_path, source.queries(options.queries))
    return Dataset(source, base_path, queries_path)


def nearest(base: F32, queries: F32, count: int) -> I64:
    """Return the exact nearest rows of `base` by inner product, int64 [Q, count]."""
    best = np.full((len(queries), count), -np.inf, dtype=np.float32)
    rows = np.full((len(queries), count), -1, dtype=np.int64)
    for start in range(0, len(base), _BLOCK_ROWS):
        scores = queries @ np.asarray(base[start : start + _BLOCK_ROWS]).T
        here = min(count, scores.shape[1])
        top = np.argpartition(-scores, here - 1, axis=1)[:, :here]
        best = np.concatenate([best, np.take_along_axis(scores, top, axis=1)], axis=1)
        rows = np.concatenate([rows, top + start], axis=1)
        order = np.argsort(-best, axis=1, kind="stable")[:, :count]
        best, rows = np.take_along_axis(best, order, 1), np.take_along_axis(rows, order, 1)
    return rows


def recall(found: I64, truth: I64, count: int) -> float:
    """Return the mean share of the first `count` true neighbours that was found."""
    hits = sum(
        len(np.intersect1d(mine[:count], true[:count]))
        for mine, true in zip(found, truth, strict=True)
    )
    return hits / (count * len(truth))


def _open(options: Options) -> Source:
    if options.file is None:
        return HardVectors(options.dimension)
    if options.file.suffix == ".npy":
        stored: F32 = np.load(options.file, mmap_mode="r")
        split = max(len(stored) - options.queries, 1)
        return FileVectors(stored[:split], stored[split:])
    return _open_hdf5(options.file, options.work)


def _open_hdf5(path: Path, work: Path) -> FileVectors:
    """Read an ann-benchmarks file through the peers' environment, which has h5py."""
    train, test = work / "train.npy", work / "test.npy"
    arguments = [str(python_of("peers")), "-c", _CONVERT, str(path), str(train), str(test)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Missing(f"{path.name} cannot be read: {done.stderr.strip().splitlines()[-1]}")
    return FileVectors(np.load(train, mmap_mode="r"), np.load(test))


def _unit(rows: F32) -> F32:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: F32 = (rows / np.maximum(norms, 1e-30)).astype(np.float32)
    return scaled
