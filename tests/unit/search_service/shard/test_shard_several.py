"""Items with several vectors, against a dictionary; restarts, builds and snapshots included."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import apsw
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lookalike.wire.errors import DimensionMismatch
from lookalike.wire.vectors import F32
from search_service.domain.collection import DuplicatePolicy, DuplicateSettings
from search_service.domain.conditions import Equals
from search_service.domain.items import Fields
from search_service.domain.mutations import Delete, MutationStatus, UpdateMetadata, Upsert
from search_service.domain.queries import BEFORE_ALL, GroupBy, Hit, HitPlace, QueryRequest
from search_service.domain.ranking import BestScore, Ranking
from search_service.shard.shard import STORE, Shard
from search_service.store import schema
from search_service.store.checker import look
from search_service.store.damage import StoreHealth
from search_service.store.schema import open_reader
from tests.unit.search_service.shard.kit import (
    build,
    create,
    make_spec,
    random_units,
    reopen,
    seal,
    unit,
)

DIMENSION = 4
VECTORS = random_units(24, DIMENSION, seed=3)
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


def item(id: str, rows: list[int], colour: str = "red") -> Upsert:
    further = tuple(VECTORS[row] for row in rows[1:])
    return Upsert(id, VECTORS[rows[0]], {"colour": colour}, further=further)


def same_hits(hits: object, want: list[tuple[float, str, int]]) -> None:
    assert isinstance(hits, list | tuple)
    assert [hit.id for hit in hits] == [id for _, id, _ in want]
    np.testing.assert_allclose(
        [hit.score for hit in hits], [score for score, _, _ in want], atol=1e-7
    )
    assert [hit.matched for hit in hits] == [place for _, _, place in want]


def checked(directory: Path) -> StoreHealth:
    """Read a closed store through."""
    health = StoreHealth("photos")
    db = open_reader(directory / STORE, "")
    look(db, DIMENSION, health)
    db.close()
    return health


def form(directory: Path) -> int:
    db = open_reader(directory / STORE, "")
    try:
        return int(db.pragma("user_version"))
    finally:
        db.close()


def test_a_store_has_the_format_of_earlier_releases_until_an_item_has_several(
    tmp_path: Path,
) -> None:
    shard = create(tmp_path, make_spec(DIMENSION))
    shard.submit([item("one", [0])]).result(30)
    assert form(tmp_path) not in schema.SEVERAL_FORMATS

    shard.submit([item("two", [1, 2])]).result(30)
    assert form(tmp_path) in schema.SEVERAL_FORMATS
    shard.close()

    again = reopen(tmp_path)
    assert again.count(None) == 2
    again.close()


def test_items_whose_vectors_fill_the_top_leave_room_for_others(tmp_path: Path) -> None:
    """Sixty-four vectors next to the query are one hit; graph, codes and head alike."""
    vectors = random_units(3_000, 8, seed=5)
    crowd = [vectors[0], *np.repeat(vectors[:1], 63, axis=0)]
    shard = create(tmp_path, make_spec(8))
    mutations = [Upsert(f"{n:04}", vectors[n], {"odd": n % 2}) for n in range(3_000)]
    mutations += [
        Upsert(f"crowd-{n}", crowd[0], {"odd": 2}, further=tuple(crowd[1:])) for n in range(3)
    ]
    shard.submit(mutations).result(60)

    def check(shard: Shard) -> None:
        for options in ({}, {"exact": True}, {"min_score": -0.5}):
            request = QueryRequest(vectors[:1], limit=12, **options)
            hits = shard.query(request).result(60)[0].hits
            want = np.sort(-(vectors.astype(np.float64) @ vectors[0]))[1:9]
            assert [hit.id for hit in hits[:4]] == ["0000", "crowd-0", "crowd-1", "crowd-2"]
            np.testing.assert_allclose([-hit.score for hit in hits[4:]], want, atol=1e-6)

    check(shard)
    shard = seal(shard, tmp_path)
    check(shard)
    build(shard)
    check(shard)
    shard.close()


def test_all_vectors_of_an_item_are_held_to_the_dimension(tmp_path: Path) -> None:
    shard = create(tmp_path, make_spec(DIMENSION))
    wrong = Upsert("a", VECTORS[0], further=(VECTORS[1], unit(1, 0)))
    assert isinstance(shard.submit([wrong]).result(30)[0].error, DimensionMismatch)
    assert shard.count(None) == 0
    shard.close()


def test_a_duplicate_of_any_vector_is_met(tmp_path: Path) -> None:
    policy = DuplicateSettings(DuplicatePolicy.REJECT, 0.99)
    shard = create(tmp_path, make_spec(DIMENSION, duplicates=policy))
    axes = np.eye(DIMENSION, dtype=np.float32)
    first = Upsert("a", axes[0], further=(axes[1],))
    assert shard.submit([first]).result(30)[0].status is MutationStatus.APPLIED
    # Another's further vector is like a further one that is stored, or stored just before.
    again = Upsert("b", axes[2], further=(axes[1],))
    fresh = Upsert("c", axes[3])
    like_fresh = Upsert("d", axes[2], further=(axes[3],))
    outcomes = shard.submit([again, fresh, like_fresh]).result(30)
    assert [outcome.near_duplicate and outcome.near_duplicate.id for outcome in outcomes] == [
        "a",
        None,
        "c",
    ]
    # Its own do not count.
    assert shard.submit([first]).result(30)[0].status is MutationStatus.APPLIED
    shard.close()


def test_variety_is_among_the_vectors_that_made_the_scores(tmp_path: Path) -> None:
    shard = create(tmp_path, make_spec(DIMENSION))
    near, alike, other = unit(1, 0.1, 0, 0), unit(1, 0.11, 0, 0), unit(1, 0, 0.9, 0)
    far = unit(0, 0, 0, 1)
    shard.submit(
        [
            Upsert("a", far, further=(near,)),
            Upsert("b", alike, further=(far,)),
            Upsert("c", other, further=(far,)),
        ]
    ).result(30)
    query = unit(1, 0.1, 0, 0)[None, :]
    hits = shard.query(QueryRequest(query, limit=2, ranking=Ranking(diversity=0.7))).result(30)
    assert [(hit.id, hit.matched) for hit in hits[0].hits] == [("a", 1), ("c", 0)]
    shard.close()


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM further_vectors WHERE ordinal = 2",
        "UPDATE further_vectors SET item = 77 WHERE ordinal = 2",
        "DELETE FROM vectors WHERE ordinal = 2",
        "UPDATE vectors SET vector = zeroblob(16) WHERE ordinal = 2",
    ],
)
def test_damage_of_further_vectors_is_found_and_the_rest_is_served(
    tmp_path: Path, damage: str
) -> None:
    shard = create(tmp_path, make_spec(DIMENSION))
    shard.submit([item("a", [0, 1, 2]), item("b", [3])]).result(30)
    shard.close()
    db = apsw.Connection(str(tmp_path / STORE))
    db.execute(damage)
    db.close()

    assert checked(tmp_path).damage != ""
    again = reopen(tmp_path)
    assert again.stats().store_damage != ""
    hits = again.query(QueryRequest(VECTORS[[3]], limit=2)).result(30)[0].hits
    assert hits[0].id == "b"
    again.close()
