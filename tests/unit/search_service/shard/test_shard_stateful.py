"""Random operations against a dictionary, restarts and builds included."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from search_service.domain.conditions import Equals
from search_service.domain.items import Fields
from search_service.domain.mutations import Delete, MutationStatus, UpdateMetadata, Upsert
from search_service.domain.queries import QueryRequest
from tests.unit.search_service.shard.kit import build, create, make_spec, random_units, reopen

DIMENSION = 4
# Few enough that ids meet again and that several items share one vector.
VECTORS = random_units(12, DIMENSION)
ids = st.sampled_from([f"id-{number}" for number in range(8)])
rows = st.integers(min_value=0, max_value=len(VECTORS) - 1)
colours = st.sampled_from(["red", "green", "blue"])


@dataclass
class Held:
    row: int
    colour: str


class AgainstADictionary(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="shard-"))
        self.model: dict[str, Held] = {}

    @initialize()
    def begin(self) -> None:
        self.shard = create(self.directory, make_spec(DIMENSION))

    @rule(changes=st.lists(st.tuples(ids, rows, colours), min_size=1, max_size=6))
    def upsert(self, changes: list[tuple[str, int, str]]) -> None:
        mutations = [Upsert(id, VECTORS[row], {"colour": colour}) for id, row, colour in changes]
        outcomes = self.shard.submit(mutations).result(30)
        assert {outcome.status for outcome in outcomes} == {MutationStatus.APPLIED}
        for id, row, colour in changes:
            self.model[id] = Held(row, colour)

    @rule(id=ids, colour=colours)
    def recolour(self, id: str, colour: str) -> None:
        outcome = self.shard.submit([UpdateMetadata(id, {"colour": colour})]).result(30)[0]
        held = self.model.get(id)
        if held is None:
            assert outcome.status is MutationStatus.NOT_FOUND
        else:
            assert outcome.status is MutationStatus.APPLIED
            held.colour = colour

    @rule(id=ids)
    def delete(self, id: str) -> None:
        outcome = self.shard.submit([Delete(id)]).result(30)[0]
        was_there = self.model.pop(id, None) is not None
        want = MutationStatus.APPLIED if was_there else MutationStatus.NOT_FOUND
        assert outcome.status is want

    @rule()
    def restart(self) -> None:
        self.shard.close()
        self.shard = reopen(self.directory)

    @rule()
    def index_everything(self) -> None:
        build(self.shard)

    @rule(row=rows, limit=st.integers(1, 9), colour=st.none() | colours, exact=st.booleans())
    def search(self, row: int, limit: int, colour: str | None, exact: bool) -> None:
        request = QueryRequest(
            VECTORS[row][None, :],
            limit=limit,
            filter=None if colour is None else Equals(("colour",), colour),
            exact=exact,
        )
        hits = self.shard.query(request).result(30)[0].hits
        wide = VECTORS.astype(np.float64)
        scores = np.minimum((wide @ wide[row]).astype(np.float32), np.float32(1))
        want = sorted(
            (
                (-float(scores[held.row]), id)
                for id, held in self.model.items()
                if colour in (None, held.colour)
            ),
        )
        got = [(-hit.score, hit.id) for hit in hits]
        assert [id for _, id in got] == [id for _, id in want[:limit]]
        np.testing.assert_allclose(
            [score for score, _ in got], [score for score, _ in want[:limit]], atol=1e-7
        )

    @invariant()
    def same_items(self) -> None:
        if not hasattr(self, "shard"):
            return
        page = self.shard.list_items(
            filter=None, after_id="", page_size=100, fields=Fields(metadata=True, vector=True)
        )
        assert [item.id for item in page] == sorted(self.model)
        assert self.shard.count(None) == len(self.model)
        for item in page:
            held = self.model[item.id]
            assert item.metadata == {"colour": held.colour}
            assert item.vector is not None
            assert item.vector.tolist() == VECTORS[held.row].tolist()

    def teardown(self) -> None:
        if hasattr(self, "shard"):
            self.shard.close()
        shutil.rmtree(self.directory)


AgainstADictionary.TestCase.settings = settings(
    max_examples=6,
    stateful_step_count=16,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestAgainstADictionary = AgainstADictionary.TestCase
