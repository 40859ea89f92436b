"""The two lines in which a shard's requests wait: a long scan must not hold up the rest."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

from lookalike.wire.errors import DimensionMismatch
from search_service.domain.queries import QueryOutcome, QueryRequest
from search_service.shard.options import ShardOptions
from search_service.shard.search.answerer import Answerer
from search_service.shard.search.line import QueryLine


class QueryLines:
    """A line of what graphs answer, and one of what may compare everything."""

    def __init__(
        self,
        answerer: Answerer,
        when_filters_ready: Callable[[Callable[[], None]], None],
        dimension: int,
        options: ShardOptions,
    ) -> None:
        self._dimension = dimension
        self._graphs, self._scans = (
            QueryLine(answerer.answer, answerer.answer_here, when_filters_ready, options)
            for _ in range(2)
        )

    def start(self) -> None:
        """Begin to answer."""
        self._graphs.start()
        self._scans.start()

    def submit(self, request: QueryRequest) -> Future[list[QueryOutcome]]:
        """Put a request in line; its future fails at once where that cannot be."""
        done: Future[list[QueryOutcome]] = Future()
        if not self._fits(request):
            done.set_exception(
                DimensionMismatch.between(
                    "queries", got=request.vectors.shape[-1], want=self._dimension
                )
            )
        elif not len(request.vectors):
            done.set_result([])
        else:
            # A later page may compare everything, to rank again what stands before it.
            slow = request.exact or (request.after is not None and request.after.rank > 0)
            return (self._scans if slow else self._graphs).submit(request)
        return done

    def answer_here(self, request: QueryRequest) -> list[QueryOutcome] | None:
        """Answer a request on the caller's thread; see `QueryLine.answer_here`."""
        return self._graphs.answer_here(request) if self._fits(request) else None

    def close(self) -> None:
        """Finish the calls that run; refuse the rest."""
        self._graphs.close()
        self._scans.close()

    def _fits(self, request: QueryRequest) -> bool:
        return request.vectors.shape[1:] == (self._dimension,)
