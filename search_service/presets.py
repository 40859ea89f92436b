"""What `fast`, `balanced`, `accurate` and `lean` mean, with all values filled in.

`make bench-search ONLY=10` measures them beside the other forms of a graph: recall
after exact re-ranking, bytes an item, time a query, time to build;
docs/guide/models.md states what it printed. All presets but `lean` use i8 over half the
dimension, rotated (`encoder.py`): the recall and the reachability of bf16 at half the
bytes and about half the time.

`lean` takes half of those bytes, and half the links, each in as few bits as it needs.
`python -m tests.bench.search.forms` measures its form beside others: what fewer bits
and fewer links lose, a larger expansion gives back, over codes that are quicker to read.

More links and a larger expansion at build cost time once; a larger expansion at
search costs it with each query, and cannot make up for a poor graph.
"""

from __future__ import annotations

from dataclasses import dataclass

from search_service.domain.collection import Dtype, IndexSettings, Preset


@dataclass(frozen=True, slots=True)
class _Values:
    connectivity: int
    expansion_add: int
    expansion_search: int
    dtype: Dtype = Dtype.I8


_VALUES = {
    Preset.FAST: _Values(connectivity=24, expansion_add=160, expansion_search=96),
    Preset.BALANCED: _Values(connectivity=32, expansion_add=240, expansion_search=320),
    Preset.ACCURATE: _Values(connectivity=32, expansion_add=400, expansion_search=512),
    Preset.LEAN: _Values(connectivity=16, expansion_add=240, expansion_search=512, dtype=Dtype.I4),
}

# Below this, fewer components cost recall and the graph is small anyway.
_LEAST_REDUCED = 128


def index_settings(preset: Preset, dimension: int) -> IndexSettings:
    """Return the settings of a preset for vectors of `dimension` components."""
    values = _VALUES[preset]
    half = dimension // 2
    return IndexSettings(
        preset=preset,
        dtype=values.dtype,
        connectivity=values.connectivity,
        expansion_add=values.expansion_add,
        expansion_search=values.expansion_search,
        graph_dimension=half if half >= _LEAST_REDUCED else 0,
    )
