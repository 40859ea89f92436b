"""What Numba has no word for: cache hints, and calls of functions known by address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_declare: Any = cgutils.get_or_insert_function
_BYTES = ir.IntType(8).as_pointer()
_WORD = ir.IntType(64)
_FLAG = ir.IntType(32)
# A read (0) of something that will be used again (3), into the data caches (1).
_READ, _KEEP, _DATA = 0, 3, 1


def _prefetch(_typing: Any, address: Any) -> Any:
    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [_BYTES, _FLAG, _FLAG, _FLAG])
        hint = _declare(builder.module, kind, "llvm.prefetch.p0")
        pointer = builder.inttoptr(arguments[0], _BYTES)
        builder.call(hint, [pointer, _FLAG(_READ), _FLAG(_KEEP), _FLAG(_DATA)])
        return context.get_dummy_value()

    return types.void(types.intp), generate


def _call_metric(_typing: Any, function: Any, one: Any, other: Any, length: Any, out: Any) -> Any:
    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [_BYTES, _BYTES, _WORD, _BYTES])
        called = builder.inttoptr(arguments[0], kind.as_pointer())
        first, second, result = (builder.inttoptr(arguments[i], _BYTES) for i in (1, 2, 4))
        builder.call(called, [first, second, arguments[3], result])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp, types.intp, types.intp), generate


def _call_advise(_typing: Any, function: Any, address: Any, length: Any, advice: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(_FLAG, [_BYTES, _WORD, _FLAG])
        called = builder.inttoptr(arguments[0], kind.as_pointer())
        start = builder.inttoptr(arguments[1], _BYTES)
        said = builder.call(called, [start, arguments[2], builder.trunc(arguments[3], _FLAG)])
        return builder.sext(said, _WORD)

    return types.intp(types.intp, types.intp, types.intp, types.intp), generate


def _set_bits(_typing: Any, _number: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


prefetch = cast(Callable[[int], None], intrinsic(_prefetch))
"""Asks for the cache line at an address; never fails, whatever is there."""

call_metric = cast(Callable[[int, int, int, int, int], None], intrinsic(_call_metric))
"""Calls void function(const void *one, const void *other, uint64_t length, void *out)."""

call_advise = cast(Callable[[int, int, int, int], int], intrinsic(_call_advise))
"""Calls int function(void *address, size_t length, int advice), as `madvise` is."""

set_bits = cast(Callable[[Any], Any], intrinsic(_set_bits))
"""Counts the bits that are set in a uint64."""
