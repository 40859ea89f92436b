"""Text conditions and `any` on a shard, through changes and a start, against a plain model."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

from search_service.domain.mutations import Delete, Mutation, UpdateMetadata, Upsert
from search_service.domain.queries import QueryRequest
from search_service.filters.text import parse_filter
from search_service.shard.shard import Shard
from tests.unit.search_service.filters.reference import meets
from tests.unit.search_service.shard.kit import STILL, create, make_spec, random_units, reopen

VECTORS = random_units(1_500, 8, seed=2)
# Saved at close and read again, however few the items are.
OPTIONS = replace(STILL, filters_save_items=0)
QUESTIONS = [
    'caption icontains "STRASSE" and not caption matches "7$"',
    'caption istartswith "photo" or caption endswith "9"',
    'any(tags, name = "red" and sure >= 0.5)',
    'any(tags, name matches "^(red|blue)$" and not sure < 0.5) and caption contains "1"',
    'not any(tags, name iequals "RED")',
]


def _metadata(rng: random.Random) -> dict[str, Any]:
    caption = f"{rng.choice(('Photo', 'Straße', 'Bild', '写真'))} {rng.randrange(10**6)}"
    tags = [
        {"name": rng.choice(("red", "Red", "blue")), "sure": rng.randrange(11) / 10}
        for _ in range(rng.randrange(3))
    ]
    return rng.choice(({"caption": caption, "tags": tags}, {"caption": caption}, {"tags": tags}))


def _check(shard: Shard, model: dict[str, dict[str, Any]]) -> None:
    for text in QUESTIONS:
        filter = parse_filter(text)
        want = {id for id, held in model.items() if meets(filter, held)}
        assert 0 < len(want) < len(model)
        assert shard.count(filter) == len(want)
        request = QueryRequest(VECTORS[:1], limit=len(VECTORS), filter=filter)
        (outcome,) = shard.query(request).result(60)
        assert {hit.id for hit in outcome.hits} == want, text
        assert outcome.plan.filter_matches == len(want)


def test_conditions_hold_through_changes_and_a_start(tmp_path: Path) -> None:
    rng = random.Random(6)
    model = {f"item-{row}": _metadata(rng) for row in range(len(VECTORS))}
    shard = create(tmp_path, make_spec(8), OPTIONS)
    upserts = [Upsert(id, VECTORS[row], model[id]) for row, id in enumerate(model)]
    for start in range(0, len(upserts), 500):
        shard.submit(upserts[start : start + 500]).result(60)
    _check(shard, model)
    changes: list[Mutation] = []
    for id in rng.sample(sorted(model), 600):
        if rng.random() < 0.4:
            del model[id]
            changes.append(Delete(id))
        else:
            model[id] = _metadata(rng)
            changes.append(UpdateMetadata(id, model[id]))
    shard.submit(changes).result(60)
    _check(shard, model)
    shard.close()
    shard = reopen(tmp_path, OPTIONS)
    _check(shard, model)
    shard.submit([UpdateMetadata(id, {"caption": "Straße 1"}) for id in list(model)[:50]]).result(
        60
    )
    model |= {id: {"caption": "Straße 1"} for id in list(model)[:50]}
    _check(shard, model)
    shard.close()
