"""Vectors of one block in a file: written whole, or not there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from search_service.domain.mutations import Upsert
from search_service.durable_files import write_durably


@dataclass(frozen=True, slots=True)
class Failure:
    """An image that could not be indexed."""

    id: str
    reason: str
    message: str


class BlockFolder:
    """The finished blocks of a job."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def finished(self) -> set[int]:
        """Return the numbers of the blocks that are there."""
        return {int(path.stem) for path in self._folder.glob("*.json")}

    def write(self, number: int, items: Sequence[Upsert], failures: Sequence[Failure]) -> None:
        """Write a block durably: the vectors, then the rest, which makes it finished."""
        vectors = np.stack([item.vector for item in items]) if items else np.empty((0, 0))
        write_durably(self._vectors(number), [vectors.astype("<f4").tobytes()])
        heads = [
            {
                "id": item.id,
                "metadata": item.metadata,
                "facts": item.facts.hex(),
                "thumbnail": item.thumbnail.hex(),
            }
            for item in items
        ]
        write_durably(
            self._folder / f"{number:08d}.json",
            [orjson.dumps({"items": heads, "failures": failures})],
        )

    def items(self, number: int) -> Iterator[Upsert]:
        """Read a block's items."""
        heads = self._read(number)["items"]
        if not heads:
            return
        rows = np.fromfile(self._vectors(number), dtype="<f4").reshape(len(heads), -1)
        for head, row in zip(heads, rows, strict=True):
            facts, thumbnail = bytes.fromhex(head["facts"]), bytes.fromhex(head["thumbnail"])
            yield Upsert(head["id"], row, head["metadata"], facts, thumbnail)

    def counts(self, number: int) -> tuple[int, list[Failure]]:
        """Return how many items a block has, and its failures."""
        read = self._read(number)
        return len(read["items"]), [Failure(**each) for each in read["failures"]]

    def _read(self, number: int) -> dict[str, list[dict[str, Any]]]:
        read: dict[str, list[dict[str, Any]]] = orjson.loads(
            (self._folder / f"{number:08d}.json").read_bytes()
        )
        return read

    def _vectors(self, number: int) -> Path:
        return self._folder / f"{number:08d}.f32"
