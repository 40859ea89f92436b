"""Items with several vectors, against a dictionary; restarts and builds included."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lookalike.wire.vectors import F32
from search_service.domain.conditions import Equals
from search_service.domain.items import Fields
from search_service.domain.mutations import Delete, MutationStatus, UpdateMetadata
from search_service.domain.queries import BEFORE_ALL, GroupBy, Hit, HitPlace, QueryRequest
from search_service.domain.ranking import BestScore
from tests.unit.search_service.shard.kit import build, create, make_spec, reopen
from tests.unit.search_service.shard.several import DIMENSION, VECTORS, checked, item, same_hits

ids = st.sampled_from([f"id-{number}" for number in range(7)])
rows = st.lists(st.integers(0, len(VECTORS) - 1), min_size=1, max_size=5)
queries = st.integers(0, len(VECTORS) - 1)
colours = st.sampled_from(["red", "green"])


@dataclass
class Held:
    rows: list[int]
    colour: str


def cosines(query: int) -> F32:
    wide = VECTORS.astype(np.float64)
    scores: F32 = np.minimum((wide @ wide[query]).astype(np.float32), np.float32(1))
    return scores


def best(held: Held, scores: F32) -> tuple[float, int]:
    """The greatest score of an item's vectors, and the first of those that have it."""
    mine = scores[held.rows]
    return float(mine.max()), int(mine.argmax())


class AgainstADictionary(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="shard-"))
        self.model: dict[str, Held] = {}

    @initialize()
    def begin(self) -> None:
        self.shard = create(self.directory, make_spec(DIMENSION))

    @rule(changes=st.lists(st.tuples(ids, rows, colours), min_size=1, max_size=5))
    def upsert(self, changes: list[tuple[str, list[int], str]]) -> None:
        mutations = [item(id, some, colour) for id, some, colour in changes]
        outcomes = self.shard.submit(mutations).result(30)
        assert {outcome.status for outcome in outcomes} == {MutationStatus.APPLIED}
        self.model |= {id: Held(some, colour) for id, some, colour in changes}

    @rule(id=ids, colour=colours)
    def recolour(self, id: str, colour: str) -> None:
        self.shard.submit([UpdateMetadata(id, {"colour": colour}, if_other=True)]).result(30)
        if id in self.model:
            self.model[id].colour = colour

    @rule(id=ids)
    def delete(self, id: str) -> None:
        self.shard.submit([Delete(id)]).result(30)
        self.model.pop(id, None)

    @rule()
    def restart(self) -> None:
        self.shard.close()
        self.shard = reopen(self.directory)

    @rule()
    def index_everything(self) -> None:
        build(self.shard)

    @rule(query=queries, limit=st.integers(1, 8), colour=st.none() | colours, exact=st.booleans())
    def search(self, query: int, limit: int, colour: str | None, exact: bool) -> None:
        request = QueryRequest(
            VECTORS[query][None, :],
            limit=limit,
            filter=None if colour is None else Equals(("colour",), colour),
            exact=exact,
        )
        outcome = self.shard.query(request).result(30)[0]
        want = self.ranked(query, colour)
        same_hits(outcome.hits, want[:limit])
        assert outcome.plan.items == len(self.model)
        assert outcome.plan.filter_matches == len(want)

    @rule(query=queries, limit=st.integers(1, 3))
    def page_through(self, query: int, limit: int) -> None:
        found: list[Hit] = []
        after: HitPlace | None = BEFORE_ALL
        while after is not None:
            request = QueryRequest(VECTORS[query][None, :], limit=limit, after=after)
            outcome = self.shard.query(request).result(30)[0]
            found += outcome.hits
            after = outcome.page_end
        same_hits(found, self.ranked(query, None))

    @rule(query=queries, limit=st.integers(1, 2), each=st.integers(1, 4))
    def group(self, query: int, limit: int, each: int) -> None:
        by = GroupBy(("colour",), each)
        request = QueryRequest(VECTORS[query][None, :], limit=limit, group_by=by)
        groups = self.shard.query(request).result(30)[0].groups
        want: dict[str, list[tuple[float, str, int]]] = {}
        for place in self.ranked(query, None):
            want.setdefault(self.model[place[1]].colour, []).append(place)
        assert [group.value for group in groups] == list(want)[:limit]
        for group in groups:
            same_hits(group.hits, want[str(group.value)][:each])

    @rule(positives=st.lists(queries, min_size=1, max_size=3), negative=queries)
    def best_score(self, positives: list[int], negative: int) -> None:
        request = QueryRequest(
            VECTORS[positives[0]][None, :],
            limit=9,
            best_scores=(BestScore(VECTORS[positives], VECTORS[[negative]]),),
        )
        hits = self.shard.query(request).result(30)[0].hits
        against = cosines(negative)
        want = []
        for id, held in self.model.items():
            near = max(best(held, cosines(query))[0] for query in positives)
            far = best(held, against)[0]
            want.append((-(near if near > far else near - far - 1), id))
        assert sorted(hit.id for hit in hits) == sorted(self.model)
        got = [(-hit.ranking.rank_score, hit.id) for hit in hits if hit.ranking]
        np.testing.assert_allclose(
            [score for score, _ in got], [score for score, _ in sorted(want)], atol=1e-6
        )

    @invariant()
    def same_items(self) -> None:
        if not hasattr(self, "shard"):
            return
        fields = Fields(metadata=True, vector=True)
        page = self.shard.list_items(filter=None, after_id="", page_size=100, fields=fields)
        assert [one.id for one in page] == sorted(self.model)
        assert self.shard.stats().items == self.shard.count(None) == len(self.model)
        red = sum(held.colour == "red" for held in self.model.values())
        assert self.shard.count(Equals(("colour",), "red")) == red
        facets = self.shard.facets(("colour",), None, 9)
        assert facets.items == sum(count for _, count in facets.counts) == len(self.model)
        read = self.shard.get(sorted(self.model), fields)
        for one, again in zip(page, read, strict=True):
            assert again is not None
            held = self.model[one.id]
            assert one.metadata == {"colour": held.colour}
            for kept in (one, again):
                assert kept.vector is not None
                vectors = [kept.vector, *kept.further]
                assert [each.tolist() for each in vectors] == VECTORS[held.rows].tolist()

    def ranked(self, query: int, colour: str | None) -> list[tuple[float, str, int]]:
        scores = cosines(query)
        found = [
            (*best(held, scores), id)
            for id, held in self.model.items()
            if colour in (None, held.colour)
        ]
        return sorted(
            ((score, id, place) for score, place, id in found), key=lambda one: (-one[0], one[1])
        )

    def teardown(self) -> None:
        if hasattr(self, "shard"):
            self.shard.close()
            health = checked(self.directory)
            shutil.rmtree(self.directory)
            assert health.damage == ""


AgainstADictionary.TestCase.settings = settings(
    max_examples=3,
    stateful_step_count=14,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestAgainstADictionary = AgainstADictionary.TestCase
