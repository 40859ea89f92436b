"""The span that the code at hand works for, and spans within it.

A process that traces installs a tracer once, at its start, as it sets up its log. Without
one there is no current span, and all that stands here does nothing. Knows no library of
traces: that is behind `Tracer`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum
from typing import Protocol, TypeAlias

Attribute: TypeAlias = "str | bool | int | float"

# The W3C's name of what carries a trace on: version, trace, span, flags.
TRACEPARENT = "traceparent"


class Kind(Enum):
    """What a span stands for, as OpenTelemetry tells them apart."""

    INTERNAL = "INTERNAL"
    SERVER = "SERVER"
    CLIENT = "CLIENT"
    PRODUCER = "PRODUCER"
    CONSUMER = "CONSUMER"


class Span(Protocol):
    """A piece of work in a trace. Times are in seconds since 1970."""

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""

    @property
    def span_id(self) -> str:
        """16 hexadecimal digits."""

    @property
    def traceparent(self) -> str:
        """What a process that is called needs to go on with the trace."""

    @property
    def kept(self) -> bool:
        """Whether it is exported: a share of traces is."""

    def begin(self, name: str, kind: Kind = Kind.INTERNAL, start_s: float | None = None) -> Span:
        """Begin a span within this one."""

    def say(self, **attributes: Attribute) -> None:
        """Set attributes; "__" in a name stands for a dot."""

    def end(self, failure: str = "", end_s: float | None = None) -> None:
        """End it, as failed if `failure` says how."""


class Tracer(Protocol):
    """Begins traces, or goes on with those of others."""

    @property
    def begins_calls(self) -> bool:
        """Whether a call that belongs to no trace begins one."""

    def begin(self, name: str, kind: Kind, parent: str = "", links: Sequence[str] = ()) -> Span:
        """Begin a span under the `traceparent` given, or a trace; links are such texts."""

    def close(self) -> None:
        """Export what is left, for a moment, and stop."""


_current: ContextVar[Span | None] = ContextVar("lookalike_span", default=None)
_installed: list[Tracer] = []


def install(tracer: Tracer | None) -> None:
    """Have this process trace; None ends that. Channels and servers made before do not."""
    _installed[:] = [tracer] if tracer is not None else []


def installed() -> Tracer | None:
    """Return the tracer of this process; None where it does not trace."""
    return _installed[0] if _installed else None


def current() -> Span | None:
    """Return the span that is worked for."""
    return _current.get()


def enter(span: Span | None) -> None:
    """Work for `span` to the end of the task at hand."""
    _current.set(span)


@contextmanager
def within(span: Span | None) -> Iterator[None]:
    """Work for `span`, or for none, in this block. It is not ended."""
    token = _current.set(span)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def ended(span: Span) -> Iterator[Span]:
    """Work for `span` in this block, and end it after."""
    failure = ""
    try:
        with within(span):
            yield span
    except BaseException as error:
        failure = type(error).__name__
        raise
    finally:
        span.end(failure)


@contextmanager
def stage(name: str, kind: Kind = Kind.INTERNAL) -> Iterator[Span | None]:
    """Work for a span within the current one in this block; None where none is kept."""
    span = _current.get()
    if span is None or not span.kept:
        yield None
        return
    with ended(span.begin(name, kind)) as inner:
        yield inner


def past(stages: Sequence[tuple[str, float]], **attributes: Attribute) -> None:
    """Note stages that have just ended, one after the other: names and seconds.

    `attributes` are those of the span that they lie in.
    """
    span = _current.get()
    if span is None or not span.kept:
        return
    span.say(**attributes)
    start_s = time.time() - sum(seconds for _, seconds in stages)
    for name, seconds in stages:
        span.begin(name, start_s=start_s).end(end_s=start_s + seconds)
        start_s += seconds
