"""Changes of metadata from what is typed: `--set key=value`, `--unset key`, `--merge JSON`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

import click

from lookalike_client.types import JsonValue

# Keys as filters name them: joined by dots, in backticks where they hold dots or backticks.
_KEYS = re.compile(r"(?:`(?:[^`]|``)+`|[^.`=]+)(?:\.(?:`(?:[^`]|``)+`|[^.`=]+))*")
_KEY = re.compile(r"`((?:[^`]|``)+)`|([^.`=]+)")


def read_patch(
    sets: Sequence[str], unsets: Sequence[str], merge: str | None
) -> dict[str, JsonValue]:
    """Return the JSON merge patch that options make together.

    Raises:
        click.UsageError: one of them cannot be read, or two say different things of a key.
    """
    patch = {} if merge is None else read_object(merge, "--merge")
    for text in sets:
        keys, value = _read_set(text)
        _put(patch, keys, value, f"--set {text}")
    for text in unsets:
        match = _KEYS.fullmatch(text)
        if match is None:
            raise click.UsageError(f"--unset {text}: name a key, such as camera.model.")
        _put(patch, _split(text), None, f"--unset {text}")
    return patch


def read_object(text: str, option: str) -> dict[str, JsonValue]:
    """Return a JSON object.

    Raises:
        click.UsageError: it is none.
    """
    try:
        value = json.loads(text, parse_constant=_no_number)
    except ValueError as error:
        raise click.UsageError(f"{option}: this is no JSON: {error}.") from error
    if not isinstance(value, dict):
        raise click.UsageError(f"{option}: this is no JSON object, such as '{{\"key\": 1}}'.")
    return value


def _read_set(text: str) -> tuple[list[str], JsonValue]:
    match = _KEYS.match(text)
    if match is None or text[match.end() : match.end() + 1] != "=":
        raise click.UsageError(f"--set {text}: give a key and a value, such as price=50.")
    value = _value(text[match.end() + 1 :])
    if value is None:
        raise click.UsageError(f"--set {text}: null takes a key away: use --unset.")
    return _split(match[0]), value


def _value(text: str) -> JsonValue:
    """Return what JSON makes of a text; anything else is a string as it stands."""
    try:
        value: JsonValue = json.loads(text, parse_constant=_no_number)
    except ValueError:
        return text
    return value


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _split(keys: str) -> list[str]:
    return [quoted.replace("``", "`") if quoted else plain for quoted, plain in _KEY.findall(keys)]


def _put(patch: dict[str, JsonValue], keys: Sequence[str], value: JsonValue, option: str) -> None:
    *outer, last = keys
    place = patch
    for key in outer:
        inner = place.setdefault(key, {})
        if not isinstance(inner, dict):
            raise _twice(option, key)
        place = inner
    if last in place:
        raise _twice(option, last)
    place[last] = dict(value) if isinstance(value, Mapping) else value


def _twice(option: str, key: str) -> click.UsageError:
    return click.UsageError(f'{option}: "{key}" is changed by another option already.')
