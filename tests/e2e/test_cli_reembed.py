"""A move to another model that is refused leaves everything as it was."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike_client import Client
from tests.e2e.conftest import RunCli


@pytest.fixture
def created(client: Client) -> Iterator[list[str]]:
    """Names of what a test creates."""
    names: list[str] = []
    yield names
    for name in names:
        client.collections.delete(name)


@pytest.mark.parametrize(
    ("model", "told"),
    [("no-such-model", "is not served here, but efficientnet"), ("", "that very model")],
)
def test_nothing_is_made_or_renamed_for_a_model_that_does_not_suit(
    cli: RunCli, client: Client, tmp_path: Path, created: list[str], model: str, told: str
) -> None:
    made = client.collections.create("stays")
    created.append("stays")

    ran = cli("reembed", "start", "stays", "--model", model, "--images", tmp_path)

    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert told in ran.err
    assert client.collections.get("stays") == made
    assert [each.name for each in client.collections.list() if "stays" in each.name] == ["stays"]


def test_nothing_is_renamed_where_the_service_refuses_the_pair(
    cli: RunCli, client: Client, tmp_path: Path, created: list[str]
) -> None:
    made = client.collections.create("stays", vectors={"look": ""})
    other = client.collections.create("other", model=None, dimension=8)
    created += ["stays", "other"]

    arguments = ("--model", "", "--name", "other", "--images", tmp_path)
    ran = cli("reembed", "start", "stays", *arguments)

    assert ran.code == 1
    assert "vectors by name, which are not moved" in ran.err
    assert client.collections.get("stays") == made
    assert client.collections.get("other") == other
