"""Errors speak of what the user typed."""

import pytest

from lookalike.wire.errors import InvalidField, LimitExceeded, NotFound, Reason
from lookalike_client.cli.fields import told, words


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("queries[0].id", "id"),
        ("queries[0].image", "image"),
        ("queries[0].examples.positives[1].id", "id"),
        ("queries[0]", "query"),
        ("ids[3]", "id 4"),
        ("chunk", "archive"),
        ("filter", "--filter"),
        ("filter.expression", "--filter"),
        ("min_score", "--min-score"),
        ("order.field", "--order-by"),
        ("index.graph_dimension", "--graph-dimension"),
        ("metadata.camera.model", "metadata.camera.model"),
        ("updates[0].metadata.a", "metadata.a"),
        ("some_new_field", "some new field"),
        ("name", "name"),
    ],
)
def test_a_field_is_named_as_the_user_knows_it(field: str, shown: str) -> None:
    assert words(field) == shown


def test_what_is_absent_needs_no_field() -> None:
    absent = NotFound("there is no item 'x'", reason=Reason.ITEM_NOT_FOUND, field="queries[0].id")

    assert told(absent) == "there is no item 'x'"
    assert told(InvalidField("limit", "must be at most 5")) == "--limit: must be at most 5"
    assert told(LimitExceeded("queries[0].image", "is too large")) == "image: is too large"
