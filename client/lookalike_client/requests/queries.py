"""Requests that search and count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypedDict

from lookalike.v1 import search_pb2
from lookalike.wire.errors import InvalidField
from lookalike_client.boosts import Boost
from lookalike_client.inputs import ImageLike, Query, image_bytes
from lookalike_client.lists import listed, texts
from lookalike_client.requests.bounds import not_negative
from lookalike_client.requests.filters import FilterLike, condition
from lookalike_client.requests.items import item_fields
from lookalike_client.types import WITH_METADATA, Fields


class SearchOptions(TypedDict, total=False):
    """What queries of one request share.

    `filter` is text such as `category = "shoes" and price < 50`, or a message.
    `limit` is the most hits a query (default 10), `min_score` the least cosine.
    `exact` scans everything; `expansion_search` overrides the collection's own.
    `fields` says what a hit carries (default: metadata); `explain` asks for the
    plan. `group_by` names a metadata field: results then hold up to `limit`
    groups, of up to `hits_per_group` hits (default 1) that share its value.
    `boosts` are added to the scores (`Boost`, or its text), and `diversity`, 0 to 1,
    prefers hits that differ from each other (maximal marginal relevance); both choose
    from the `candidates` nearest items (default 4 times `limit`, 100 at least). `vectors` is
    the name of the vectors to search by, or names with their weights, "" for the items' own.

    On a cluster, `read_position` has the answer see what was acknowledged up to the
    `position` of a `MutationResult`, whichever front stored it. `allow_partial` takes an
    answer without the partitions that cannot answer now: `SearchResult.partial` names
    them. Otherwise the search fails.
    """

    limit: int
    filter: FilterLike
    min_score: float | None
    exact: bool
    expansion_search: int
    fields: Fields
    exclude_ids: Iterable[str]
    explain: bool
    group_by: str
    hits_per_group: int
    boosts: Sequence[Boost | str]
    diversity: float
    candidates: int
    vectors: str | Mapping[str, float]
    read_position: int
    allow_partial: bool


def make_vectors(collection: str, images: Sequence[ImageLike]) -> search_pb2.MakeVectorsRequest:
    """Return a request for the vectors of pictures.

    Raises:
        LookalikeError: a picture cannot be read, or is too large.
    """
    return search_pb2.MakeVectorsRequest(
        collection=collection, images=[image_bytes(image) for image in listed("images", images)]
    )


def search(
    collection: str, queries: Sequence[Query], options: SearchOptions
) -> search_pb2.SearchRequest:
    """Return a search request."""
    return search_pb2.SearchRequest(
        collection=collection,
        queries=[query.message for query in queries],
        limit=not_negative(options.get("limit", 0), "limit"),
        filter=condition(options.get("filter")),
        min_score=options.get("min_score"),
        exact=options.get("exact", False),
        expansion_search=not_negative(options.get("expansion_search", 0), "expansion_search"),
        fields=item_fields(options.get("fields", WITH_METADATA)),
        exclude_ids=texts("exclude_ids", options.get("exclude_ids", ())),
        explain=options.get("explain", False),
        group_by=_group_by(options),
        ranking=_ranking(options),
        vectors=_weights(options.get("vectors", {})),
        read_position=not_negative(options.get("read_position", 0), "read_position", bits=64),
        allow_partial=options.get("allow_partial", False),
    )


def facets(
    collection: str, field: str, filter: FilterLike, limit: int
) -> search_pb2.CountFacetsRequest:
    """Return a request for the values of a field."""
    return search_pb2.CountFacetsRequest(
        collection=collection,
        field=field,
        filter=condition(filter),
        limit=not_negative(limit, "limit"),
    )


def _weights(vectors: str | Mapping[str, float]) -> list[search_pb2.VectorWeight]:
    if isinstance(vectors, str):
        return [search_pb2.VectorWeight(name=vectors)]
    if not isinstance(vectors, Mapping):
        raise InvalidField("vectors", "must be a name, or names with their weights")
    return [search_pb2.VectorWeight(name=name, weight=each) for name, each in vectors.items()]


def _ranking(options: SearchOptions) -> search_pb2.Ranking | None:
    boosts = [
        Boost.parse(each) if isinstance(each, str) else each
        for each in listed("boosts", options.get("boosts", ()))
    ]
    diversity = options.get("diversity", 0.0)
    candidates = not_negative(options.get("candidates", 0), "candidates")
    if not (boosts or diversity or candidates):
        return None
    return search_pb2.Ranking(
        boosts=[each.message for each in boosts], diversity=diversity, candidates=candidates
    )


def _group_by(options: SearchOptions) -> search_pb2.GroupBy | None:
    field = options.get("group_by", "")
    hits = not_negative(options.get("hits_per_group", 0), "hits_per_group")
    if not field and hits:
        raise InvalidField("hits_per_group", "name the field to group by: group_by")
    return search_pb2.GroupBy(field=field, hits_per_group=hits) if field else None
