"""Sums over names: of items with many vectors, with a least score, and with little time."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lookalike.wire.errors import DeadlineExceeded
from search_service.domain.collection import NamedVectors
from search_service.domain.items import Fields
from search_service.domain.mutations import Upsert
from search_service.domain.queries import QueryRequest
from search_service.shard.shard import Shard
from search_service.shard.summing import Part, search_sum
from search_service.store.answer_size import MAX_READ_BYTES
from tests.unit.search_service.shard.kit import create, make_spec, random_units


def parts_of(own: np.ndarray, style: np.ndarray) -> list[Part]:
    return [Part("", 0, 1.0, own[None, :]), Part("style", 1, 1.0, style[None, :])]


def made(directory: Path, dimension: int, items: int, further: int) -> tuple[Shard, list[Part]]:
    """Return a shard of items with random vectors, and what the first of them is like."""
    spec = replace(make_spec(dimension), vectors=(NamedVectors("style", 4, ""),))
    shard = create(directory, spec)
    own = random_units(items, dimension, seed=1)
    styles = random_units(items, 4, seed=2)
    more = tuple(random_units(further, dimension, seed=3)) if further else ()
    for start in range(0, items, 50):
        shard.submit(
            [
                Upsert(f"{n:03}", own[n], further=more, named={"style": (styles[n],)})
                for n in range(start, min(start + 50, items))
            ]
        ).result(60)
    return shard, parts_of(own[0], styles[0])


def test_items_with_many_vectors_are_read_a_few_at_a_time(tmp_path: Path) -> None:
    shard, parts = made(tmp_path, 4_096, items=100, further=41)
    assert MAX_READ_BYTES < 100 * 42 * 4_096 * 4
    (outcome,) = search_sum(shard, parts, QueryRequest(parts[0].vectors, limit=3))
    assert outcome.hits[0].id == "000"
    assert outcome.hits[0].score == pytest.approx(1.0)
    shard.close()


def test_a_least_score_that_no_other_item_can_have_ends_the_search(tmp_path: Path) -> None:
    shard, parts = made(tmp_path, 8, items=300, further=0)
    request = QueryRequest(parts[0].vectors, limit=3, min_score=0.99, fields=Fields(metadata=True))
    (outcome,) = search_sum(shard, parts, request)
    assert [hit.id for hit in outcome.hits] == ["000"]
    assert outcome.hits[0].item is not None
    assert outcome.plan.ranking_complete
    assert outcome.plan.ranked_candidates < 300
    shard.close()


def test_a_sum_ends_with_its_deadline(tmp_path: Path) -> None:
    shard, parts = made(tmp_path, 8, items=10, further=0)
    with pytest.raises(DeadlineExceeded):
        search_sum(shard, parts, QueryRequest(parts[0].vectors, deadline_s=time.monotonic() - 1))
    shard.close()
