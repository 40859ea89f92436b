"""Has the loops compiled, or read from where they are kept, before a query waits for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import numpy as np

from search_service.compiled.addresses import address_of
from search_service.compiled.hamming import near_hashes
from search_service.compiled.jit import forget_kept, keep_loops
from search_service.compiled.metric import Metric, exact_product
from search_service.compiled.nearest import nearest_exactly
from search_service.compiled.packed_file import compile_packed_reader
from search_service.compiled.products import products_each, products_of_pairs
from search_service.compiled.reading import expect
from search_service.compiled.usearch_file import compile_reader
from search_service.compiled.walk import Links, Wanted, compare_some, walk
from search_service.domain.collection import Dtype

# A loop whose result cannot be kept is there all the same when it is called again, so
# each of them may fail once.
_TRIES = 12

_log = logging.getLogger(__name__)
_reader_lock = threading.Lock()
_reader_is_warm = False


def warm_up() -> None:
    """Call every loop once, on one node of one component.

    Takes some seconds on a machine where nothing is kept yet, and half of one after.
    What is kept and damaged is removed; a full disk keeps nothing.
    """
    warm_reader()
    _until_kept(_call_all)


def warm_reader() -> None:
    """Have what reads graph files ready; whoever reads one calls it before, as often as that.

    Otherwise a kept loop that is damaged would look like a damaged graph.
    """
    global _reader_is_warm  # noqa: PLW0603 - what was loaded is the process's
    with _reader_lock:
        if not _reader_is_warm:
            keep_loops()
            _until_kept(compile_reader)
            _until_kept(compile_packed_reader)
            _reader_is_warm = True


def _until_kept(call: Callable[[], None]) -> None:
    for left in reversed(range(_TRIES)):
        try:
            call()
        except Exception as error:
            if not left:
                raise
            _log.warning("compiled loops could not be read or kept: %s", error)
            forget_kept()
        else:
            return


def _call_all() -> None:
    metric = Metric.of(Dtype.F32, 1, inner_product=False)
    one = np.ones((1, 1), dtype=np.float32)
    near = np.full((1, 2), -1, dtype=np.int32)
    links = Links(near, near[:, 0].copy(), near[:0, :1].copy(), 0, 0)
    longs = np.zeros(1, dtype=np.int64)
    flags = np.zeros(1, dtype=np.bool_)
    wanted = Wanted(True, longs, longs, longs, 0, flags)
    found = np.zeros((1, 1), dtype=np.int64)
    side = np.empty(0, dtype=np.int32)
    at = address_of(one)
    walk(metric, at, links, side, wanted, at, 1, 1, 1, longs, found, flags)
    compare_some(metric, at, longs, at, found)
    nearest_exactly(
        metric,
        at,
        longs,
        at,
        1.0,
        exact_product(),
        at,
        at,
        1,
        1,
        1,
        1.0,
        0,
        4_096,
        found,
        one.copy(),
    )
    expect(at, 4, found[0])
    words = np.zeros((4, 1), dtype=np.uint64)
    near_hashes(words, 1, words[:, 0].copy(), 0, longs, longs)
    products_each(exact_product(), at, found, at, 1, one)
    products_of_pairs(exact_product(), at, longs, at, longs, 1, one[0])
