"""Results as JSON."""

import json
from datetime import UTC, datetime

import numpy as np

from lookalike.wire.errors import ImageUnreadable
from lookalike_client.cli.output import metadata_text, plain
from lookalike_client.types import Hit, Item, PlanKind, SearchResult


def test_every_kind_of_value_becomes_json() -> None:
    item = Item("a", 3, datetime(2026, 1, 2, tzinfo=UTC), {"k": [1, None]}, None, np.ones(2, "f4"))
    result = SearchResult([Hit("a", 0.5, item.metadata, item)], PlanKind.GRAPH)

    document = json.loads(json.dumps(plain({"result": result, "error": ImageUnreadable("bad")})))

    hit = document["result"]["hits"][0]
    assert document["result"]["plan_kind"] == "graph"
    assert hit["item"]["vector"] == [1.0, 1.0]
    assert hit["item"]["update_time"] == "2026-01-02T00:00:00+00:00"
    assert document["error"]["reason"] == "IMAGE_UNREADABLE"
    assert document["error"]["retryable"] is False


def test_metadata_is_short_in_tables() -> None:
    assert metadata_text({"b": 1, "a": "x", "c": {"d": True}}) == 'a=x, b=1, c={"d": true}'
    assert len(metadata_text({"a": "x" * 500})) == 100
