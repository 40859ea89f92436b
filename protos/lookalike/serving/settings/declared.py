"""Declares what can be set: a field for each setting, with all that is known of it.

A process declares a frozen dataclass. Each field is made by `setting`, which keeps help,
bounds, choices and unit beside it; a field made by `group` holds a dataclass of further
settings, read along with the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field, fields
from inspect import get_annotations
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

_FORMS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a path",
}
_PLACEHOLDERS = {bool: "true|false", int: "N", float: "NUMBER", str: "TEXT", Path: "PATH"}


@dataclass(frozen=True, slots=True)
class Rules:
    """What stands beside a field."""

    help: str
    unit: str = ""
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    secret: bool = False
    must_exist: bool = False


def setting(
    text: str,
    default: Any = MISSING,
    *,
    unit: str = "",
    least: float | None = None,
    most: float | None = None,
    choices: tuple[str, ...] = (),
    secret: bool = False,
    must_exist: bool = False,
) -> Any:
    """Return a field: a setting that `text` explains, needed where it has no default.

    `least` and `most` are allowed themselves. A secret is in no repr and no message.
    `must_exist` asks for a file that can be read.
    """
    rules = Rules(text, unit, least, most, choices, secret, must_exist)
    return field(default=default, repr=not secret, metadata={"rules": rules})


def group(default: Any = MISSING) -> Any:
    """Return a field whose type is a dataclass of further settings.

    With the default None it is None where a setting that it needs is not given.
    """
    return field(default=default, metadata={"group": True})


@dataclass(frozen=True, slots=True)
class Option:
    """One setting as users see it. `kind` is str, int, float, bool or Path.

    `needed` says that there is no default, and that its group cannot be left out.
    """

    name: str
    kind: type
    many: bool
    default: Any
    needed: bool
    rules: Rules

    @property
    def flag(self) -> str:
        """Its option."""
        return "--" + self.name.replace("_", "-")

    @property
    def form(self) -> str:
        """What a value looks like, to follow "must be"."""
        rules = self.rules
        if rules.choices:
            return "one of " + ", ".join(rules.choices)
        if rules.must_exist:
            return "a file that can be read"
        form = _FORMS[self.kind]
        if rules.least is not None and rules.most is not None:
            return f"{form} from {rules.least:,} to {rules.most:,}"
        return form if rules.least is None else f"{form} of at least {rules.least:,}"

    @property
    def placeholder(self) -> str:
        """What stands for a value in help."""
        if self.rules.choices:
            return "|".join(self.rules.choices)
        one = self.rules.unit.upper() or _PLACEHOLDERS[self.kind]
        return f"{one},…" if self.many else one

    @property
    def default_text(self) -> str:
        """The default as it would be given; empty for none."""
        default = self.default
        if default is None or default is MISSING:
            return ""
        if self.many:
            return ",".join(map(str, default))
        return str(default).lower() if self.kind is bool else str(default).removesuffix(".0")


def options_of(settings: type[Any]) -> tuple[Option, ...]:
    """Return the settings that a dataclass declares, those of its groups included.

    Raises:
        TypeError: two have the same name, or one a type that cannot be read.
    """
    options = tuple(_declared(settings))
    names = [option.name for option in options]
    if len(set(names)) < len(names):
        raise TypeError(f"{settings.__name__} declares a setting twice: {sorted(names)}")
    return options


def _declared(settings: type[Any], *, optional: bool = False) -> Iterator[Option]:
    """Yield the settings of a class, its own before those that it inherits."""
    hints, own = get_type_hints(settings), get_annotations(settings)
    for item in sorted(fields(settings), key=lambda item: item.name not in own):
        hint = without_none(hints[item.name])
        if "group" in item.metadata:
            yield from _declared(hint, optional=optional or item.default is None)
            continue
        many = get_origin(hint) is tuple
        kind = get_args(hint)[0] if many else hint
        if kind not in _FORMS:
            raise TypeError(f"{settings.__name__}.{item.name} has a type that cannot be read")
        needed = item.default is MISSING and not optional
        yield Option(item.name, kind, many, item.default, needed, item.metadata["rules"])


def without_none(hint: Any) -> Any:
    """Return X of the type `X | None`, and any other type as it is."""
    kinds = [kind for kind in get_args(hint) if kind is not NoneType]
    return kinds[0] if NoneType in get_args(hint) else hint
