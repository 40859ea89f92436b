"""Distances between encoded vectors, by NumKong's kernels: those that usearch builds with.

They are called by address from compiled loops, and are the fastest that the
processor has instructions for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numkong
import numpy as np
import numpy.typing as npt

from search_service.compiled.intrinsics import call_metric
from search_service.compiled.jit import inlined
from search_service.compiled.nibbles import as_nibbles
from search_service.domain.arrays import F32, F64, I8, I32, U8
from search_service.domain.collection import Dtype

# What a kernel leaves: a squared distance as uint32 (of int8 and int4), float32 (of float16 and
# bfloat16) or float64 (of float32); an inner product as float32 or float64. NumKong
# 7.8.6, held by tests/unit/search_service/compiled/test_metric.py.
SQUARED_U32, SQUARED_F32, SQUARED_F64, PRODUCT_F32, PRODUCT_F64 = range(5)

# NumKong's annotations list the names of types; these come from a table.
_inner: Callable[[str], int] = cast(Any, numkong.pointer_to_inner)
_squared: Callable[[str], int] = cast(Any, numkong.pointer_to_sqeuclidean)
_NAMES = {
    Dtype.F32: "float32",
    Dtype.F16: "float16",
    Dtype.BF16: "bf16",
    Dtype.I8: "int8",
    Dtype.I4: "int4",
}
_SQUARED = {
    Dtype.F32: SQUARED_F64,
    Dtype.F16: SQUARED_F32,
    Dtype.BF16: SQUARED_F32,
    Dtype.I8: SQUARED_U32,
    Dtype.I4: SQUARED_U32,
}
_PRODUCT = {Dtype.F32: PRODUCT_F64, Dtype.F16: PRODUCT_F32, Dtype.BF16: PRODUCT_F32}
_BITS = {Dtype.F32: 32, Dtype.F16: 16, Dtype.BF16: 16, Dtype.I8: 8, Dtype.I4: 4}


class Metric(NamedTuple):
    """A kernel, what it leaves, and what it compares: `width` scalars in `width_bytes`."""

    function: int
    result: int
    width: int
    width_bytes: int

    @staticmethod
    def of(dtype: Dtype, width: int, *, inner_product: bool) -> Metric:
        """Return squared distance, or the inner product, of vectors of `width` scalars.

        The inner product is for unit vectors: its order is that of the distances.
        """
        find = _inner if inner_product else _squared
        result = _PRODUCT[dtype] if inner_product else _SQUARED[dtype]
        width_bytes = (width * _BITS[dtype] + 7) // 8
        # What fills up a last byte is 0 in all vectors, and may as well be compared.
        compared = 8 * width_bytes // _BITS[dtype]
        return Metric(int(find(_NAMES[dtype])), result, compared, width_bytes)


def exact_product() -> int:
    """Return the address of the inner product of float32 vectors, summed in float64."""
    return int(_inner("float32"))


def as_scalars(vectors: F32 | I8, dtype: Dtype) -> U8:
    """Return float32 or int8 [B, width] as the scalars of a graph: uint8 [B, width_bytes].

    Rounded to nearest, ties to even, as NumKong does when vectors are added.
    """
    if dtype is Dtype.I4:
        return as_nibbles(vectors)
    scalars: npt.NDArray[Any] = vectors
    if dtype is Dtype.F16:
        scalars = vectors.astype(np.float16)
    elif dtype is Dtype.BF16:
        bits = np.ascontiguousarray(vectors, dtype=np.float32).view(np.uint32)
        scalars = ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype(np.uint16)
    return np.ascontiguousarray(scalars).view(np.uint8).reshape(len(vectors), -1)


@inlined
def rank_of(
    metric: Metric, one: int, other: int, slot: int, whole: I32, half: F32, wide: F64
) -> int:
    """Return an int below 2^31 that is smaller the nearer the vectors at two addresses are.

    `slot` is the address of eight bytes, which `whole`, `half` and `wide` show as int32,
    float32 and float64. The bits of floats that are not negative order as the floats do.
    """
    call_metric(metric.function, one, other, metric.width, slot)
    if metric.result == SQUARED_U32:
        return int(whole[0])
    if metric.result == SQUARED_F32:
        return int(whole[0]) if half[0] > 0.0 else 0
    # Unit vectors: 2 less the product is above 0, whatever the rounding.
    if metric.result == PRODUCT_F32:
        half[0] = np.float32(2.0) - half[0]
    elif metric.result == PRODUCT_F64:
        half[0] = np.float32(2.0 - wide[0])
    else:
        half[0] = np.float32(wide[0])
    return int(whole[0]) if half[0] > 0.0 else 0
