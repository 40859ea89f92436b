"""The progress of an index run: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from lookalike_client.cli.output import complain
from lookalike_client.indexing.ledger import Tally

# The rate is that of the last minute: embedding sets it, not the sending.
_RATE_PERIOD_S = 60.0
# Without a terminal, a line so often: a log shows that the run lives, and stays short.
LINE_PERIOD_S = 10.0


class IndexProgress:
    """A bar on stderr that shows what is done; now and then a line where it is no terminal.

    Files that need no sending count neither as done nor as remaining: they would
    make the remaining time look shorter than it is.
    """

    def __init__(
        self, files: int, *, wait: bool, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        console = Console(stderr=True)
        self._files, self._wait = files, wait
        self._clock_s, self._told_s = clock_s, clock_s()
        self._stall = ""
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[notes]}"),
            console=console,
            disable=not console.is_terminal,
            transient=True,
            speed_estimate_period=_RATE_PERIOD_S,
        )
        name = "searchable" if wait else "queued"
        self._task = self._progress.add_task(name, total=files, notes="")

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

    def show(self, tally: Tally, stall: str = "") -> None:
        """Show the counts, and why nothing moves.

        The reason of a stall is worth a line where there is no bar, too.
        """
        if self._progress.disable and stall and stall != self._stall:
            complain(f"note: {stall}")
        self._stall = stall
        if self._progress.disable:
            self._tell(tally)
            return
        ended = tally.done if self._wait else tally.queued
        notes = [f"{tally.queued - tally.done:,} in the queue"] if self._wait else []
        notes += [f"{tally.unchanged:,} unchanged"] if tally.unchanged else []
        notes += [f"[red]{tally.failed:,} failed[/red]"] if tally.failed else []
        notes += [f"[red]{tally.lost:,} lost[/red]"] if tally.lost else []
        notes += [f"[yellow]{escape(stall)}[/yellow]"] if stall else []
        self._progress.update(
            self._task,
            completed=ended + tally.refused,
            total=self._files - tally.unchanged,
            notes=", ".join(notes),
        )

    def _tell(self, tally: Tally) -> None:
        now_s = self._clock_s()
        if now_s - self._told_s < LINE_PERIOD_S:
            return
        self._told_s = now_s
        files = self._files - tally.unchanged
        parts = [f"{tally.done if self._wait else tally.queued:,} of {files:,} files"]
        parts[0] += " done" if self._wait else " queued"
        parts += [f"{tally.queued - tally.done:,} in the queue"] if self._wait else []
        parts += [f"{tally.failed:,} failed"] if tally.failed else []
        parts += [f"{tally.lost:,} lost"] if tally.lost else []
        complain(", ".join(parts))


class _Rate(ProgressColumn):
    """Files a second."""

    def render(self, task: Task) -> Text:
        """Return the rate; a dash while it is not known."""
        speed = task.finished_speed or task.speed
        return Text("-/s" if speed is None else f"{speed:,.1f}/s")
