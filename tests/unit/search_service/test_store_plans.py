"""That SQLite looks vectors of items up, and goes through no whole table for a few."""

from __future__ import annotations

import apsw

from search_service.store import check, further, named, schema


def planned(query: str, values: tuple[object, ...]) -> list[str]:
    """Return the steps of a query over a store with names, in their order."""
    db = apsw.Connection(":memory:")
    db.execute(schema.TABLES + schema.FURTHER_TABLE + named.tables(1))
    steps = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {query}", values)]
    db.close()
    assert steps
    return steps


def test_further_and_named_vectors_are_looked_up_for_each_item() -> None:
    for query in (further._VECTORS_OF, named._VECTORS_OF.format(n=1)):
        steps = planned(query, ("[1, 2]",))
        assert [step for step in steps if step.startswith("SCAN ")] == [
            "SCAN wanted VIRTUAL TABLE INDEX 1:"
        ]


def test_a_check_of_few_rows_lists_no_other_table() -> None:
    parts = [check._FURTHER, *check._named_parts(1)]
    assert len(parts) == 3
    for part in parts:
        steps = planned(check._query(part, begun=True), (1,) * len(part.keys))
        assert not [step for step in steps if step.startswith(("SCAN ", "LIST SUBQUERY"))]


def test_pairs_of_ordinals_are_read_on_from_where_a_block_ended() -> None:
    for query in (further._BLOCKS, named._BLOCKS.format(n=1)):
        (step,) = planned(query, (1, 1))
        assert step.startswith("SEARCH ")
