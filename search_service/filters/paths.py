"""Field paths as text: keys joined by dots, as in `camera.model`.

A key that holds a dot or a backtick stands between backticks, with inner
backticks doubled: `` `f.number`.value `` is the path `("f.number", "value")`.
"""

from __future__ import annotations

import re

from search_service.domain.conditions import FieldPath

MAX_PATH_KEYS = 8  # metadata has at most 8 levels (search.proto, Item.metadata)
MAX_PATH_CHARACTERS = 1_024

_KEY = re.compile(r"`((?:[^`]|``)+)`|([^.`]+)")
# Words of the text syntax; as keys they stand between backticks there.
RESERVED = frozenset({"and", "or", "not", "in", "exists", "startswith", "true", "false"})


def parse_path(text: str) -> FieldPath:
    """Split a path into its keys.

    Raises:
        ValueError: with a text that says what is wrong.
    """
    if not text:
        raise ValueError("a field path is required")
    if len(text) > MAX_PATH_CHARACTERS:
        raise ValueError(f"a field path has at most {MAX_PATH_CHARACTERS} characters")
    keys: list[str] = []
    position = 0
    while True:
        match = _KEY.match(text, position)
        if match is None:
            raise ValueError(f"a key is missing or has a lone backtick at character {position + 1}")
        keys.append(unquote_key(match.group()))
        position = match.end()
        if position == len(text):
            break
        if text[position] != ".":
            raise ValueError(f"expected a dot at character {position + 1}")
        position += 1
    if len(keys) > MAX_PATH_KEYS:
        raise ValueError(f"a field path has at most {MAX_PATH_KEYS} keys")
    return tuple(keys)


def unquote_key(text: str) -> str:
    """Take the backticks off a key that has them."""
    return text[1:-1].replace("``", "`") if text.startswith("`") else text


def format_path(path: FieldPath) -> str:
    """Write a path so that `parse_path` reads it back."""
    return ".".join(
        f"`{key.replace('`', '``')}`" if "." in key or "`" in key else key for key in path
    )
