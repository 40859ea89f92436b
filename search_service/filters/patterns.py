"""Regular expressions of filters: RE2, whose time grows with the text alone."""

from __future__ import annotations

import functools
from typing import Any

import re2

from search_service.domain.conditions import Text, TextMatch
from search_service.filters.limits import MAX_PATTERN_CHARACTERS

# Of one pattern: what RE2 may hold of its program and states. `a{1000}` takes 80 KB;
# past it RE2 refuses the program, and otherwise drops states and makes them again.
_MAX_BYTES = 4 << 20


class PatternWrong(ValueError):
    """The text is no pattern of RE2; says why."""


@functools.lru_cache(maxsize=256)
def compiled(pattern: str) -> Any:
    """Return a pattern, whose `search` takes UTF-8.

    Raises:
        PatternWrong: it is too long, or none.
    """
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        raise PatternWrong(f"a pattern has at most {MAX_PATTERN_CHARACTERS} characters")
    options = re2.Options()
    options.max_mem = _MAX_BYTES
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except (re2.error, UnicodeError) as error:
        raise PatternWrong(f"this is no pattern of RE2: {_said(error)}") from error


def fault_of(node: Text) -> str | None:
    """Say what is wrong with the text of a condition; None where nothing is."""
    if node.match is not TextMatch.REGEX:
        empty = not node.text and node.match is not TextMatch.EQUALS
        return "the text must not be empty" if empty else None
    if node.ignore_case:
        return "a pattern says (?i) itself"
    if not node.text:
        return "the pattern must not be empty"
    try:
        compiled(node.text)
    except PatternWrong as error:
        return str(error)
    return None


def _said(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
