"""Fills the templates, and writes pages."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(template: str, **values: object) -> str:
    """Return a page; values are escaped, but for charts."""
    return _environment().get_template(template).render(**values)


def write_page(path: Path, page: str) -> None:
    """Write a page.

    Raises:
        OSError: it cannot be written.
    """
    path.write_text(page, encoding="utf-8")


@cache
def _environment() -> Environment:
    loader = PackageLoader("lookalike_client.reports", "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
