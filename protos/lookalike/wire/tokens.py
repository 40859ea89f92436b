"""The API key that calls carry: given as text, or in a file that may be replaced."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from lookalike.wire.errors import InvalidField

# A key that was replaced is used within this time.
_LOOK_EVERY_S = 1.0
_MOST_BYTES = 4_096


class Token(Protocol):
    """Gives the API key for the next call; its repr does not."""

    def text(self) -> str:
        """Return the key.

        Raises:
            InvalidField: there is none.
        """


class GivenToken:
    """An API key as text."""

    def __init__(self, text: str) -> None:
        """Take a key.

        Raises:
            InvalidField: it has characters that no call can carry.
        """
        self._text = _checked(text, "token")

    def __repr__(self) -> str:
        return "GivenToken(…)"

    def text(self) -> str:
        """See `Token`."""
        return self._text


class TokenFile:
    """An API key in a file, alone but for spaces around it; read again when it changes."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Read it.

        Raises:
            InvalidField: there is no key in the file.
        """
        self._path = path
        self._clock = clock
        self._text = self._read()
        self._looked_s = clock()

    def __repr__(self) -> str:
        return f"TokenFile({str(self._path)!r})"

    def text(self) -> str:
        """See `Token`; that of before where there is none any more."""
        now_s = self._clock()
        if now_s - self._looked_s >= _LOOK_EVERY_S:
            self._looked_s = now_s
            # In the middle of a change: the service says whether the old one still counts.
            with contextlib.suppress(InvalidField):
                self._text = self._read()
        return self._text

    def _read(self) -> str:
        try:
            with self._path.open("rb") as file:
                data = file.read(_MOST_BYTES)
        except OSError as error:
            message = f"{self._path} cannot be read: {error.strerror}"
            raise InvalidField("token_file", message) from error
        return _checked(data.decode("latin-1"), "token_file")


def _checked(text: str, field: str) -> str:
    token = text.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise InvalidField(field, "holds no API key, such as `lookalike keys make` prints")
    return token
