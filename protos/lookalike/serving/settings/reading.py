"""Reads what a process is told: its options, then its environment, then a file.

The field `grace_s` of the search service is its option `--grace-s`, the variable
LOOKALIKE_SEARCH_GRACE_S, and `grace_s` in the table [search] of the file that `--config` or
LOOKALIKE_SEARCH_CONFIG names; the first that is given holds. An empty variable counts as
not set, and an empty option asks for the default.
"""

from __future__ import annotations

import argparse
import difflib
import math
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import Any, NoReturn, TypeVar, get_type_hints

from lookalike.serving.settings.declared import Option, Rules, options_of, without_none
from lookalike.serving.settings.file import FileInvalid, read_table
from lookalike.wire.errors import LookalikeError

PREFIX = "LOOKALIKE_"
# Processes may share an environment, so each knows the others' names.
PARTS = ("SEARCH", "EMBEDDER", "WORKER")
CLIENT_VARIABLES = frozenset(
    PREFIX + name
    for name in (
        *("ADDRESS", "USE_PROXY", "SYNC_STATE", "TOKEN", "TOKEN_FILE", "WEB_TOKEN"),
        *("TLS", "TLS_CA", "TLS_CERTIFICATE", "TLS_KEY"),
    )
)
# Names the file, in which it cannot stand itself.
CONFIG = Option(
    "config",
    Path,
    False,
    None,
    False,
    Rules("TOML file of settings, which options and variables outrank", "file", must_exist=True),
)
EXIT_SETTINGS = 2

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_MOST_SHOWN_CHARACTERS = 80

S = TypeVar("S")


class SettingsInvalid(Exception):
    """A setting has a value that cannot be used; the message says what to change.

    It holds no secret.
    """


@dataclass(frozen=True, slots=True)
class Process:
    """A process that reads settings: `part` is one of `PARTS`, `package` what runs it."""

    part: str
    package: str
    purpose: str

    @property
    def prefix(self) -> str:
        """What its variables begin with."""
        return f"{PREFIX}{self.part}_"


def read(
    settings: type[S], process: Process, arguments: Sequence[str], environ: Mapping[str, str]
) -> S:
    """Return the settings of `process`.

    Raises:
        SettingsInvalid: a value cannot be read or is out of range, one that is needed is
            not there, or there is no setting of that name.
        SystemExit: --help.
    """
    options = options_of(settings)
    given = _given(process, (*options, CONFIG), arguments)
    _refuse_unknown(process, (*options, CONFIG), environ)
    filed, file = _filed(process, options, given, environ)
    values: dict[str, Any] = {}
    for option in options:
        texts, source = _told(option, given, process, environ)
        if texts == [""] and given[option.name] is None and option.name in filed:
            texts, source = [filed[option.name]], f"{file}: {option.name}"
        if any(texts):
            values[option.name] = _value(option, source, texts)
    return _build(settings, process, values)


def _told(
    option: Option,
    given: Mapping[str, list[str] | None],
    process: Process,
    environ: Mapping[str, str],
) -> tuple[list[str], str]:
    """Return what the options, else the environment, say of `option`, and which of them."""
    texts = given[option.name]
    if texts is not None:
        return texts, option.flag
    variable = process.prefix + option.name.upper()
    return [environ.get(variable, "")], variable


def _filed(
    process: Process,
    options: Sequence[Option],
    given: Mapping[str, list[str] | None],
    environ: Mapping[str, str],
) -> tuple[dict[str, str], str]:
    """Return what the file says by name, and what the file is called."""
    texts, source = _told(CONFIG, given, process, environ)
    if not any(texts):
        return {}, ""
    path: Path = _value(CONFIG, source, texts)
    try:
        filed = read_table(path, process.part, PARTS)
    except FileInvalid as error:
        raise SettingsInvalid(str(error)) from error
    known = [option.name for option in options]
    for name in filed:
        if name not in known:
            nearest = _nearest(name, known)
            where = f"{path}: [{process.part.lower()}]"
            raise SettingsInvalid(f"{where}: {name} is no setting; the nearest is {nearest}")
    return filed, str(path)


def refuse(process: Process, error: Exception) -> int:
    """Say on standard error, in one line, why `process` does not start; return its exit code."""
    where = f"--{error.field}: " if isinstance(error, LookalikeError) and error.field else ""
    sys.stderr.write(f"{process.package}: {where}{' '.join(str(error).split())}\n")
    return EXIT_SETTINGS


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsInvalid(message.removeprefix("argument "))


def _given(
    process: Process, options: Sequence[Option], arguments: Sequence[str]
) -> dict[str, list[str] | None]:
    """Return what the command line gives by name, None for what it does not name."""
    parser = _Parser(
        prog=f"python -m {process.package}",
        usage="%(prog)s [--OPTION VALUE …]",
        description=process.purpose,
        epilog=f"Each option can be set as {process.prefix}<OPTION> too, and, but for --config, "
        f"in the table [{process.part.lower()}] of the file that it names. Lists are separated by "
        "commas; their options may be repeated.",
        allow_abbrev=False,
    )
    for option in options:
        extra: dict[str, Any] = {"nargs": "?", "const": "true"} if option.kind is bool else {}
        parser.add_argument(
            option.flag,
            action="append",
            metavar=option.placeholder,
            help=_help(option).replace("%", "%%"),
            **extra,
        )
    parsed, rest = parser.parse_known_args(arguments)
    if rest and not rest[0].startswith("-"):
        # Not repeated here: it could be a password.
        raise SettingsInvalid("there is an argument without an option: write --OPTION VALUE")
    if rest:
        flag = rest[0].partition("=")[0]
        nearest = _nearest(flag, [option.flag for option in options])
        raise SettingsInvalid(f"{flag}: there is no such option; the nearest is {nearest}")
    found: dict[str, list[str] | None] = vars(parsed)
    for option in options:
        texts = found[option.name]
        if texts is not None and not option.many:
            found[option.name] = texts[-1:]
    return found


def _help(option: Option) -> str:
    if option.needed:
        return f"{option.rules.help} (needed)"
    default = f" (default: {option.default_text})" if option.default_text else ""
    return option.rules.help + default


def _refuse_unknown(
    process: Process, options: Sequence[Option], environ: Mapping[str, str]
) -> None:
    known = {process.prefix + option.name.upper() for option in options} | CLIENT_VARIABLES
    others = tuple(f"{PREFIX}{part}_" for part in PARTS if part != process.part)
    for name in sorted(environ):
        if name.startswith(PREFIX) and not name.startswith(others) and name not in known:
            nearest = _nearest(name, known)
            raise SettingsInvalid(f"{name}: there is no such setting; the nearest is {nearest}")


def _nearest(name: str, known: Iterable[str]) -> str:
    return difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.0)[0]


def _value(option: Option, source: str, texts: Sequence[str]) -> Any:
    if not option.many:
        return _one(option, source, texts[0])
    parts = (part.strip() for text in texts for part in text.split(","))
    return tuple(_one(option, source, part) for part in parts if part)


def _one(option: Option, source: str, text: str) -> Any:
    try:
        value = _BOOLEANS[text.lower()] if option.kind is bool else option.kind(text)
        good = _allowed(option.rules, value)
    except (KeyError, ValueError):
        good = False
    if good:
        return value
    shown = text if len(text) <= _MOST_SHOWN_CHARACTERS else f"{text[:_MOST_SHOWN_CHARACTERS]}…"
    got = "" if option.rules.secret else f", got {shown!r}"
    raise SettingsInvalid(f"{source}: must be {option.form}{got}")


def _allowed(rules: Rules, value: Any) -> bool:
    if rules.choices:
        return value in rules.choices
    if rules.must_exist:
        return value.is_file() and os.access(value, os.R_OK)
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return (rules.least is None or value >= rules.least) and (
        rules.most is None or value <= rules.most
    )


def _build(settings: type[S], process: Process, values: Mapping[str, Any]) -> S:
    hints = get_type_hints(settings)
    known: dict[str, Any] = {}
    for item in fields(settings):  # type: ignore[arg-type]  # a dataclass, as `read` says
        if "group" in item.metadata:
            inner = without_none(hints[item.name])
            if item.default is not None or _complete(inner, values):
                known[item.name] = _build(inner, process, values)
        elif item.name in values:
            known[item.name] = values[item.name]
        elif item.default is MISSING:
            raise SettingsInvalid(_missing(process, item))
    return settings(**known)


def _complete(settings: type[Any], values: Mapping[str, Any]) -> bool:
    return all(option.name in values for option in options_of(settings) if option.needed)


def _missing(process: Process, item: Field[Any]) -> str:
    flag = "--" + item.name.replace("_", "-")
    rules: Rules = item.metadata["rules"]
    return f"{flag} or {process.prefix}{item.name.upper()} is needed: {rules.help}"
