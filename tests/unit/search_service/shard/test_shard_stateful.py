"""Random operations against a dictionary, restarts and builds included."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from search_service.domain.conditions import Equals, Filter
from search_service.domain.items import Fields
from search_service.domain.metadata import JsonValue
from search_service.domain.mutations import (
    Delete,
    MutationOutcome,
    MutationStatus,
    UpdateMetadata,
    Upsert,
)
from search_service.domain.queries import BEFORE_ALL, Hit, HitPlace, QueryRequest
from search_service.domain.selections import Extent, MetadataChange, Selection
from tests.unit.search_service.shard.kit import build, create, make_spec, random_units, reopen

DIMENSION = 4
# Few enough that ids meet again and that several items share one vector.
VECTORS = random_units(12, DIMENSION)
ids = st.sampled_from([f"id-{number}" for number in range(8)])
rows = st.integers(min_value=0, max_value=len(VECTORS) - 1)
colours = st.sampled_from(["red", "green", "blue"])
keys = st.sampled_from(["colour", "size", "camera"])
leaves = st.none() | st.sampled_from([1, "red", "green", True])
patches = st.dictionaries(
    keys, leaves | st.dictionaries(keys, leaves, max_size=2), min_size=1, max_size=3
)


@dataclass
class Held:
    row: int
    metadata: dict[str, JsonValue]


def patched(target: JsonValue, patch: JsonValue) -> JsonValue:
    """RFC 7396, as its pseudo-code has it."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = patched(result.get(key), value)
    return result


def is_coloured(held: Held, colour: str | None) -> bool:
    return colour is None or held.metadata.get("colour") == colour


def coloured(colour: str | None) -> Filter | None:
    return None if colour is None else Equals(("colour",), colour)


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
            self.model[id] = Held(row, {"colour": colour})

    @rule(id=ids, colour=colours)
    def recolour(self, id: str, colour: str) -> None:
        outcome = self.shard.submit([UpdateMetadata(id, {"colour": colour})]).result(30)[0]
        held = self.model.get(id)
        if held is None:
            assert outcome.status is MutationStatus.NOT_FOUND
        else:
            assert outcome.status is MutationStatus.APPLIED
            held.metadata = {"colour": colour}

    @rule(id=ids, patch=patches)
    def merge(self, id: str, patch: dict[str, JsonValue]) -> None:
        outcome = self.shard.submit([UpdateMetadata(id, patch, merge=True)]).result(30)[0]
        if id not in self.model:
            assert outcome.status is MutationStatus.NOT_FOUND
            return
        assert outcome.status is MutationStatus.APPLIED
        self._apply(id, patch)

    @rule(colour=st.none() | colours, count=st.integers(1, 3))
    def delete_where(self, colour: str | None, count: int) -> None:
        gone = self._change_all(Selection(coloured(colour), None, None, count))
        want = {id for id, held in self.model.items() if is_coloured(held, colour)}
        assert sorted(each.id for each in gone) == sorted(want)
        assert all(each.status is MutationStatus.APPLIED for each in gone)
        self.model = {id: held for id, held in self.model.items() if id not in want}

    @rule(colour=st.none() | colours, patch=patches, count=st.integers(1, 3))
    def merge_where(self, colour: str | None, patch: dict[str, JsonValue], count: int) -> None:
        change = MetadataChange(patch, merge=True)
        done = self._change_all(Selection(coloured(colour), change, None, count))
        want = {id for id, held in self.model.items() if is_coloured(held, colour)}
        assert sorted(each.id for each in done) == sorted(want)
        for each in done:
            before = self.model[each.id].metadata
            self._apply(each.id, patch)
            assert each.changed == (self.model[each.id].metadata != before)

    @rule(colour=st.none() | colours, other=colours)
    def replace_where(self, colour: str | None, other: str) -> None:
        change = MetadataChange({"colour": other}, merge=False)
        done = self._change_all(Selection(coloured(colour), change, None, 2))
        for id, held in self.model.items():
            if is_coloured(held, colour):
                held.metadata = {"colour": other}
                assert id in {each.id for each in done}

    @rule(
        row=rows,
        limit=st.integers(1, 3),
        colour=st.none() | colours,
        exact=st.booleans(),
        changes=st.lists(st.tuples(ids, st.none() | rows), max_size=3),
    )
    def page_through(
        self,
        row: int,
        limit: int,
        colour: str | None,
        exact: bool,
        changes: list[tuple[str, int | None]],
    ) -> None:
        """Items that do not change while they are paged through come once, in order."""
        before = {id: held for id, held in self.model.items() if is_coloured(held, colour)}
        touched = {id for id, _ in changes}
        found: list[Hit] = []
        after: HitPlace | None = BEFORE_ALL
        waiting = list(changes)
        while after is not None:
            request = QueryRequest(
                VECTORS[row][None, :],
                limit=limit,
                filter=coloured(colour),
                exact=exact,
                after=after,
            )
            outcome = self.shard.query(request).result(30)[0]
            assert len(outcome.hits) <= limit
            found += outcome.hits
            after = outcome.page_end
            assert after is None or after.rank == len(found)
            if waiting:
                self._change(*waiting.pop())
        order = [(-hit.score, hit.id) for hit in found]
        assert order == sorted(order)
        steady = [hit.id for hit in found if hit.id not in touched]
        assert sorted(steady) == sorted(before.keys() - touched)

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
            filter=coloured(colour),
            exact=exact,
        )
        hits = self.shard.query(request).result(30)[0].hits
        wide = VECTORS.astype(np.float64)
        scores = np.minimum((wide @ wide[row]).astype(np.float32), np.float32(1))
        want = sorted(
            (
                (-float(scores[held.row]), id)
                for id, held in self.model.items()
                if is_coloured(held, colour)
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
            assert item.metadata == held.metadata
            assert item.vector is not None
            assert item.vector.tolist() == VECTORS[held.row].tolist()

    def _apply(self, id: str, patch: dict[str, JsonValue]) -> None:
        result = patched(self.model[id].metadata, patch)
        assert isinstance(result, dict)
        self.model[id].metadata = result

    def _change(self, id: str, row: int | None) -> None:
        if row is None:
            self.shard.submit([Delete(id)]).result(30)
            self.model.pop(id, None)
        else:
            self.shard.submit([Upsert(id, VECTORS[row], {"colour": "red"})]).result(30)
            self.model[id] = Held(row, {"colour": "red"})

    def _change_all(self, selection: Selection) -> list[MutationOutcome]:
        outcomes: list[MutationOutcome] = []
        extent: Extent | None = None
        while True:
            step = self.shard.change_selection(replace(selection, extent=extent)).result(30)
            assert len(step.outcomes) <= selection.count
            outcomes += step.outcomes
            extent = step.extent
            if extent is None:
                return outcomes

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
