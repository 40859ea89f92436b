"""What the commands that ask about a whole collection share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from lookalike_client.cli.session import Session
from lookalike_client.types import AnalysisProgress

PAGE = click.Path(dir_okay=False, writable=True, path_type=Path)


def say_page(session: Session, html: Path | None) -> None:
    """Say where the page was written, if one was."""
    if html is not None:
        session.output.text(f"page: {html}")


class Told:
    """Shows what an analysis says on its way."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("waiting", total=None)

    def __call__(self, said: AnalysisProgress) -> None:
        """Show how far it is."""
        self._progress.update(
            self._task, description=said.stage, completed=said.done, total=said.total or None
        )


@contextmanager
def progress() -> Iterator[Told]:
    """Show a bar on stderr while it is a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        yield Told(bar)
