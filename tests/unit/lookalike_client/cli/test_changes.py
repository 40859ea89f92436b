"""`lookalike delete`, `lookalike update`, and the pages of `lookalike search`."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator

import pytest

from lookalike_client import Client, VectorItem
from lookalike_client.testing import FakeServer
from tests.unit.lookalike_client.cli.running import Ran, ran


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], client: Client) -> Cli:
    return Cli(capsys, client)


@pytest.fixture
def client() -> Iterator[Client]:
    with FakeServer() as server, Client(server.address) as connected:
        connected.collections.create("shoes", model=None, dimension=3)
        items = [
            VectorItem(f"s{n:02}", [1.0, n / 10, 0.0], {"price": n, "camera": {"iso": n * 100}})
            for n in range(20)
        ]
        assert all(each.error is None for each in connected.upsert_vectors("shoes", items))
        os.environ["LOOKALIKE_ADDRESS"] = server.address
        yield connected
        del os.environ["LOOKALIKE_ADDRESS"]


class Cli:
    def __init__(self, capsys: pytest.CaptureFixture[str], client: Client) -> None:
        self._capsys = capsys
        self.client = client

    def __call__(self, *arguments: str) -> Ran:
        return ran(self._capsys, *arguments)

    def metadata(self, item_id: str) -> object:
        return self.client.get("shoes", [item_id]).items[0].metadata


def test_a_dry_run_counts(cli: Cli) -> None:
    shown = cli("delete", "-c", "shoes", "--filter", "price < 5", "--dry-run")
    told = cli("update", "shoes", "--all", "--set", "a=1", "--dry-run", "--json")

    assert (shown.code, shown.out) == (0, "would delete 5 of 20 items of shoes\n")
    assert told.json == {"matched": 20, "items": 20}
    assert cli.client.count("shoes") == 20


@pytest.mark.parametrize("where", [("-c", "shoes"), ("shoes",)])
def test_delete_by_filter_takes_what_meets_it(cli: Cli, where: tuple[str, ...]) -> None:
    done = cli("delete", *where, "--filter", "price < 5", "--yes")

    assert (done.code, done.out) == (0, "deleted 5 of 20 items of shoes\n")
    assert cli.client.count("shoes") == 15
    again = cli("delete", *where, "--filter", "price < 5", "--yes", "--json")
    assert again.json == {"matched": 0, "items": 15, "deleted": 0, "failures": []}


@pytest.mark.parametrize(("answer", "left"), [("", 20), ("n\n", 20), ("y\n", 15)])
def test_nothing_is_deleted_without_a_yes(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, answer: str, left: int
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))

    asked = cli("delete", "-c", "shoes", "--filter", "price < 5", "--json")

    assert "5 of 20 items of shoes" in asked.err
    assert cli.client.count("shoes") == left
    assert asked.code == (0 if left == 15 else 2)
    assert ("--yes" in asked.err) == ("error" in asked.json) == (left == 20)


def test_all_must_be_said(cli: Cli) -> None:
    for arguments, says in {
        ("delete", "-c", "shoes"): "--all",
        ("delete", "-c", "shoes", "--filter", " "): "or --all",
        ("delete", "-c", "shoes", "--filter", "true", "--yes"): "set all",
        ("delete", "-c", "shoes", "--filter", "price < 5", "--all"): "not both",
        ("delete", "a", "b", "--all"): "IDS",
        ("delete", "a", "-c", "shoes", "--dry-run"): "--dry-run",
        ("delete", "other", "-c", "shoes", "--all", "--yes"): "one collection",
        ("update", "s01", "-c", "shoes"): "--set",
        ("update", "-c", "shoes", "--set", "a=1"): "--filter",
    }.items():
        refused = cli(*arguments)
        assert refused.code in (1, 2), arguments
        assert says in refused.err, refused.err
        assert refused.err.count("\n") == 1
    assert cli.client.count("shoes") == 20
    assert cli("delete", "shoes", "--all", "--yes").code == 0
    assert cli.client.count("shoes") == 0


def test_items_are_deleted_by_id_as_ever(cli: Cli) -> None:
    done = cli("delete", "s01", "none", "-c", "shoes")
    assert (done.code, done.out) == (1, "s01: deleted\nnone: not found\n")


@pytest.mark.parametrize(
    ("options", "want"),
    [
        (["--set", "price=5.5"], {"price": 5.5, "camera": {"iso": 100}}),
        (["--set", "name=red shoe"], {"name": "red shoe", "price": 1, "camera": {"iso": 100}}),
        (["--set", 'name="5"'], {"name": "5", "price": 1, "camera": {"iso": 100}}),
        (["--set", "a==b"], {"a": "=b", "price": 1, "camera": {"iso": 100}}),
        (["--set", "a="], {"a": "", "price": 1, "camera": {"iso": 100}}),
        (["--set", "camera.model=x"], {"price": 1, "camera": {"iso": 100, "model": "x"}}),
        (["--set", "`a.b`=[1, null]"], {"a.b": [1, None], "price": 1, "camera": {"iso": 100}}),
        (["--set", "`a``=`.b=1"], {"a`=": {"b": 1}, "price": 1, "camera": {"iso": 100}}),
        (["--unset", "price", "--unset", "camera.iso"], {"camera": {}}),
        (["--merge", '{"camera": null}', "--set", "n=true"], {"n": True, "price": 1}),
        (["--replace", '{"k": null}'], {"k": None}),
    ],
)
def test_metadata_is_changed_as_it_is_typed(
    cli: Cli, options: list[str], want: dict[str, object]
) -> None:
    by_id = cli("update", "s01", "-c", "shoes", *options)
    assert (by_id.code, by_id.out) == (0, "s01: updated\n")
    assert cli.metadata("s01") == want
    by_filter = cli("update", "-c", "shoes", "--filter", "price >= 10", "--yes", *options)
    assert (by_filter.code, by_filter.out) == (0, "updated 10 of 20 items of shoes\n")
    assert set(want) - {"price"} <= set(cli.client.get("shoes", ["s12"]).items[0].metadata)


@pytest.mark.parametrize(
    "options",
    [
        ["--set", "price"],
        ["--set", "=5"],
        ["--set", "a=null"],
        ["--set", "a.=1"],
        ["--unset", "a=1"],
        ["--unset", "a..b"],
        ["--set", "a=1", "--set", "a=2"],
        ["--set", "a=1", "--set", "a.b=2"],
        ["--set", "a.b=1", "--unset", "a"],
        ["--merge", "[1]"],
        ["--merge", "{"],
        ["--replace", "{}", "--set", "a=1"],
    ],
)
def test_what_cannot_be_read_is_one_clear_line(cli: Cli, options: list[str]) -> None:
    refused = cli("update", "s01", "-c", "shoes", *options)
    assert refused.code == 2
    assert refused.err.startswith("error: ")
    assert refused.err.count("\n") == 1
    assert cli.metadata("s01") == {"price": 1, "camera": {"iso": 100}}


def test_what_cannot_be_changed_is_told_item_by_item(cli: Cli) -> None:
    cli.client.update_metadata("shoes", {"s03": {"big": "x" * 9_000}}, merge=True)
    patch = ("--set", f"more={'y' * 9_000}", "--set", "done=true")

    some = cli("update", "shoes", "--filter", "price < 5", "--yes", *patch, "--json")
    again = cli("update", "shoes", "--filter", "price < 5", "--yes", *patch)

    assert some.code == again.code == 1
    assert {key: some.json[key] for key in ("matched", "items", "updated", "failed")} == {
        "matched": 5,
        "items": 20,
        "updated": 4,
        "failed": 1,
    }
    assert [each["id"] for each in some.json["failures"]] == ["s03"]
    assert again.out == "updated 0 of 20 items of shoes, 4 were so already, 1 failed\n"
    assert again.err.startswith("s03: ")


def test_pages_of_a_search_follow_each_other(cli: Cli) -> None:
    search = ("search", "--id", "s00", "-c", "shoes", "-k", "8")
    whole = cli(*search[:-1], "30", "--json").json["hits"]

    first, second, third = (cli(*search, "--page", f"{n}", "--json").json for n in (1, 2, 3))
    assert first["hits"] + second["hits"] + third["hits"] == whole
    assert third["next_page_token"] == ""
    after = cli(*search, "--after", first["next_page_token"], "--json").json
    assert after == second
    shown = cli(*search, "--page", "2")
    assert "│  9 │" in shown.out
    assert shown.out.endswith("there is more: --page 3\n")
    assert "more" not in cli(*search, "--page", "3").out
    assert "next_page_token" not in cli(*search, "--json").json
    beyond = cli(*search, "--page", "4")
    assert (beyond.code, beyond.err) == (1, "error: there is no page 4: the last is 3\n")
    wrong = cli(*search, "--after", "nonsense")
    assert wrong.code == 1
    assert "page token" in wrong.err
    assert cli(*search, "--page", "1", "--group-by", "price").code == 2
