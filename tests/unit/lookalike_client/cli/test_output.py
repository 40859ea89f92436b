"""Results as JSON."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from lookalike.wire.errors import ImageUnreadable
from lookalike_client.cli.output import Output, metadata_text, plain
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


LONG_ID = "2024/holidays in the south/" + "a" * 60 + ".jpg"


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_a_table_that_fits_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    metadata = "caption=a picture of a red shoe on a table, " * 3
    Output().table("Like it", ["#>", "score>", "id", "metadata"], [(1, "0.9", "a/b.jpg", metadata)])

    lines = lines_of(capsys)
    assert max(map(len, lines)) <= 80
    assert "│ a/b.jpg │" in lines[4]
    assert len(lines) > 6  # the metadata has several lines


def test_no_word_of_a_table_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    Output().table("", ["id", "score>", "metadata"], [(LONG_ID, "0.9", "n=1"), ("b", "0.8", "")])

    lines = lines_of(capsys)
    assert any("a" * 60 + ".jpg" in line for line in lines)
    assert any(line.split() == ["metadata", "n=1"] for line in lines)
    assert max(len(line) for line in lines if "aaa" not in line) <= 80


def test_every_id_of_a_table_stands_in_one_piece(capsys: pytest.CaptureFixture[str]) -> None:
    ids = ["x" * length for length in range(1, 100, 7)]
    for each in ids:
        Output().table("", ["id", "reason", "message"], [(each, "BAD", "word " * 30)])
        assert each in {word for line in lines_of(capsys) for word in line.split()}


def test_facts_wrap_between_words(capsys: pytest.CaptureFixture[str]) -> None:
    Output().facts({"id": LONG_ID.replace(" ", "_"), "said": "word " * 40})

    lines = lines_of(capsys)
    assert lines[0] == "id    " + LONG_ID.replace(" ", "_")
    assert max(map(len, lines[1:])) <= 80


def test_a_command_to_be_copied_stays_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    Output().facts({"create": "word " * 40, "said": "word"}, unwrapped=("create",))

    assert len(lines_of(capsys)) == 2
