"""Estimates of what each way of indexing costs, and which one to take."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from lookalike.wire.errors import InvalidField
from lookalike_client.advise import tables
from lookalike_client.advise.sizes import file_node_bytes, node_bytes, size_text
from lookalike_client.advise.tables import Way

MOST_ITEMS = 1_000_000_000
_LEAST_REDUCED = 128  # components; below, graphs hold the full vectors
_EXPANSION_STEP = 8
_PRESET_DTYPE = "i8"


@dataclass(frozen=True, slots=True)
class Needs:
    """What is asked for: sizes of the collection, and bounds.

    `recall` is the least share of the nearest `recall_at`, 10 or 100, that is found; queries
    are for as many hits.
    """

    count: int
    dimension: int
    memory_bytes: int
    p99_ms: float
    recall: float
    fields: int = 10
    recall_at: int = 10


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one way of indexing would cost; `shortfalls` says which bounds it misses.

    `memory_bytes` keeps everything in memory; with `least_memory_bytes` the exact
    vectors are read from disk. None: not measured, or nothing of the kind.
    """

    name: str
    dtype: str
    graph_dimension: int | None
    connectivity: int | None
    expansion_add: int | None
    expansion_search: int | None
    recall: float | None
    p99_ms: float | None
    memory_bytes: int
    least_memory_bytes: int
    disk_bytes: int | None
    build_s: float | None
    command: str
    notes: tuple[str, ...]
    shortfalls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Advice:
    """All ways, and the fastest of those that meet every bound, if one does."""

    needs: Needs
    recommended: Estimate | None
    alternatives: tuple[Estimate, ...]
    sources: dict[str, str]


def advise(needs: Needs) -> Advice:
    """Estimate every way of indexing for `needs`.

    Raises:
        InvalidField: a need is out of range.
    """
    _check(needs)
    estimates = [_scan(needs)]
    if needs.count >= tables.SCANNED_UP_TO:
        reducible = needs.dimension // 2 >= _LEAST_REDUCED
        estimates += [_graph(way, needs) for way in tables.WAYS if way.reduced or reducible]
    fitting = [estimate for estimate in estimates if not estimate.shortfalls]
    best = min(fitting, key=lambda each: each.p99_ms or 0.0, default=None)
    return Advice(needs, best, (*estimates, _ivf_pq(needs)), tables.SOURCES)


def _check(needs: Needs) -> None:
    for field, value, least, most in (
        ("count", needs.count, 1, MOST_ITEMS),
        ("dim", needs.dimension, 2, 4_096),
        ("fields", needs.fields, 0, 1_000),
    ):
        if not least <= value <= most:
            raise InvalidField(field, f"must be {least:,} to {most:,}, got {value:,}")
    if needs.memory_bytes < tables.MIB:
        raise InvalidField("memory", "must be 1 MiB or more")
    if not (math.isfinite(needs.p99_ms) and needs.p99_ms > 0):
        raise InvalidField("p99-ms", f"must be a number above 0, got {needs.p99_ms:g}")
    if needs.recall_at not in tables.LIMITS:
        raise InvalidField("recall-at", f"must be 10 or 100, got {needs.recall_at:,}")
    if not 0.5 <= needs.recall <= 1.0:
        raise InvalidField("recall", f"must be 0.5 to 1, got {needs.recall:g}")


def _scan(needs: Needs) -> Estimate:
    rows = 4 * needs.count * needs.dimension
    p99_ms = tables.CALL_MS + rows / tables.SCAN_BYTES_PER_S * 1e3
    memory = _process_bytes(needs) + rows
    scanned = needs.count < tables.SCANNED_UP_TO
    note = (
        f"what a collection below {tables.SCANNED_UP_TO:,} items does by itself"
        if scanned
        else "per query (`exact`); a graph is built beside it, and its cost not counted here"
    )
    return _judged(
        needs,
        Estimate(
            name="exact scan",
            dtype="f32",
            graph_dimension=None,
            connectivity=None,
            expansion_add=None,
            expansion_search=None,
            recall=1.0,
            p99_ms=p99_ms,
            memory_bytes=memory,
            least_memory_bytes=memory,  # every query reads every row
            disk_bytes=_store_bytes(needs) + rows + tables.SEGMENT_ITEM_BYTES * needs.count,
            build_s=0.0,
            command="lookalike collections create NAME" + ("" if scanned else "; search --exact"),
            notes=(note,),
            shortfalls=(),
        ),
    )


def _graph(way: Way, needs: Needs) -> Estimate:
    width = _width(way, needs.dimension)
    expansion, recall = _expansion(way, needs)
    rows = 4 * needs.count * needs.dimension
    graph = needs.count * file_node_bytes(way, width)
    least_memory = int(_process_bytes(needs) + needs.count * node_bytes(way, width, needs.count))
    p99_ms, notes = _p99_ms(way, needs, expansion), _notes(needs, width)
    if least_memory <= needs.memory_bytes < least_memory + rows:
        read_ms = tables.READS[needs.recall_at] * tables.READ_MS
        if way.packed:
            read_ms /= tables.READS_AT_A_TIME
        p99_ms += read_ms
        notes += (f"part of the exact vectors is read from disk: {read_ms:.1f} ms more, assumed",)
    segment = rows + graph + tables.SEGMENT_ITEM_BYTES * needs.count
    return _judged(
        needs,
        Estimate(
            name=way.name,
            dtype=way.dtype,
            graph_dimension=width,
            connectivity=way.connectivity,
            expansion_add=way.expansion_add,
            expansion_search=expansion,
            recall=recall,
            p99_ms=p99_ms,
            memory_bytes=least_memory + rows,
            least_memory_bytes=least_memory,
            disk_bytes=_store_bytes(needs) + segment,
            build_s=_build_s(way, needs),
            command=_command(way, expansion),
            notes=notes,
            shortfalls=(),
        ),
    )


def _ivf_pq(needs: Needs) -> Estimate:
    memory = needs.count * (needs.dimension // 8 + 8)
    return Estimate(
        name="IVF-PQ, elsewhere",
        dtype="codes",
        graph_dimension=None,
        connectivity=None,
        expansion_add=None,
        expansion_search=None,
        recall=None,
        p99_ms=None,
        memory_bytes=memory,
        least_memory_bytes=memory,
        disk_bytes=None,
        build_s=None,
        command="",
        notes=("least memory; loses recall unless re-ranked on stored vectors",),
        shortfalls=("not part of Lookalike", "recall and latency not measured"),
    )


def _expansion(way: Way, needs: Needs) -> tuple[int, float]:
    """The least expansion with the recall that is needed, and the recall there."""
    allowed = 1.0 - needs.recall
    factor, misses = tables.PHOTOGRAPH_FACTOR, way.misses
    if needs.recall_at > tables.LIMITS[0]:
        factor, misses = tables.PHOTOGRAPH_FACTOR_AT_100, way.misses_at_100
    scale = factor * math.exp(tables.MISS_GROWTH * _e_folds(needs))
    least, most = min(misses), max(misses)
    for expansion in range(least, most + 1, _EXPANSION_STEP):
        miss = _interpolated(misses, expansion) * scale
        if miss <= allowed or expansion == most:
            return expansion, max(0.0, 1.0 - miss)
    raise AssertionError("the steps end at the greatest expansion")


def _interpolated(misses: dict[int, float], expansion: int) -> float:
    """Between two measured points, misses fall by a power of the expansion."""
    below = max(point for point in misses if point <= expansion)
    above = min(point for point in misses if point >= expansion)
    if below == above:
        return misses[below]
    share = math.log(expansion / below) / math.log(above / below)
    return misses[below] * math.pow(misses[above] / misses[below], share)


def _p99_ms(way: Way, needs: Needs, expansion: int) -> float:
    # A hundred hits are chosen from so many that no walk keeps fewer.
    walked = max(expansion, tables.LEAST_WALKED[needs.recall_at])
    ratio = walked / tables.REFERENCE_EXPANSION
    exponent = tables.EXPONENT_ABOVE if ratio > 1 else tables.EXPONENT_BELOW
    by_expansion = math.pow(ratio, exponent)
    by_items = max(0.3, 1 + tables.SEARCH_GROWTH * _e_folds(needs))
    median_us = way.search_us * by_expansion * by_items * _by_width(way, needs.dimension)
    return median_us / 1e3 * tables.TAIL + tables.CALL_MS


def _build_s(way: Way, needs: Needs) -> float:
    by_items = max(0.3, 1 + tables.BUILD_GROWTH * _e_folds(needs))
    per_item = way.build_cpu_s / tables.REFERENCE_ITEMS / tables.BUILD_THREADS
    return needs.count * per_item * by_items * _by_width(way, needs.dimension)


def _e_folds(needs: Needs) -> float:
    return math.log(needs.count / tables.REFERENCE_ITEMS)


def _by_width(way: Way, dimension: int) -> float:
    """Time by the bytes of a vector in the graph, 1 at the measured dimension."""

    def cost(at_dimension: int) -> float:
        bytes_read = way.memory_component_bytes * _width(way, at_dimension)
        return 1 - tables.BYTES_SHARE + tables.BYTES_SHARE * bytes_read / 512

    return cost(dimension) / cost(tables.REFERENCE_DIMENSION)


def _width(way: Way, dimension: int) -> int:
    half = dimension // 2
    return half if way.reduced and half >= _LEAST_REDUCED else dimension


def _process_bytes(needs: Needs) -> int:
    held = min(needs.count, tables.HEAD_VECTORS)
    head = int(tables.HEAD_COMPONENT_BYTES * needs.dimension * held)
    per_item = tables.PROCESS_ITEM_BYTES + tables.FIELD_BYTES * needs.fields
    return tables.PROCESS_BYTES + head + needs.count * per_item


def _store_bytes(needs: Needs) -> int:
    per_item = 4 * needs.dimension * tables.ROW_SHARE + tables.DETAIL_BYTES
    return int(needs.count * per_item)


def _notes(needs: Needs, width: int) -> tuple[str, ...]:
    notes: tuple[str, ...] = ()
    if not tables.LEAST_MEASURED <= needs.count <= tables.MOST_MEASURED:
        notes += ("extrapolated: measured from 40,000 to 1,000,000 items",)
    if width == needs.dimension < 2 * _LEAST_REDUCED:
        notes += ("too few dimensions to reduce: the graph is over the full vectors",)
    return notes


def _command(way: Way, expansion: int) -> str:
    parts = [f"lookalike collections create NAME --preset {way.preset or 'balanced'}"]
    if not way.preset:
        parts.append(f"--connectivity {way.connectivity} --expansion-add {way.expansion_add}")
    if not way.preset and way.dtype != _PRESET_DTYPE:
        parts.append(f"--scalar-type {way.dtype}")
    if not way.reduced:
        parts.append("--graph-dimension 0")
    return " ".join([*parts, f"--expansion-search {expansion}"])


def _judged(needs: Needs, estimate: Estimate) -> Estimate:
    """Add which bounds the estimate misses."""
    missed: tuple[str, ...] = ()
    if estimate.recall is not None and estimate.recall < needs.recall:
        missed += (f"recall {estimate.recall:.3f}, not {needs.recall:g}",)
    if estimate.p99_ms is not None and estimate.p99_ms > needs.p99_ms:
        missed += (f"p99 {estimate.p99_ms:.1f} ms, not {needs.p99_ms:g}",)
    if estimate.least_memory_bytes > needs.memory_bytes:
        missed += (f"needs {size_text(estimate.least_memory_bytes)} of memory",)
    return replace(estimate, shortfalls=missed)
