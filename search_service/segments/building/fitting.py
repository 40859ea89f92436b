"""Which encoder a segment gets: one that is in use already, or one fitted to its rows."""

from __future__ import annotations

import numpy as np

from search_service.domain.arrays import F32
from search_service.domain.collection import IndexSettings
from search_service.segments.building.planning import LEAST_GRAPH_VECTORS
from search_service.segments.codes import metric_of, pays
from search_service.segments.encoder import SAMPLE_ROWS, Encoder, fit_encoder, fitted_dimension

# The PCA basis is fitted anew when it keeps this much less of newer rows' variance …
ENERGY_DROP = 0.03
# … of which there are enough to say so, and when a new one would keep more of it.
_LEAST_DRIFT_ROWS = 1_000
_LEAST_GAIN = 0.01
# Writers wait for a seal, and a basis takes the third power of the dimension.
_MOST_SEALED_DIMENSION = 1_024
_SEALED_SAMPLE_ROWS = 16_384


def choose(
    rows: F32, settings: IndexSettings, known: Encoder | None, encoded: int
) -> tuple[Encoder, bool]:
    """Choose for a graph over `rows`, float32 [N, D]; say whether it is the known one.

    `known` encoded the first `encoded` of them, which stand in the graph that is extended.
    """
    fresh = _sample(rows, 0, SAMPLE_ROWS)
    if known is None:
        return _fit(fresh, settings), False
    newer = _sample(rows, encoded, SAMPLE_ROWS)
    energy = known.energy_of(newer)
    if len(newer) < _LEAST_DRIFT_ROWS or energy > known.captured_energy - ENERGY_DROP:
        return known, True
    refitted = _fit(fresh, settings)
    if refitted.energy_of(newer) < energy + _LEAST_GAIN:
        return known, True
    return refitted, False


def choose_for_scans(rows: F32, settings: IndexSettings, known: Encoder | None) -> Encoder | None:
    """Choose for a segment that is scanned; None where its rows themselves should be."""
    dimension = rows.shape[1]
    fitted = fitted_dimension(dimension, settings.graph_dimension, settings.dtype)
    metric = metric_of(settings.dtype, fitted or dimension, reduced=fitted > 0)
    if len(rows) < LEAST_GRAPH_VECTORS or not pays(metric, dimension):
        return None
    fresh = _sample(rows, 0, _SEALED_SAMPLE_ROWS)
    if known is not None and known.energy_of(fresh) > known.captured_energy - ENERGY_DROP:
        return known
    return _fit(fresh, settings) if dimension <= _MOST_SEALED_DIMENSION else None


def _fit(sample: F32, settings: IndexSettings) -> Encoder:
    return fit_encoder(sample, settings.graph_dimension, settings.dtype)


def _sample(rows: F32, start: int, most: int) -> F32:
    """Return up to `most` rows from `start` on, evenly spread."""
    step = max(1, -(-(len(rows) - start) // most))
    return np.ascontiguousarray(rows[start::step])
