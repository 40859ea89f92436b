"""Tokens of the pages of a search: where a page ended, and what it was a page of.

A token holds the last hit's score and id, and the query's vector unless the request
does: so it stays true when the stored item that is looked for is replaced, and an
image is embedded once.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from lookalike.v1 import search_pb2
from lookalike.wire import vectors
from lookalike.wire.errors import InvalidField, PageTokenInvalid
from search_service import limits
from search_service.domain.arrays import F32
from search_service.domain.queries import BEFORE_ALL, HitPlace
from search_service.servicers.paging import scope_of, seal, unseal
from search_service.servicers.targets import Targets, stored_ids
from search_service.servicers.vectors import unit_vector

# Score, rank, bytes of the id; then the id and the vector.
_HEADER = struct.Struct("<fIH")
# What may differ between the pages of a search.
_OF_ONE_PAGE = (
    *("collection", "limit", "fields", "explain"),
    *("paged", "page_token"),
    *("read_position", "allow_partial"),
)
# What a search page by page may say besides: with this its hits are in the order of their
# scores, and their places known from a score and an id.
_OF_A_SEARCH = frozenset(
    (
        *_OF_ONE_PAGE,
        *("queries", "filter", "min_score", "vectors"),
        *("exact", "expansion_search", "exclude_ids"),
    )
)
_REFUSED = "cannot be given for a search page by page"


@dataclass(frozen=True, slots=True)
class SearchPage:
    """The page that a request asks for; `vector`, float32 [D], is its token's, or None."""

    after: HitPlace
    limit: int
    vector: F32 | None
    scope: bytes
    query: search_pb2.Query

    def targets(self) -> Targets | None:
        """Return what is looked for; None where the request says it."""
        if self.vector is None:
            return None
        return Targets(self.vector[None, :], [stored_ids(self.query)], 0.0)

    def next_token(self, end: HitPlace | None, vector: F32) -> str:
        """Return the token of the next page, "" where there is none; `vector` is the query's."""
        if end is None or end.rank >= limits.MAX_HITS:
            return ""
        item_id = end.id.encode()
        header = _HEADER.pack(end.score, end.rank, len(item_id))
        given = self.query.WhichOneof("target") == "vector_f32_le"
        return seal(self.scope, header + item_id + (b"" if given else vectors.encode(vector)))


def read_page(request: search_pb2.SearchRequest, uid: str, dimension: int) -> SearchPage | None:
    """Return which page of collection `uid` a request asks for; None: it asks for no page.

    Raises:
        InvalidField: the request cannot be answered page by page.
        PageTokenInvalid: the token is not one of this search.
    """
    if not (request.paged or request.page_token):
        return None
    if len(request.queries) != 1:
        raise InvalidField("queries", "a search page by page takes one query")
    _check_fields(request)
    if request.queries[0].examples.mode == search_pb2.EXAMPLE_MODE_BEST_SCORE:
        raise InvalidField("queries[0].examples.mode", _REFUSED)
    bound = search_pb2.SearchRequest()
    bound.CopyFrom(request)
    for name in _OF_ONE_PAGE:
        bound.ClearField(name)  # type: ignore[arg-type]  # names of fields
    scope = scope_of("search", uid, bound)
    after, vector = _read(scope, request.page_token, dimension)
    limit = min(request.limit or limits.DEFAULT_LIMIT, limits.MAX_HITS - after.rank)
    return SearchPage(after, limit, vector, scope, request.queries[0])


def _check_fields(request: search_pb2.SearchRequest) -> None:
    """Refuse what pages cannot be made with."""
    for descriptor, _ in request.ListFields():
        if descriptor.name not in _OF_A_SEARCH:
            raise InvalidField(descriptor.name, _REFUSED)


def _read(scope: bytes, token: str, dimension: int) -> tuple[HitPlace, F32 | None]:
    if not token:
        return BEFORE_ALL, None
    try:
        content = unseal(scope, token)
        score, rank, length = _HEADER.unpack_from(content)
        item_id = content[_HEADER.size : _HEADER.size + length].decode()
        data = content[_HEADER.size + length :]
    except (PageTokenInvalid, struct.error, UnicodeDecodeError) as error:
        raise _not_of_this_search() from error
    if not np.isfinite(score) or rank >= limits.MAX_HITS:
        raise _not_of_this_search()
    vector = unit_vector(data, dimension, "page_token") if data else None  # which keeps its bytes
    return HitPlace(score, item_id, rank), vector


def _not_of_this_search() -> PageTokenInvalid:
    return PageTokenInvalid(
        "page_token",
        "the page token is not one of this search: ask what the page before asked, of the same "
        "collection, or start again without it",
    )
