"""Hits ordered by more than likeness, against a model in plain Python."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.wire.vectors import F32
from search_service.domain.conditions import Exists
from search_service.domain.mutations import Upsert
from search_service.domain.queries import QueryOutcome, QueryRequest
from search_service.domain.ranking import (
    BestScore,
    Boost,
    Decay,
    DecayShape,
    Linear,
    Logarithmic,
    Ranking,
)
from search_service.shard.shard import Shard
from tests.unit.search_service.shard.kit import STILL, build, create, make_spec, random_units

DIMENSION = 12
VECTORS = random_units(900, DIMENSION, seed=8)
DAY_US = 86_400_000_000.0


def _metadata(rng: random.Random) -> dict[str, Any]:
    held: dict[str, Any] = {}
    if rng.random() < 0.8:
        number = float(rng.randrange(120))
        held["likes"] = rng.choice((number, number, [number, 3.0], "12", True, None, []))
    if rng.random() < 0.8:
        day = datetime.fromtimestamp(rng.randrange(400) * 86_400, UTC)
        held["taken"] = day.isoformat().replace("+00:00", "Z")
    return held


_RNG = random.Random(4)
METADATA = [_metadata(_RNG) for _ in VECTORS]
NUMBER = Boost(("likes",), 0.4, Linear(0.0, 100.0), missing=0.1)
LOG = Boost(("likes",), -0.2, Logarithmic(0.0, 100.0))
RECENT = Boost(
    ("taken",), 0.5, Decay(DecayShape.GAUSS, 300 * DAY_US, 30 * DAY_US, DAY_US, 0.5), of_times=True
)
SHARP = Boost(("likes",), 0.3, Decay(DecayShape.EXPONENTIAL, 50.0, 5.0, 0.0, 0.25))
FLAT = Boost(("likes",), 1.0, Decay(DecayShape.LINEAR, 50.0, 20.0, 2.0, 0.5))


def _curve(boost: Boost, value: float) -> float:
    """The formulas of the contract, written out once more."""
    curve = boost.curve
    if isinstance(curve, Linear):
        return min(1.0, max(0.0, (value - curve.start) / (curve.end - curve.start)))
    if isinstance(curve, Logarithmic):
        if value <= curve.start:
            return 0.0
        return min(1.0, math.log(1 + value - curve.start) / math.log(1 + curve.end - curve.start))
    far = max(0.0, abs(value - curve.origin) - curve.offset) / curve.scale
    if curve.shape is DecayShape.LINEAR:
        return max(0.0, 1 - (1 - curve.at_scale) * far)
    return float(curve.at_scale ** (far if curve.shape is DecayShape.EXPONENTIAL else far**2))


def _added(boost: Boost, row: int) -> float:
    held = METADATA[row].get(boost.field[0])
    values: list[float] = []
    for value in held if isinstance(held, list) else [held]:
        if boost.of_times and isinstance(value, str):
            values.append(datetime.fromisoformat(value).timestamp() * 1e6)
        elif not boost.of_times and isinstance(value, float):
            values.append(value)
    curves = [_curve(boost, value) for value in values]
    return boost.weight * max(curves, default=boost.missing)


def _cosines(query: F32) -> F32:
    return (VECTORS.astype(np.float64) @ query.astype(np.float64)).astype(np.float32)


def _model(scores: dict[int, float], limit: int, diversity: float) -> list[int]:
    """The rows of the hits: candidates with their rank scores, chosen one by one."""
    left = sorted(scores, key=lambda row: (-scores[row], f"item-{row}"))
    chosen: list[int] = []
    while left and len(chosen) < limit:

        def gain(row: int) -> float:
            redundancy = max((float(_cosines(VECTORS[each])[row]) for each in chosen), default=0.0)
            return (1 - diversity) * scores[row] - diversity * redundancy

        best = max(left, key=gain) if diversity else left[0]
        chosen.append(best)
        left.remove(best)
    return chosen


@pytest.fixture(scope="module", params=["head", "graph"])
def shard(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shard]:
    made = create(tmp_path_factory.mktemp("ranking"), make_spec(DIMENSION), STILL)
    for start in range(0, len(VECTORS), 300):
        rows = range(start, start + 300)
        made.submit([Upsert(f"item-{row}", VECTORS[row], METADATA[row]) for row in rows]).result(60)
        if start == 300 and request.param == "graph":
            build(made)
    yield made
    made.close()


def _ask(shard: Shard, query: F32, **options: Any) -> QueryOutcome:
    options = {"exact": True, **options}
    return shard.query(QueryRequest(query[None, :], **options)).result(60)[0]


@pytest.mark.parametrize("boosts", [(NUMBER,), (LOG, RECENT), (SHARP, FLAT), (RECENT,)])
@pytest.mark.parametrize("diversity", [0.0, 0.5])
def test_hits_are_the_best_candidates_by_rank_score(
    shard: Shard, boosts: tuple[Boost, ...], diversity: float
) -> None:
    for row in (5, 77):
        cosines = _cosines(VECTORS[row])
        nearest = sorted(range(900), key=lambda r: (-cosines[r], f"item-{r}"))[:60]
        scores = {
            r: float(np.float32(float(cosines[r]) + sum(_added(b, r) for b in boosts)))
            for r in nearest
        }
        outcome = _ask(
            shard, VECTORS[row], limit=12, ranking=Ranking(boosts, diversity, candidates=60)
        )
        wanted = _model(scores, 12, diversity)
        assert [hit.id for hit in outcome.hits] == [f"item-{r}" for r in wanted]
        assert outcome.plan.ranked_candidates == 60
        for hit, r in zip(outcome.hits, wanted, strict=True):
            assert hit.score == pytest.approx(float(cosines[r]), abs=1e-6)
            assert hit.ranking is not None
            assert hit.ranking.rank_score == pytest.approx(scores[r], abs=1e-6)
            parts = [part.added for part in hit.ranking.boosts]
            assert parts == pytest.approx([_added(boost, r) for boost in boosts])
            assert (hit.ranking.redundancy is not None) == (diversity > 0 and r != wanted[0])


def test_a_ranking_is_complete_where_no_other_item_could_be_a_hit(shard: Shard) -> None:
    for candidates in (20, 60, 200, 900):
        outcome = _ask(
            shard, VECTORS[9], limit=5, ranking=Ranking((NUMBER,), candidates=candidates)
        )
        every = _ask(shard, VECTORS[9], limit=5, ranking=Ranking((NUMBER,), candidates=900))
        assert every.plan.ranking_complete
        if outcome.plan.ranking_complete:
            assert list(outcome.hits) == list(every.hits)
    assert not _ask(
        shard, VECTORS[9], limit=5, ranking=Ranking((FLAT,), candidates=20)
    ).plan.ranking_complete
    diverse = _ask(shard, VECTORS[9], limit=5, ranking=Ranking(diversity=0.3, candidates=899))
    assert not diverse.plan.ranking_complete


def test_the_floor_the_filter_and_what_is_left_out_hold_before_the_ranking(shard: Shard) -> None:
    options: dict[str, Any] = {
        "limit": 900,
        "ranking": Ranking((NUMBER,), 0.0, 900),
        "min_score": 0.2,
        "filter": Exists(("likes",)),
        "exclude": [frozenset({"item-4"})],
    }
    outcome = _ask(shard, VECTORS[4], **options)
    cosines = _cosines(VECTORS[4])
    wanted = {
        f"item-{row}"
        for row in range(900)
        if cosines[row] >= np.float32(0.2) and METADATA[row].get("likes") is not None and row != 4
    }
    assert {hit.id for hit in outcome.hits} == wanted
    assert len(wanted) > 10


def test_diversity_of_one_looks_at_nothing_but_redundancy(shard: Shard) -> None:
    outcome = _ask(shard, VECTORS[30], limit=6, ranking=Ranking(diversity=1.0, candidates=100))
    rows = [int(hit.id.removeprefix("item-")) for hit in outcome.hits]
    plain = _ask(shard, VECTORS[30], limit=6)
    near = [int(hit.id.removeprefix("item-")) for hit in plain.hits]

    def mean_likeness(of: list[int]) -> float:
        return float((VECTORS[of] @ VECTORS[of].T).mean())

    assert mean_likeness(rows) < mean_likeness(near)


def _best_model(best: BestScore, left_out: frozenset[str]) -> Callable[[int], float]:
    positive = np.max([_cosines(v) for v in best.positives], axis=0)
    negative = (
        np.max([_cosines(v) for v in best.negatives], axis=0) if len(best.negatives) else None
    )

    def score(row: int) -> float:
        p = float(positive[row])
        n = -9.0 if negative is None else float(negative[row])
        return p if p > n else p - n - 1.0

    return score


@pytest.mark.parametrize("negatives", [[], [11], [11, 300, 44]])
def test_examples_by_best_score_count_one_by_one(shard: Shard, negatives: list[int]) -> None:
    positives = [10, 500, 320]
    best = BestScore(VECTORS[positives], VECTORS[negatives].reshape(-1, DIMENSION))
    left_out = frozenset(f"item-{row}" for row in (*positives, *negatives))
    outcome = _ask(
        shard,
        VECTORS[10],
        limit=40,
        best_scores=(best,),
        exclude=[left_out],
        ranking=Ranking(candidates=900),
    )
    score = _best_model(best, left_out)
    rows = [row for row in range(900) if f"item-{row}" not in left_out]
    rows.sort(key=lambda row: (-score(row), f"item-{row}"))
    assert [hit.id for hit in outcome.hits] == [f"item-{row}" for row in rows[:40]]
    assert outcome.plan.ranking_complete
    hit = outcome.hits[0]
    assert hit.ranking is not None
    assert (hit.ranking.negative is not None) == bool(negatives)


def test_a_ranking_does_not_depend_on_the_company(shard: Shard) -> None:
    """Requests that share a ranking share a call; another's greater limit changes nothing."""
    ranking = Ranking((NUMBER,), 0.4)
    small = QueryRequest(VECTORS[60:62], limit=5, ranking=ranking, exact=True)
    large = QueryRequest(VECTORS[70:72], limit=8, ranking=ranking, exact=True)
    alone = shard.query(small).result(60)
    futures: list[Future[list[QueryOutcome]]] = []
    for _ in range(20):
        futures += [shard.query(large), shard.query(small)]
    answers = [future.result(60) for future in futures]
    for answer in answers[1::2]:
        assert [outcome.hits for outcome in answer] == [outcome.hits for outcome in alone]


def test_an_empty_collection_has_no_ranking(tmp_path: Path) -> None:
    made = create(tmp_path, make_spec(DIMENSION), STILL)
    best = BestScore(VECTORS[:2], VECTORS[2:3])
    for options in ({"ranking": Ranking((NUMBER,), 0.5)}, {"best_scores": (best,)}):
        outcome = _ask(made, VECTORS[0], **options)
        assert list(outcome.hits) == []
        assert outcome.plan.ranking_complete
    made.close()
