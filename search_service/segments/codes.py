"""Vectors in the form that graphs are built on, as loops compare them.

A graph's file holds those of its nodes. A large segment that has no graph yet has
them in a file of their own: to scan them reads a fraction of what its rows take.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from search_service.compiled.addresses import address_of, aligned
from search_service.compiled.metric import Metric, as_scalars, exact_product
from search_service.compiled.nearest import nearest_exactly
from search_service.compiled.nibbles import LEVELS_A_STEP
from search_service.compiled.walk import compare_some
from search_service.domain.arrays import F32, I8, I64, U8
from search_service.domain.collection import Dtype
from search_service.segments.encoder import Encoder
from search_service.segments.errors import SegmentDamaged
from search_service.segments.rows import RowMatrix

# Rows that a scan compares exactly at a time, and how far from the best the next one must be,
# in standard deviations of what the compact form says less than the whole. Of 100,000 x 512,
# 256 bytes each, shares of 1 to 50 % at random, near and far: recall@10 .994 to 1.0 with 2 of
# them (38 rows compared), .9995 to 1.0 with 3 (35 to 135), 1.0 with 4 (46 to 279).
_BLOCK = 32
_DEVIATIONS = 4.0


def uses_inner_product(dtype: Dtype, *, reduced: bool) -> bool:
    """Say how vectors are compared: by inner product, or by squared distance.

    Unit vectors use the inner product, the same order and faster, but not as i8 or i4,
    where rounding leaves them with unequal norms.
    """
    return not reduced and dtype not in (Dtype.I8, Dtype.I4)


def metric_of(dtype: Dtype, width: int, *, reduced: bool) -> Metric:
    """Return what compares vectors of `width` components."""
    return Metric.of(dtype, width, inner_product=uses_inner_product(dtype, reduced=reduced))


@dataclass(frozen=True, slots=True, eq=False)
class Codec:
    """A segment's compact form, for rows that are not in it; a `CodecApi`."""

    encoder: Encoder
    dtype: Dtype
    metric: Metric

    @staticmethod
    def of(encoder: Encoder, dtype: Dtype) -> Codec:
        """Return the form that `encoder` and the type of a graph's scalars make."""
        return Codec(encoder, dtype, metric_of(dtype, encoder.width, reduced=encoder.reduces))

    @property
    def width_bytes(self) -> int:
        """See `CodecApi`."""
        return self.metric.width_bytes

    @property
    def pays(self) -> bool:
        """Whether it takes at most half of what rows take."""
        return pays(self.metric, len(self.encoder.mean))

    def encode(self, vectors: F32) -> U8:
        """See `CodecApi`."""
        return as_scalars(self.encoder.encode(vectors), self.dtype)

    def nearest_of(self, codes: U8, nodes: I64, encoded: U8, count: int) -> I64:
        """See `CodecApi`."""
        return _nearest(self.metric, address_of(codes), nodes, encoded, count)


def pays(metric: Metric, dimension: int) -> bool:
    """Say whether vectors of `dimension` take at most half of their float32 in that form."""
    return 2 * metric.width_bytes <= 4 * dimension


class Codes:
    """Nodes 0 … N-1, encoded; all methods may run at the same time."""

    def __init__(self, codes: U8, metric: Metric, dtype: Dtype) -> None:
        """Use `codes`, uint8 [N, bytes of a vector], which are not changed any more."""
        self._codes = codes
        self._dtype = dtype
        self.metric = metric
        self.address = address_of(codes)

    @staticmethod
    def read(path: Path, nodes: int, encoder: Encoder, dtype: Dtype) -> Codes:
        """Read a verified file of `nodes` vectors into memory.

        Raises:
            SegmentDamaged: it does not hold as many.
        """
        metric = metric_of(dtype, encoder.width, reduced=encoder.reduces)
        codes = aligned((nodes, metric.width_bytes), np.uint8)
        with path.open("rb") as file:
            if file.readinto(codes.data) != codes.nbytes or file.read(1):
                raise SegmentDamaged(f"{path.name}: does not fit its manifest")
        return Codes(codes, metric, dtype)

    def __len__(self) -> int:
        return len(self._codes)

    @property
    def nbytes(self) -> int:
        """What they take of memory."""
        return self._codes.nbytes

    def scalars(self, queries: F32 | I8) -> U8:
        """Return encoded queries, [B, width], as they are compared."""
        return as_scalars(queries, self._dtype)

    def nearest_exactly(
        self, nodes: I64, encoder: Encoder, rows: RowMatrix, queries: F32, count: int, most: int
    ) -> tuple[I64, F32]:
        """Compare `nodes`, int64 [n], in this form, and the nearest of them exactly.

        As many as it takes to have the best `count`, and `most` a query. Returns those
        that were, nodes int64 [B, C], padded with -1, and cosines float32 [B, C], padded
        with -inf. `queries` is float32 [B, D], unit L2.
        """
        most = min(most, len(nodes))
        found = np.empty((len(queries), most), dtype=np.int64)
        scores = np.empty((len(queries), most), dtype=np.float32)
        scalars = self.scalars(encoder.encode(queries))
        step = encoder.quantum * (LEVELS_A_STEP if self._dtype is Dtype.I4 else 1)
        compared = nearest_exactly(
            self.metric,
            self.address,
            nodes,
            address_of(scalars),
            step * step,
            _product(),
            address_of(rows.array),
            address_of(queries),
            queries.shape[1],
            min(count, most),
            _BLOCK,
            _DEVIATIONS,
            rows.advise,
            mmap.PAGESIZE,
            found,
            scores,
        )
        return found[:, :compared], scores[:, :compared]


@cache
def _product() -> int:
    return exact_product()


def _nearest(metric: Metric, address: int, nodes: I64, scalars: U8, count: int) -> I64:
    found = np.empty((len(scalars), count), dtype=np.int64)
    compare_some(metric, address, nodes, address_of(scalars), found)
    return found
