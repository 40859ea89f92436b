"""Items with everyday metadata, for the rows about the path of one query and about groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lookalike.v1 import search_pb2
from tests.bench.search.peers.environment import Missing
from tests.bench.search.service import Service, upsert_message
from tests.bench.search.vectors import Dataset

# The values of each field to group by.
VALUES = 100
_ITEMS_A_MESSAGE = 500
_COLOURS = ("black", "white", "red", "blue", "green", "beige", "grey")

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Items:
    """The set with metadata: `shop` has nothing to do with the vectors, `kind` follows them."""

    dataset: Dataset

    @cached_property
    def shop(self) -> I64:
        """One of `VALUES` for each item, by chance: int64 [N]."""
        return np.random.default_rng(2).integers(0, VALUES, len(self.dataset.base))

    @cached_property
    def kind(self) -> I64:
        """The nearest of `VALUES` vectors of the set, for each item: int64 [N]."""
        centres = np.asarray(self.dataset.base[:VALUES])
        return np.concatenate(
            [
                np.argmax(np.asarray(self.dataset.base[start : start + 20_000]) @ centres.T, axis=1)
                for start in range(0, len(self.dataset.base), 20_000)
            ]
        )

    def load(self, service: Service, name: str) -> None:
        """Upsert everything, and wait for the graph."""
        for answer in service.search.UpsertVectors(self._messages(name)):
            if any(r.status != search_pb2.MUTATION_STATUS_APPLIED for r in answer.results):
                raise Missing("an upsert was not applied")
        service.wait_indexed(name)

    def _messages(self, name: str) -> Iterator[search_pb2.UpsertVectorsRequest]:
        prices = np.random.default_rng(3).random(len(self.dataset.base))
        for start in range(0, len(self.dataset.base), _ITEMS_A_MESSAGE):
            rows = np.asarray(self.dataset.base[start : start + _ITEMS_A_MESSAGE])
            message = upsert_message(name, rows, range(start, start + len(rows)))
            for item, row in zip(message.items, range(start, start + len(rows)), strict=True):
                item.metadata.update(
                    {
                        "title": f"Article {row} in a shop's catalogue",
                        "shop": int(self.shop[row]),
                        "kind": f"kind {self.kind[row]}",
                        "price": round(float(prices[row]) * 200, 2),
                        "in_stock": bool(row % 3),
                        "colours": [_COLOURS[row % 7], _COLOURS[row % 5]],
                        "camera": {"make": f"make {row % 11}", "iso": 100 << (row % 6)},
                        "added": f"2025-{1 + row % 12:02d}-{1 + row % 28:02d}T10:00:00Z",
                    }
                )
            yield message
