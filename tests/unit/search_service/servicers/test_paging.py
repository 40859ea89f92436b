from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.v1 import filter_pb2
from lookalike.wire.errors import PageTokenInvalid
from search_service.servicers.paging import make_token, read_token, scope_of

IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50)


@given(IDS)
def test_a_token_gives_back_its_place(last: str) -> None:
    scope = scope_of("items", "uid")
    assert read_token(scope, make_token(scope, last)) == last


@given(st.text(max_size=40).filter(bool))
def test_no_other_text_is_a_token(text: str) -> None:
    with pytest.raises(PageTokenInvalid):
        read_token(scope_of("items", "uid"), text)


def test_a_token_is_bound_to_kind_collection_and_filter() -> None:
    scopes = [
        scope_of("items", "uid"),
        scope_of("items", "other"),
        scope_of("aliases", "uid"),
        scope_of("items", "uid", filter_pb2.Filter(expression="a = 1")),
    ]
    token = make_token(scopes[0], "x")
    for scope in scopes[1:]:
        with pytest.raises(PageTokenInvalid):
            read_token(scope, token)
