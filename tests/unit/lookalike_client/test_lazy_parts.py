"""Hits and items whose parts are made when they are read are like any others."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from collections.abc import Callable

import pytest
from google.protobuf.json_format import ParseDict

from lookalike.v1 import search_pb2
from lookalike_client import Hit, HitRanking, Item, Metadata, SearchResult, convert

METADATA: Metadata = {"n": 1, "x": 1.5, "deep": {"list": [True, None, "ü"]}, "big": 2**53}


def answer(*, as_json: bool) -> search_pb2.QueryResult:
    message = search_pb2.QueryResult()
    hit = message.hits.add(id="a", score=0.5)
    hit.item.version = 3
    hit.item.update_time.seconds = 1
    if as_json:
        hit.item.metadata_json = json.dumps(METADATA).encode()
    else:
        ParseDict(dict(METADATA), hit.item.metadata)
    return message


def result(*, as_json: bool = True) -> SearchResult:
    return convert.search_result(answer(as_json=as_json))


@pytest.mark.parametrize("as_json", [True, False], ids=["text", "message"])
def test_a_hit_holds_what_was_sent(as_json: bool) -> None:
    (hit,) = result(as_json=as_json).hits
    assert (hit.id, hit.score, hit.metadata) == ("a", 0.5, METADATA)
    kinds = {"n": int, "x": float, "deep": dict, "big": int}
    assert {key: type(value) for key, value in hit.metadata.items()} == kinds
    assert hit.item is not None
    assert (hit.item.id, hit.item.version, hit.item.metadata) == ("a", 3, METADATA)
    assert hit.item.vector is None
    assert hit.metadata is hit.metadata, "made once"
    assert hit.item is hit.item


@pytest.mark.parametrize("with_item", [True, False])
def test_a_hit_says_what_ordered_it_whatever_it_carries(with_item: bool) -> None:
    message = answer(as_json=True)
    ranked, plain = message.hits[0], message.hits.add(id="b", score=0.25)
    ranked.rank_score = 0.75
    ranked.ranking.redundancy = 0.5
    if not with_item:
        ranked.ClearField("item")
    first, second = convert.search_result(message).hits
    assert plain.id == second.id == "b"
    assert (first.rank_score, first.ranking) == (0.75, HitRanking([], redundancy=0.5))
    assert (first.metadata, first.item is None) == (METADATA if with_item else {}, not with_item)
    assert second == Hit("b", 0.25)
    assert (second.rank_score, second.ranking, second.item) == (None, None, None)


def test_a_part_that_was_not_read_counts_when_hits_are_compared_copied_and_printed() -> None:
    (read,) = result(as_json=False).hits
    assert read.item is not None
    plain = Hit("a", 0.5, METADATA, Item("a", 3, read.item.update_time, METADATA))
    likes: list[Callable[[Hit], Hit]] = [
        lambda hit: hit,
        copy.copy,
        copy.deepcopy,
        lambda hit: pickle.loads(pickle.dumps(hit)),
        lambda hit: dataclasses.replace(hit, score=0.5),
    ]
    for like in likes:
        (hit,) = result().hits
        assert like(hit) == plain
    assert repr(result().hits[0]) == repr(plain)
    assert dataclasses.asdict(result().hits[0])["metadata"] == METADATA
    assert json.loads(json.dumps(result().hits[0].metadata)) == METADATA


def test_hits_cannot_be_changed_and_have_no_other_attributes() -> None:
    (hit,) = result().hits
    with pytest.raises(dataclasses.FrozenInstanceError):
        hit.score = 1.0  # type: ignore[misc]
    assert not hasattr(hit, "title")
    with pytest.raises(AttributeError, match="'Hit' object has no attribute 'title'"):
        hit.title  # type: ignore[attr-defined]  # noqa: B018


def test_a_hit_without_fields_has_empty_metadata() -> None:
    message = search_pb2.QueryResult()
    message.hits.add(id="a", score=1.0)
    assert convert.search_result(message).hits == [Hit("a", 1.0, {}, None)]
