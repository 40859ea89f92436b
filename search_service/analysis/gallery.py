"""The items of a collection as an analysis sees them: read once, then never changing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson

from search_service.analysis.jobs import AnalysisJob, Progress
from search_service.domain.arrays import F32, I64
from search_service.domain.conditions import FieldPath
from search_service.domain.metadata import JsonValue
from search_service.store.whole import ItemBlock, iter_items

# Of 512 components: 8 MiB at a time.
_ITEMS_PER_READ = 4_096
_VECTORS = "vectors.f32"


@dataclass(frozen=True, slots=True)
class Gallery:
    """Items in the order of their ordinals; a row is an item's place in it.

    `ordinals` is int64 [n] ascending; `versions` int64 [n] those of the vectors; `vectors`
    float32 [n, D], unit L2, mapped from a file in the job's directory.
    """

    ids: Sequence[str]
    ordinals: I64
    vectors: F32
    metadata: Sequence[bytes]
    facts: Sequence[bytes]
    versions: I64

    def __len__(self) -> int:
        return len(self.ordinals)

    def values(self, path: FieldPath) -> list[JsonValue]:
        """Return what stands under `path` in each item's metadata, None where nothing does."""
        return [_value_at(orjson.loads(each), path) for each in self.metadata]

    def rows_of(self, ordinals: I64) -> I64:
        """Return the rows of `ordinals`, any shape; -1 for those that are not in it."""
        if not len(self.ordinals):
            return np.full(ordinals.shape, -1, dtype=np.int64)
        places = np.searchsorted(self.ordinals, ordinals)
        places = np.minimum(places, len(self.ordinals) - 1)
        return np.where(self.ordinals[places] == ordinals, places, -1)


def read_gallery(job: AnalysisJob, report: Callable[[Progress], None]) -> Gallery:
    """Read the items that count for `job` into its directory.

    Raises:
        OSError: the disk is full.
        StoreDamaged, Unavailable: the store is damaged, or cannot be read.
    """
    chosen = None if job.chosen is None else np.fromfile(job.chosen, dtype=np.int64)
    total = 0 if chosen is None else len(chosen)
    ordinals: list[I64] = [np.empty(0, dtype=np.int64)]
    versions: list[I64] = [np.empty(0, dtype=np.int64)]
    ids: list[str] = []
    metadata: list[bytes] = []
    facts: list[bytes] = []
    path = job.work_path / _VECTORS
    with path.open("wb") as file:
        for block in iter_items(job.store_path, _ITEMS_PER_READ):
            keep = _kept(block, chosen)
            ordinals.append(block.ordinals[keep])
            versions.append(block.versions[keep])
            file.write(np.ascontiguousarray(block.vectors[keep]).tobytes())
            for place in keep.tolist():
                ids.append(block.ids[place])
                metadata.append(block.metadata[place])
                facts.append(block.facts[place])
            report(Progress("reading items", len(ids), total))
    return Gallery(
        ids=ids,
        ordinals=np.concatenate(ordinals),
        vectors=_mapped(path, job.dimension),
        metadata=metadata,
        facts=facts,
        versions=np.concatenate(versions),
    )


def _kept(block: ItemBlock, chosen: I64 | None) -> I64:
    if chosen is None:
        return np.arange(len(block.ordinals))
    return np.flatnonzero(np.isin(block.ordinals, chosen, assume_unique=True))


def _mapped(path: Path, dimension: int) -> F32:
    if not path.stat().st_size:  # an empty file cannot be mapped
        return np.empty((0, dimension), dtype=np.float32)
    return np.memmap(path, dtype="<f4", mode="r").reshape(-1, dimension)


def _value_at(value: JsonValue, path: FieldPath) -> JsonValue:
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    return value
