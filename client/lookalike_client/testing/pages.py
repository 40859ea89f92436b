"""Tokens of the pages of a search in the fake service."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json

from lookalike.v1 import search_pb2
from lookalike.wire.errors import InvalidField, PageTokenInvalid

MAX_HITS = 100_000
_OF_ONE_PAGE = ("collection", "limit", "fields", "explain", "paged", "page_token")
_OF_A_SEARCH = frozenset(
    (
        *_OF_ONE_PAGE,
        *("queries", "filter", "min_score"),
        *("exact", "expansion_search", "exclude_ids"),
    )
)


class SearchPage:
    """The page that a request asks for: hits after (-score, id), of which `rank` came before."""

    def __init__(self, request: search_pb2.SearchRequest, uid: str) -> None:
        """Read it.

        Raises:
            InvalidField: the request cannot be answered page by page.
            PageTokenInvalid: the token is not one of this search.
        """
        if len(request.queries) != 1:
            raise InvalidField("queries", "a search page by page takes one query")
        for descriptor, _ in request.ListFields():
            if descriptor.name not in _OF_A_SEARCH:
                raise InvalidField(descriptor.name, "cannot be given for a search page by page")
        bound = search_pb2.SearchRequest()
        bound.CopyFrom(request)
        for name in _OF_ONE_PAGE:
            bound.ClearField(name)  # type: ignore[arg-type]  # names of fields
        text = uid.encode() + bound.SerializeToString(deterministic=True)
        self._digest = hashlib.sha256(text).hexdigest()[:24]
        self.after, self.rank = self._read(request.page_token)

    def next_token(self, score: float, item_id: str, rank: int) -> str:
        """Return the token of the page after a hit."""
        if rank >= MAX_HITS:
            return ""
        return base64.b64encode(json.dumps([score, item_id, rank, self._digest]).encode()).decode()

    def _read(self, token: str) -> tuple[tuple[float, str], int]:
        if not token:
            return (-2.0, ""), 0
        try:
            score, item_id, rank, digest = json.loads(base64.b64decode(token, validate=True))
        except (ValueError, TypeError, binascii.Error) as error:
            raise _not_of_this_search() from error
        if digest != self._digest:
            raise _not_of_this_search()
        return (-score, item_id), rank


def _not_of_this_search() -> PageTokenInvalid:
    return PageTokenInvalid("page_token", "the page token is not one of this search")
