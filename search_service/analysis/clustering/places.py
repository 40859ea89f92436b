"""Places on a map, near for what is near."""

from __future__ import annotations

import numpy as np
from sklearn.manifold import TSNE

from search_service.domain.arrays import F32, I64

# The default of t-SNE's authors; a third of the items at most.
_PERPLEXITY = 30.0
# Fewer cannot be arranged by their neighbours.
_LEAST = 8


def chosen_for_map(count: int, most: int, middles: I64, seed: int) -> I64:
    """Return rows for a map, int64 ascending: `middles` first, others drawn at random."""
    kept = middles[:most]
    others = np.setdiff1d(np.arange(count), kept, assume_unique=True)
    room = min(most - len(kept), len(others))
    drawn = np.random.default_rng(seed).choice(others, room, replace=False)
    return np.sort(np.concatenate([kept, drawn])).astype(np.int64)


def places_of(rows: F32, seed: int, threads: int) -> F32:
    """Return float32 [n, 2] from 0 to 1 for float32 [n, d], whose first columns vary most."""
    flat = np.zeros((len(rows), 2), dtype=np.float32)
    flat[:, : rows.shape[1]] = rows[:, :2]
    if len(rows) >= _LEAST and np.ptp(flat[:, 0]) > 0:
        perplexity = min(_PERPLEXITY, (len(rows) - 1) / 3)
        means = TSNE(2, perplexity=perplexity, init="pca", random_state=seed, n_jobs=threads)
        placed = means.fit_transform(rows)
        if np.isfinite(placed).all():
            flat = placed.astype(np.float32)
    middle, spread = (flat.min(axis=0) + flat.max(axis=0)) / 2, np.ptp(flat, axis=0).max()
    return np.asarray(0.5 + (flat - middle) / (spread or 1.0), dtype=np.float32).clip(0.0, 1.0)
