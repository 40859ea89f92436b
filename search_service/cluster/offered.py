"""What a partitioned collection does not offer, and says so."""

from __future__ import annotations

from dataclasses import replace

from lookalike.wire.errors import Unsupported
from search_service.domain.collection import CollectionSpec
from search_service.domain.queries import QueryRequest


def check_duplicates(spec: CollectionSpec) -> None:
    """Hold that nothing is asked that no partition could do.

    Raises:
        Unsupported: a near-duplicate verdict, which needs all partitions.
    """
    if spec.duplicates.policy != "off":
        raise Unsupported(
            "a partitioned collection makes no near-duplicate verdict: set the policy off, and "
            "search before you store",
            field="settings.duplicates.policy",
        )


def check_names(spec: CollectionSpec) -> None:
    """Hold that a partitioned collection has vectors of one kind.

    Raises:
        Unsupported: it is to have vectors by name.
    """
    if spec.vectors:
        raise Unsupported(
            "a partitioned collection has no vectors by name: make a collection for each",
            field="settings.vectors",
        )


def check_offered(request: QueryRequest) -> QueryRequest:
    """Return a request that can be answered.

    Raises:
        Unsupported: it cannot.
    """
    if request.best_scores:
        raise Unsupported(
            "examples that count one by one (BEST_SCORE) are not offered by a partitioned "
            "collection: use EXAMPLE_MODE_MEAN",
            field="queries",
        )
    if request.ranking is not None and request.ranking.diversity:
        raise Unsupported(
            "diversity is not offered by a partitioned collection", field="ranking.diversity"
        )
    if request.group_by is not None and request.group_by.hits_per_group > 1:
        raise Unsupported(
            "a partitioned collection gives one hit of each group",
            field="group_by.hits_per_group",
        )
    return request


def asked_of_each(request: QueryRequest) -> QueryRequest:
    """Return what each partition is asked: all candidates, where they are ranked here."""
    if request.ranking is None:
        return request
    count = request.candidates
    ranking = replace(request.ranking, candidates=count)
    return replace(request, limit=count, ranking=ranking)
