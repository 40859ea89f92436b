"""Where the service is, and which collection is meant: said alike in every command."""

from collections.abc import Iterator

import click
import pytest

from lookalike_client import Client, VectorItem
from lookalike_client.cli.main import cli
from lookalike_client.testing import FakeServer
from tests.unit.lookalike_client.cli.running import ran

DIMENSION = 4


@pytest.fixture
def address() -> Iterator[str]:
    with FakeServer() as server, Client(server.address) as client:
        client.collections.create("shelf", model=None, dimension=DIMENSION)
        list(client.upsert_vectors("shelf", [VectorItem("a", [1.0] * DIMENSION)]))
        yield server.address


def commands(group: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(group, click.Group):
        for name, each in group.commands.items():
            yield from commands(each, (*path, name))
    if path:
        yield path


def the_command(path: tuple[str, ...]) -> click.Command:
    found: click.Command = cli
    for name in path:
        assert isinstance(found, click.Group)
        found = found.commands[name]
    return found


@pytest.mark.parametrize("path", list(commands(cli)), ids="-".join)
def test_every_command_takes_an_address_and_json(path: tuple[str, ...]) -> None:
    options = {name for each in the_command(path).params for name in each.opts}

    assert "--json" in options
    assert "--address" in options or path == ("up",)  # it serves, where --search-port says


@pytest.mark.parametrize(
    "words",
    [
        ("--address", "{}", "collections"),
        ("collections", "--address", "{}"),
        ("collections", "--address", "{}", "list"),
        ("collections", "list", "--address", "{}"),
        ("collections", "--address", "127.0.0.1:1", "list", "--address", "{}"),
    ],
)
def test_a_group_and_its_commands_take_an_address(
    address: str, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    ended = ran(capsys, *(word.format(address) for word in words), "--json")

    assert [each["name"] for each in ended.json["collections"]] == ["shelf"]


def test_json_of_a_group_holds_for_its_commands(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = ran(capsys, "collections", "--json", "--address", address, "show", "shelf")

    assert ended.json["name"] == "shelf"


@pytest.mark.parametrize(
    "address", ["foo", "foo:", ":50051", "foo:bar", "foo:0", "foo:70000", "http://foo:80", "a b:1"]
)
def test_what_is_no_address_is_called_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("LOOKALIKE_ADDRESS", address)
    for words in (("count", "--address", address), ("--address", address, "status"), ("list",)):
        ended = ran(capsys, *words)

        assert (ended.code, ended.out) == (2, "")
        assert "is no host:port" in ended.err
        assert address in ended.err
        assert ended.err.count("\n") == 1


@pytest.mark.parametrize("words", [("show",), ("update",), ("delete", "--yes")])
def test_a_collection_is_given_in_either_way(
    address: str, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    command = ("--address", address, "--json", "collections", *words)
    more = ("--expansion-search", "100") if words == ("update",) else ()

    twice = ran(capsys, *command, *more, "shelf", "-c", "other")
    absent = ran(capsys, *command, *more)
    with_option = ran(capsys, *command, *more, "-c", "shelf")

    assert (twice.code, absent.code, with_option.code) == (2, 2, 0)
    assert "shelf or other" in twice.err
    assert "-c NAME" in absent.err
    assert with_option.json["name"] == "shelf"


def test_new_collections_and_aliases_take_the_option_too(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("--address", address, "--json", "collections")
    made = ran(capsys, *command, "create", "-c", "new", "--external-vectors", "--dimension", "4")
    set_to = ran(capsys, *command, "alias", "live", "-c", "new")

    assert made.json["name"] == "new"
    assert set_to.json["collection"] == "new"
