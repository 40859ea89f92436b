"""What `fast`, `balanced` and `accurate` mean, with all values filled in.

Measured on 40,000 x 512 generated vectors that are as hard as embeddings of real
photographs (tests/bench/search/dataset.py), a graph over 256 principal components,
bf16, after exact re-ranking of 40 candidates for k=10 and 200 for k=100; CPU times
of one thread on a busy machine, good for comparison only:

| M, ef at build | build, CPU s | side list | ef | recall@10 | recall@100 | µs at k=10 |
|---|---|---|---|---|---|---|
| 16, 128 | 23 | 1.03 % | 64 / 128 | .945 / .979 | .961 | 356 / 711 |
| 24, 160 | 30 | 0.44 % | 64 / 128 | .964 / .986 | .972 | 464 / 538 |
| 32, 200 | 32 | 0.22 % | 128 / 256 | .991 / .996 | .978 / .983 | 861 / 1,390 |
| 32, 320 | 54 | 0.09 % | 256 / 512 | .997 / .999 | .986 / .992 | 1,921 / 3,386 |
| 32, 320, all 512 | 77 | 0.50 % | 256 / 512 | .995 / .998 | .988 / .995 | 2,279 / 3,429 |
| 32, 200, i8 | 18 | 1.05 % | 128 / 256 | .987 / .993 | .975 / .980 | 561 / 1,509 |

Re-ranking 100 candidates for k=100 gives no more than .84, whatever the ef: the
reduced form orders near neighbours roughly, so at least twice k must be fetched.
i8 halves the graph's vectors for 0.3 points of recall, but leaves five times as
many nodes to the side list, so bf16 is what all presets use.
"""

from __future__ import annotations

from dataclasses import dataclass

from search_service.shard.types import Dtype, IndexSettings, Preset


@dataclass(frozen=True, slots=True)
class _Values:
    connectivity: int
    expansion_add: int
    expansion_search: int


_VALUES = {
    Preset.FAST: _Values(connectivity=24, expansion_add=160, expansion_search=96),
    Preset.BALANCED: _Values(connectivity=32, expansion_add=320, expansion_search=256),
    Preset.ACCURATE: _Values(connectivity=32, expansion_add=400, expansion_search=512),
}

# Below this, fewer components cost recall and the graph is small anyway.
_LEAST_REDUCED = 128


def index_settings(preset: Preset, dimension: int) -> IndexSettings:
    """Return the settings of a preset for vectors of `dimension` components."""
    values = _VALUES[preset]
    half = dimension // 2
    return IndexSettings(
        preset=preset,
        dtype=Dtype.BF16,
        connectivity=values.connectivity,
        expansion_add=values.expansion_add,
        expansion_search=values.expansion_search,
        graph_dimension=half if half >= _LEAST_REDUCED else 0,
    )
