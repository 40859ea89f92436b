"""What an analysis says until it ends."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable
from typing import Protocol, TypeAlias, TypeVar

from lookalike.v1 import progress_pb2
from lookalike_client import convert
from lookalike_client.types import AnalysisProgress

# An analysis of a million items takes minutes, beside the searches longer.
LONG_TIMEOUT_S = 6 * 3_600.0

OnProgress: TypeAlias = Callable[[AnalysisProgress], object]


class _Said(Protocol):
    @property
    def progress(self) -> progress_pb2.AnalysisProgress: ...


S = TypeVar("S", bound=_Said)


async def answers(stream: AsyncIterable[S], on_progress: OnProgress | None) -> list[S]:
    """Read an analysis to its end and return what it said but its progress."""
    gathered: list[S] = []
    async for said in stream:
        if not said.progress.stage:
            gathered.append(said)
        elif on_progress is not None:
            on_progress(convert.analysis_progress(said.progress))
    return gathered
