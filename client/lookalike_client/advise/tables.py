"""What was measured, each with where it comes from.

November 2026. The points of each way: 2 cores of an AMD EPYC with AVX2, by `python -m
tests.bench.query.advise_points`, which measures them again. How times and misses grow
to a million: usearch 2.26.6 on 2 cores of Zen 4 with AVX-512; `make
bench-search-million` measures a million.
"""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Way:
    """One way of building the graph, as measured on `REFERENCE_ITEMS` vectors of
    `REFERENCE_DIMENSION`.

    `misses` maps a search expansion to 1 - recall@10 after exact re-ranking, on
    generated vectors, `misses_at_100` to 1 - recall@100. `search_us` is the time of one
    query for ten at `REFERENCE_EXPANSION`, `build_cpu_s` that of building all. `preset` is
    empty where none is like it. A component takes `component_bytes` in the file, and
    `memory_component_bytes` in memory, where links may be `packed`.
    """

    name: str
    preset: str
    dtype: str
    component_bytes: int
    connectivity: int
    expansion_add: int
    reduced: bool
    misses: dict[int, float]
    misses_at_100: dict[int, float]
    search_us: float
    build_cpu_s: float
    memory_component_bytes: float
    packed: bool = False


REFERENCE_ITEMS = 40_000
REFERENCE_DIMENSION = 512
REFERENCE_EXPANSION = 256

# Misses of a hundred, and all of `lean`: on two cores of a Xeon with AVX-512, in one run;
# times of `lean` are its ratio there (362 to 369 us, 15.6 to 15.0 CPU s) times balanced's.
# 40,000 x 512, one query at a time on one thread, one run. i8 with M=32 is one figure,
# the median of light, balanced and accurate (478 to 711 us). Build: CPU seconds of two
# threads, the search for what a graph does not reach included.
WAYS = (
    Way(
        name="HNSW reduced, fast",
        preset="fast",
        dtype="i8",
        component_bytes=1,
        connectivity=24,
        expansion_add=160,
        reduced=True,
        misses={64: 0.0356, 96: 0.0190, 128: 0.0116, 256: 0.0036, 512: 0.0010, 1_024: 0.0004},
        misses_at_100={320: 0.0115, 512: 0.0055, 1_024: 0.0021},
        search_us=383.0,
        build_cpu_s=26.2,
        memory_component_bytes=1,
    ),
    Way(
        name="HNSW reduced, light",
        preset="",
        dtype="i8",
        component_bytes=1,
        connectivity=32,
        expansion_add=200,
        reduced=True,
        misses={64: 0.0256, 96: 0.0156, 128: 0.0094, 256: 0.0028, 512: 0.0006, 1_024: 0.0004},
        misses_at_100={320: 0.0082, 512: 0.0042, 1_024: 0.0017},
        search_us=482.0,
        build_cpu_s=21.6,
        memory_component_bytes=1,
    ),
    Way(
        name="HNSW reduced, balanced",
        preset="balanced",
        dtype="i8",
        component_bytes=1,
        connectivity=32,
        expansion_add=240,
        reduced=True,
        misses={64: 0.0250, 96: 0.0144, 128: 0.0090, 256: 0.0030, 512: 0.0006, 1_024: 0.0004},
        misses_at_100={320: 0.0071, 512: 0.0036, 1_024: 0.0015},
        search_us=482.0,
        build_cpu_s=27.5,
        memory_component_bytes=1,
    ),
    Way(
        name="HNSW reduced, accurate",
        preset="accurate",
        dtype="i8",
        component_bytes=1,
        connectivity=32,
        expansion_add=400,
        reduced=True,
        misses={64: 0.0182, 96: 0.0090, 128: 0.0048, 256: 0.0016, 512: 0.0004, 1_024: 0.0004},
        misses_at_100={320: 0.0047, 512: 0.0023, 1_024: 0.0008},
        search_us=482.0,
        build_cpu_s=51.3,
        memory_component_bytes=1,
    ),
    Way(
        name="HNSW reduced, lean",
        preset="lean",
        dtype="i4",
        component_bytes=1,
        connectivity=16,
        expansion_add=240,
        reduced=True,
        misses={64: 0.0454, 96: 0.0242, 128: 0.0148, 256: 0.0044, 512: 0.0014, 1_024: 0.0012},
        misses_at_100={320: 0.0118, 512: 0.0056, 1_024: 0.0025},
        search_us=473.0,
        build_cpu_s=28.6,
        memory_component_bytes=0.5,
        packed=True,
    ),
    Way(
        name="HNSW reduced, bf16",
        preset="",
        dtype="bf16",
        component_bytes=2,
        connectivity=32,
        expansion_add=240,
        reduced=True,
        misses={64: 0.0238, 96: 0.0148, 128: 0.0092, 256: 0.0026, 512: 0.0006, 1_024: 0.0004},
        misses_at_100={320: 0.0073, 512: 0.0038, 1_024: 0.0016},
        search_us=915.0,
        build_cpu_s=42.6,
        memory_component_bytes=2,
    ),
    Way(
        name="HNSW full",
        preset="",
        dtype="bf16",
        component_bytes=2,
        connectivity=32,
        expansion_add=200,
        reduced=False,
        misses={64: 0.0342, 96: 0.0188, 128: 0.0126, 256: 0.0052, 512: 0.0016, 1_024: 0.0002},
        misses_at_100={320: 0.0116, 512: 0.0064, 1_024: 0.0022},
        search_us=1167.0,
        build_cpu_s=59.9,
        memory_component_bytes=2,
    ),
)

# Embeddings of photographs are harder than generated vectors: bf16, M=32, ef 200 at
# build, missed 0.025 of theirs at 256 (40,000 x 512) and 0.0046 of the others.
PHOTOGRAPH_FACTOR = 0.025 / 0.0046
# Of a hundred they missed 0.022, and 0.0116 of the others.
PHOTOGRAPH_FACTOR_AT_100 = 0.022 / 0.0116
# 60,000 to 1,000,000 photograph embeddings, bf16, M=32, ef 400 at build, ef 256:
# recall@10 before re-ranking .968 to .961, so misses grow by 7 % an e-fold.
MISS_GROWTH = 0.07
# 40,000 to 1,000,000, full vectors, ef 256: 0.675 to 2.4 ms a query (Zen 4).
SEARCH_GROWTH = 0.80
# 60,000 to 1,000,000, M=32, ef 400 at build, 2 threads: 33 to 1,610 s.
BUILD_GROWTH = 0.95
# 512 to 1,024 bytes a vector in the graph, ef 256: 466 to 675 us; 256 bytes (i8):
# 354 us, where this share foretells 361 (Zen 4).
BYTES_SHARE = 0.45
# ef 256 to 1,024: x 2.65 (full), x 2.62 (balanced). ef 64 to 256: x 1.98 (balanced).
EXPONENT_ABOVE, EXPONENT_BELOW = 0.70, 0.50
# A million vectors, ef 256: p99 5.0 ms, p50 2.4 ms.
TAIL = 5.0 / 2.4
CALL_MS = 0.4  # CPU of one unary gRPC call to a Python server
SCAN_BYTES_PER_S = 10e9  # 82 MB in 3.8 ms (AVX2) to 8.3 (Zen 4), one core; the slower
BUILD_THREADS = 2
SCANNED_UP_TO = 10_000  # below, a collection has no graph

# usearch's file: 788 bytes a node with M=32 and 661 with M=16, of which 512 are
# the vector's; 532 with M=32 and 256 of them.
NODE_BYTES, LINK_BYTES = 20, 8
# `lean` of 40,000: 180 bytes a node in memory with M=16, 128 of them the vector's. Links
# have 16 bits there, and upper levels and counts take about 13 bytes.
PACKED_NODE_BYTES = 13
LINKS_USED = (180 - 128 - PACKED_NODE_BYTES) / (16 * 16 / 8)
# A row of SQLite with a vector of 2,048 bytes takes 2,359 (pages of 16 KiB).
ROW_SHARE = 2_359 / 2_048
SEGMENT_ITEM_BYTES = 24  # ordinal, digest, checksums: the files' own formats
# Id of 20 characters, liveness, ordinals and back: object sizes of Python 3.11 and numpy.
PROCESS_ITEM_BYTES = 132
FIELD_BYTES = 29  # 291 bytes for ten fields, one of them a list: filter_eval.py, a million items
DETAIL_BYTES = 300  # id, versions, image facts and short metadata: assumed, not measured
PROCESS_BYTES = 74 * MIB  # resident memory of an idle search service
HEAD_VECTORS = 40_000  # kept in memory (twice the setting head_limit, beside a graph)
HEAD_COMPONENT_BYTES = 4.5  # float32, and a byte for every other one in the presets' form
# Re-ranked rows a query, by its limit; a read of an SSD, and how many beside each other
# where they are asked for at once: assumed.
READS, READ_MS = {10: 36, 100: 332}, 0.1
READS_AT_A_TIME = 8
LIMITS = (10, 100)
# A search for so many hits keeps no fewer candidates, whatever its expansion is.
LEAST_WALKED = {10: 0, 100: 332}

LEAST_MEASURED, MOST_MEASURED = 40_000, 1_000_000

SOURCES = {
    "recall": "misses of 40,000 x 512 generated vectors (tests/bench/query/advise_points.py), "
    "times 5.4 (recall@100: 1.9) for embeddings of photographs (light, expansion 256: recall@10 "
    "0.985), plus 7 % an e-fold of items (60,000 to 1,000,000: 0.968 to 0.961)",
    "latency": "40,000 x 512, one thread, expansion 256: 482 us i8, 915 us bf16, 1,167 us full; "
    "growth to a million measured with usearch (p50 2.4 ms, p99 5.0 ms, full); plus 0.4 ms for "
    "the call; one client, limit 10, no filter",
    "scan": "82 MB of float32 in 3.8 to 8.3 ms: 10 GB/s, one core (advise_points.py, way exact)",
    "memory": "graph: usearch's file, 532 bytes an item (M=32, 256 components of i8), 788 "
    "of bf16; lean: 180 bytes of 40,000 (advise_points.py); rows: float32, mapped; metadata: "
    "29 bytes a field (tests/bench/query/filter_eval.py); process: 74 MiB idle, the head, about "
    "120 bytes an item",
    "disk": "store: 2,359 bytes for a 2,048-byte vector (SQLite, pages of 16 KiB) and 300 assumed "
    "for id, facts and metadata; rows and graph once; thumbnails not counted; a build needs room "
    "for one more graph",
    "build": "40,000 x 512: 21 CPU s balanced, 30 bf16, 32 full, two threads; growth from 33 s at "
    "60,000 to 1,610 s at a million; writes are found at once, before they are in a graph",
    "IVF-PQ": "not part of Lookalike and not measured: memory by its formula, dimension / 8 bytes "
    "of code and 8 of id an item",
}
