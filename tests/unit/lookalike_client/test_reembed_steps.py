"""What `lookalike reembed` says in each state is true, and names commands that there are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from typing import Literal, cast

import click
import pytest

from lookalike_client import Client
from lookalike_client.cli.failures import failures
from lookalike_client.cli.reembed import reembed
from lookalike_client.cli.reembed_checks import hold_given_up, hold_may_lead
from lookalike_client.cli.reembed_report import next_step
from lookalike_client.cli.reembed_starting import arrived
from lookalike_client.types import IngestStatus, Reembedding, WorkerStatus

PAIR = Reembedding("photos.1", "photos.2", 1_000, 1_000, 0, 0, 0, 0, 0)
COUNTS = (0, 3, 2_000)
DAMAGES = ("", "a page is gone")


def states() -> Iterator[Reembedding]:
    for missing, queued, only, source, target in product(COUNTS, COUNTS, COUNTS, DAMAGES, DAMAGES):
        yield replace(
            PAIR,
            target_missing=missing,
            target_queued=queued,
            source_only_queued=only,
            source_damage=source,
            target_damage=target,
        )


def refusal(call: Callable[[], None]) -> str:
    """Return what a call refuses with, "" for nothing."""
    try:
        call()
    except click.ClickException as error:
        return error.message
    return ""


@pytest.mark.parametrize("leads_to", [PAIR.source, PAIR.target])
def test_the_next_step_is_a_command_that_there_is(leads_to: str) -> None:
    for pair in states():
        told = next_step("photos", pair, leads_to, failed=True)
        commands = re.findall(r"`lookalike ([^`]*)`", told)
        assert commands, told
        for command in commands:
            group, *words = shlex.split(command)
            if group == "failures":
                failures.make_context("failures", words)
                continue
            assert group == "reembed"
            name, *words = words
            reembed.commands[name].make_context(
                name, ["." if word == "FOLDER" else word for word in words]
            )


@pytest.mark.parametrize("to", ["source", "target"])
def test_nothing_leads_to_what_lacks_something_or_is_damaged(
    to: Literal["source", "target"],
) -> None:
    for state in states():
        pair = state
        if to == "source":
            pair = replace(
                state,
                source_missing=state.target_missing,
                source_queued=state.target_queued,
                target_missing=0,
                target_queued=0,
                source_only_queued=0,
            )
        led = pair.source_damage if to == "source" else pair.target_damage
        lacks = (
            any((pair.source_damage, pair.target_damage))
            or state.target_missing
            or state.target_queued > 64
            or pair.source_only_queued > 64
        )
        for allowed, refused in ((False, bool(lacks)), (True, bool(led))):
            told = refusal(partial(hold_may_lead, pair, to, allowed, "abort"))
            assert bool(told) == refused, pair
            assert led or allowed or not told or "--allow-missing" in told


def test_nothing_ends_with_the_old_collection_unasked() -> None:
    for pair in states():
        lacks = pair.source_damage or pair.target_missing or pair.source_only_queued
        hold_given_up("photos", pair, allow_missing=True)
        told = refusal(partial(hold_given_up, "photos", pair, allow_missing=False))
        assert bool(told) == bool(lacks), pair
        assert not told or "--allow-missing" in told


@dataclass
class Service:
    """A queue in which the oldest image is so old, and a pair that lacks more and more."""

    oldest_age_s: float
    workers: tuple[WorkerStatus, ...] = ()
    moves: bool = True
    looks: int = 0
    reembeddings: Service = field(init=False)

    def __post_init__(self) -> None:
        self.reembeddings = self

    def ingest_status(self) -> IngestStatus:
        return IngestStatus(2_000, None, 0, self.oldest_age_s, 0, 0, 0, self.workers)

    def get(self, _collection: str) -> Reembedding:
        self.looks += 1
        return replace(PAIR, target_queued=2_000 + self.looks * self.moves)


def test_a_wait_ends_although_writers_never_do() -> None:
    service = Service(oldest_age_s=0.1)
    found = arrived(cast("Client", service), replace(PAIR, target_queued=2_000))
    assert (found.target_queued, service.looks) == (2_002, 2)


def test_a_wait_for_what_does_not_arrive_ends_and_says_why(
    capsys: pytest.CaptureFixture[str],
) -> None:
    service = Service(oldest_age_s=1e6, moves=False)
    found = arrived(cast("Client", service), replace(PAIR, target_queued=2_000), still_s=0.0)
    assert found.target_queued == 2_000
    assert "waiting for a worker: none is running" in capsys.readouterr().err
