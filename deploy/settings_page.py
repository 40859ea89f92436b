"""Writes the tables of deploy/SETTINGS.md from the settings that the processes declare.

    python deploy/settings_page.py            write them
    python deploy/settings_page.py --check    fail where the page says something else

What stands outside the marks is written by hand.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from embedder_service import settings as embedder
from embedder_service.worker import settings as worker
from lookalike.serving.settings.declared import Option, options_of
from lookalike.serving.settings.reading import Process
from search_service import settings as search

PAGE = Path(__file__).with_name("SETTINGS.md")
PROCESSES: tuple[tuple[Process, type[Any]], ...] = (
    (search.PROCESS, search.Settings),
    (embedder.PROCESS, embedder.Settings),
    (worker.PROCESS, worker.WorkerSettings),
)


def updated(page: str) -> str:
    """Return `page` with a table of each process between its marks.

    Raises:
        ValueError: the marks of a process are not there.
    """
    for process, settings in PROCESSES:
        begin, end = f"<!-- begin {process.package} -->", f"<!-- end {process.package} -->"
        between = re.compile(f"({re.escape(begin)}\n).*({re.escape(end)}\n)", re.DOTALL)
        text = table(process, settings)
        page, found = between.subn(lambda marks, text=text: marks[1] + text + marks[2], page)  # type: ignore[misc]
        if found != 1:
            raise ValueError(f"{PAGE.name} has no lines {begin} and {end}")
    return page


def table(process: Process, settings: type[Any]) -> str:
    """Return a process's settings as a table in Markdown."""
    rows = [
        f"Variables `{process.prefix}<OPTION>`.",
        "",
        "| option | value | default | meaning |",
        "|---|---|---|---|",
        *map(_row, options_of(settings)),
    ]
    return "\n".join(rows) + "\n"


def _row(option: Option) -> str:
    default = f"`{option.default_text}`" if option.default_text else ""
    if option.needed:
        default = "needed"
    meaning = option.rules.help + ("; a secret" if option.rules.secret else "")
    return f"| `{option.flag}` | {_values(option)} | {default} | {meaning} |"


def _values(option: Option) -> str:
    rules = option.rules
    if option.kind is bool:
        return "`true` or `false`"
    if rules.choices:
        return ", ".join(f"`{choice}`" for choice in rules.choices)
    words = [rules.unit or {int: "whole number", float: "number", str: "text"}[option.kind]]
    if rules.least is not None and rules.most is not None:
        words.append(f"{rules.least:,} to {rules.most:,}")
    return ("list of: " if option.many else "") + ", ".join(words)


def main(arguments: list[str]) -> int:
    """Write the page, or with --check compare it; 1 where it is stale."""
    old = PAGE.read_text(encoding="utf-8")
    new = updated(old)
    if "--check" not in arguments:
        PAGE.write_text(new, encoding="utf-8")
    elif new != old:
        sys.stderr.write("deploy/SETTINGS.md is not what the settings declare: run make settings\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
