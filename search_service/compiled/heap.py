"""Binary heaps of numbers, smallest first, in arrays of the caller."""

from __future__ import annotations

from search_service.compiled.jit import inlined
from search_service.domain.arrays import F64, I64


@inlined
def push(heap: I64 | F64, size: int, item: float) -> None:
    """Add to a heap of `size` items, which has room for one more."""
    place = size
    while place > 0:
        parent = (place - 1) >> 1
        if heap[parent] <= item:
            break
        heap[place] = heap[parent]
        place = parent
    heap[place] = item


@inlined
def sink(heap: I64 | F64, size: int, item: float) -> None:
    """Put `item` in the place of the smallest of `size` items."""
    place = 0
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= item:
            break
        heap[place] = heap[child]
        place = child
    heap[place] = item


@inlined
def arrange(heap: I64, size: int) -> None:
    """Make a heap of `size` items in any order."""
    for start in range((size >> 1) - 1, -1, -1):
        place, item = start, heap[start]
        while True:
            child = 2 * place + 1
            if child >= size:
                break
            if child + 1 < size and heap[child + 1] < heap[child]:
                child += 1
            if heap[child] >= item:
                break
            heap[place] = heap[child]
            place = child
        heap[place] = item
