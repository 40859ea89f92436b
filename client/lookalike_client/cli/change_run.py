"""A change of many items: counted, asked about, followed, told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lookalike_client.cli.output import complain
from lookalike_client.cli.progress import LINE_PERIOD_S
from lookalike_client.cli.session import Session, confirm
from lookalike_client.types import MutationResult

# Failures that are shown one by one; --json has them all.
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Told:
    """How far a change is: `changed` and `unchanged` so far, `failures` since the last time."""

    matched: int
    items: int
    changed: int
    unchanged: int = 0
    failures: Sequence[MutationResult] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """What is done to items of a collection, such as "delete" and "deleted".

    `start` begins it, or only counts where it is given True.
    """

    verb: str
    past: str
    collection: str
    start: Callable[[bool], Iterator[Told]]


def run(session: Session, change: Change, *, dry_run: bool, yes: bool) -> int:
    """Count, ask, and change all items that are meant; return the exit code."""
    (count,) = change.start(True)
    meant = f"{count.matched:,} of {count.items:,} items of {change.collection}"
    if dry_run:
        if session.output.as_json:
            session.output.document({"matched": count.matched, "items": count.items})
        else:
            session.output.text(f"would {change.verb} {meant}")
        return 0
    if count.matched and not yes:
        confirm(f"{change.verb.capitalize()} {meant}?")
    last, failures = _follow(change, count)
    if session.output.as_json:
        document = {"matched": last.matched, "items": last.items, change.past: last.changed}
        if change.past == "updated":
            document |= {"unchanged": last.unchanged, "failed": len(failures)}
        session.output.document({**document, "failures": failures})
    else:
        session.output.text(_summary(change, last, len(failures)))
        _complain_of(failures)
    return 1 if failures else 0


def _follow(change: Change, count: Told) -> tuple[Told, list[MutationResult]]:
    """Make the change; return how it ended and all that failed."""
    failures: list[MutationResult] = []
    last = count
    try:
        with _Bar(change.past, count.matched) as bar:
            for last in change.start(False):
                failures += last.failures
                bar.show(last.changed + last.unchanged + len(failures), last.matched)
    except KeyboardInterrupt:
        complain(f"{_summary(change, last, len(failures))} so far; the same command goes on")
        raise
    return last, failures


def _summary(change: Change, last: Told, failed: int) -> str:
    parts = [f"{change.past} {last.changed:,} of {last.items:,} items of {change.collection}"]
    parts += [f"{last.unchanged:,} were so already"] if last.unchanged else []
    parts += [f"{failed:,} failed"] if failed else []
    return ", ".join(parts)


def _complain_of(failures: Sequence[MutationResult]) -> None:
    for each in failures[:_SHOWN]:
        ended = each.status.value.replace("_", " ")
        complain(f"{each.id}: {each.error.message if each.error else ended}")
    if len(failures) > _SHOWN:
        complain(f"and {len(failures) - _SHOWN:,} more: --json shows all")


class _Bar:
    """A bar on stderr; now and then a line where it is no terminal."""

    def __init__(self, past: str, matched: int) -> None:
        console = Console(stderr=True)
        self._past, self._told_s = past, time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._progress.add_task(past, total=matched)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def show(self, done: int, matched: int) -> None:
        """Show how many of the items are done with."""
        self._progress.update(self._task, completed=done, total=matched)
        now_s = time.monotonic()
        if self._progress.disable and now_s - self._told_s >= LINE_PERIOD_S:
            self._told_s = now_s
            complain(f"{done:,} of {matched:,} items {self._past}")
