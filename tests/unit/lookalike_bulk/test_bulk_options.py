"""What a bulk job is told, and what it asks before it begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from lookalike.wire.errors import AlreadyExists, Unavailable
from lookalike_bulk.options import OptionsInvalid, parse
from lookalike_bulk.publishing import check_free
from lookalike_client import Client
from lookalike_client.testing import FakeServer


@pytest.mark.parametrize(
    "arguments",
    [
        ["--partitions", "2"],
        ["--cluster-log", "redis://127.0.0.1"],
        ["--block-images", "0"],
        ["--cluster-log", "redis://h", "--cluster-snapshots", "file:///s", "--replicas", "9"],
    ],
)
def test_options_that_do_not_go_together(arguments: list[str], tmp_path: Path) -> None:
    with pytest.raises(OptionsInvalid):
        parse([str(tmp_path), "--collection", "c", "--work", str(tmp_path), *arguments], {})


def test_the_service_is_reached_as_the_client_reaches_it(tmp_path: Path) -> None:
    job = [str(tmp_path), "--collection", "c", "--work", str(tmp_path)]
    environ = {"LOOKALIKE_ADDRESS": "search:1", "LOOKALIKE_TOKEN": "key", "LOOKALIKE_TLS": "1"}

    options, server = parse(job, environ)
    assert (server.address, server.key) == ("search:1", "key")
    assert server.tls is not None
    assert "key" not in options.identity.values()

    _, server = parse([*job, "--address", "other:2", "--token-file", "/keys/one"], environ)
    assert (server.address, server.key) == ("other:2", Path("/keys/one"))


def test_a_name_that_is_taken_is_refused_before_any_work(tmp_path: Path) -> None:
    with FakeServer() as fake:
        job = [str(tmp_path), "--collection", "taken", "--work", str(tmp_path)]
        options, server = parse([*job, "--address", fake.address], {})
        check_free(options, server)
        with Client(fake.address) as client:
            client.collections.create("taken", dimension=4, model=None)
        with pytest.raises(AlreadyExists, match="taken"):
            check_free(options, server)


def test_a_service_that_is_away_is_told_before_any_work(tmp_path: Path) -> None:
    job = [str(tmp_path), "--collection", "c", "--work", str(tmp_path)]
    options, server = parse([*job, "--address", "127.0.0.1:1"], {})
    with pytest.raises(Unavailable):
        check_free(options, server)
