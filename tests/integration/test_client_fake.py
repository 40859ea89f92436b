"""The fake service of the test kit answers as the real one does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from lookalike.wire.errors import ImageUnreadable
from lookalike_client import Client
from lookalike_client.testing import FakeServer, vector_of_hash
from tests.integration.change_scenarios import changes_scenario
from tests.integration.client_duplicates import duplicates_scenario
from tests.integration.client_scenarios import images_scenario, vectors_scenario
from tests.integration.ingest.system import System
from tests.integration.random_changes import random_scenario
from tests.integration.search_server import running
from tests.integration.several_scenarios import several_pictures, several_vectors

Scenario = Callable[[Client], Iterator[tuple[str, Any]]]


def answers(address: str, scenario: Scenario) -> dict[str, Any]:
    with Client(address) as client:
        told = list(scenario(client))
    found = dict(told)
    assert len(found) == len(told), "each step has a name of its own"
    return found


def differences(fake: dict[str, Any], real: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    assert real.keys() == fake.keys()
    return {step: (fake[step], real[step]) for step in real if fake[step] != real[step]}


def embed(image: bytes) -> Any:
    """Fails as the embedder stub of the real system does."""
    if image.startswith(b"poison"):
        raise ImageUnreadable("the bytes are no image")
    return vector_of_hash(image)


def test_vectors_are_answered_alike(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        real = answers(f"127.0.0.1:{server.port}", vectors_scenario)
        several = answers(f"127.0.0.1:{server.port}", several_vectors)
    with FakeServer() as fake:
        assert differences(answers(fake.address, vectors_scenario), real) == {}
        assert differences(answers(fake.address, several_vectors), several) == {}
    # What is alike is also right.
    assert several["several counted"] == (3, 3)
    assert several["several near z"] == [("a", 1.0, 1), ("b", 0.0, 0), ("c", 0.0, 0)]
    assert several["several read"][0] == ("a", [[1, 0, 0], [0, 0, 1], [0, 0.995037, 0.099504]])
    assert several["several replaced"] == [("a", 0.0, 0), ("b", 0.0, 0), ("c", 0.0, 0)]
    assert several["several wrong"] == [
        ("w", "failed", "DIMENSION_MISMATCH"),
        ("w", "failed", "VECTOR_NOT_FINITE"),
        ("w", "failed", "LIMIT_EXCEEDED"),
        ("full", "applied", ""),
    ]
    assert several["several twins"] == [("rejected_duplicate", "c")]


def test_changes_of_many_items_are_answered_alike(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        real = answers(f"127.0.0.1:{server.port}", changes_scenario)
    with FakeServer() as fake:
        assert differences(answers(fake.address, changes_scenario), real) == {}
    assert real["pages of 7"] == [7] * 42 + [6]
    assert [real[f"all in pages of {limit}"] for limit in (1, 7, 299, 300, 301)] == [True] * 5
    assert real["wrong collection"] == ("PageTokenInvalid", "PAGE_TOKEN_INVALID", "page_token")
    assert real["now"][0] == {"odd": False, "c": {"e": [1, None]}, "new": "x"}
    assert real["now"][2]["odd"] == {"a": {}}
    assert real["too large"] == [("i004", "failed", "LIMIT_EXCEEDED")]
    assert real["failed"] == (1, 300, 0, 0, 1)
    assert real["true for 1"][2:] == real["1 for true"][2:] == (1, 0, 0)
    assert real["deleted"][1:] == (300, real["deleted"][0])
    assert real["wrong update: not not"] == ("InvalidField", "INVALID_FIELD", "filter")


def test_changes_at_random_are_those_of_a_dictionary(tmp_path: Path) -> None:
    with running(tmp_path) as server, FakeServer() as fake:
        for seed in range(6):
            scenario = partial(random_scenario, seed=seed)
            real = answers(f"127.0.0.1:{server.port}", scenario)
            assert differences(answers(fake.address, scenario), real) == {}


def test_images_are_answered_alike(tmp_path: Path) -> None:
    system = System(tmp_path)
    try:
        system.start()
        real = answers(system.search_address, images_scenario)
        real_too = answers(system.search_address, duplicates_scenario)
        several = answers(system.search_address, partial(several_pictures, collection="photos"))
    finally:
        system.stop()
    with FakeServer(embed=embed) as fake:
        assert differences(answers(fake.address, images_scenario), real) == {}
        assert differences(answers(fake.address, duplicates_scenario), real_too) == {}
        again = answers(fake.address, partial(several_pictures, collection="photos"))
        assert differences(again, several) == {}
    # What is alike is also right.
    assert several["pictures accepted"] == [
        ("cup", ""),
        ("jar", ""),
        ("pan", "LIMIT_EXCEEDED"),
        ("pot", "IMAGE_UNREADABLE"),
    ]
    assert several["pictures ended"] == [
        ("cup", "applied", ""),
        ("jar", "failed", "IMAGE_UNREADABLE"),
    ]
    assert [several[f"pictures near cup {side}"] for side in ("front", "side", "top")] == [
        [("cup", 1.0, number)] for number in range(3)
    ]
    assert (several["pictures of a cup"], several["pictures failed"]) == (2, [True])
    assert real_too["listed"] == [("b", "DUPLICATE_REJECTED", ("a", 1.0), "dup")]
    assert real_too["stored in the end"] == ["a", "b", "c"]
