"""The keys of a file, read again when it changes."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from lookalike.serving.access.principal import Principal
from lookalike.wire import keys
from lookalike.wire.errors import InvalidField, Unauthenticated

_log = logging.getLogger(__name__)

# A key that is revoked stops working within this time; a look costs 2 us.
_LOOK_EVERY_S = 1.0
# Said of all that is wrong with a token: a caller learns nothing by trying.
_UNKNOWN = "the API key is not known, has expired or was revoked"
_MISSING = (
    "this service asks for an API key: send it as the metadata "
    "`authorization: Bearer KEY` (token= in Python, --token-file on the command line)"
)


class KeyStore:
    """Finds who holds a token; used on the event loop alone."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Read the file.

        Raises:
            InvalidField: it cannot be read, or has another form.
        """
        self._path = path
        self._clock = clock
        self._seen = _signature(path)
        self._looked_s = clock()
        self._principals: dict[str, Principal] = {}
        self._take(keys.read(path))
        if os.stat(path).st_mode & 0o022:
            _log.warning("others may write the file of keys", extra={"file": str(path)})

    def holder(self, token: str | None) -> Principal:
        """Return who holds a token.

        Raises:
            Unauthenticated: there is none, or nobody holds it.
        """
        if token is None:
            raise Unauthenticated(_MISSING)
        self._look()
        principal = self._principals.get(keys.id_of(token) or "")
        if principal is None or not principal.record.is_of(token):
            raise Unauthenticated(_UNKNOWN)
        if principal.record.expired(datetime.now(UTC)):
            raise Unauthenticated(_UNKNOWN)
        return principal

    def records(self) -> list[keys.KeyRecord]:
        """Return what is known of each key; from any thread."""
        return [principal.record for principal in list(self._principals.values())]

    def _look(self) -> None:
        now_s = self._clock()
        if now_s - self._looked_s < _LOOK_EVERY_S:
            return
        self._looked_s = now_s
        signature = _signature(self._path)
        if signature == self._seen:
            return
        self._seen = signature
        try:
            self._take(keys.read(self._path))
        except InvalidField as error:
            # Better the keys of before than none at all, which would stop everybody.
            _log.error("the keys of before stay in force: %s", error.message)
            return
        _log.info("read the keys again", extra={"keys": len(self._principals)})

    def _take(self, records: tuple[keys.KeyRecord, ...]) -> None:
        """Bring the principals up to date; those that are gone are revoked."""
        before, self._principals = self._principals, {}
        for record in records:
            known = before.pop(record.id, None)
            if known is None or known.record.sha256 != record.sha256:
                if known is not None:
                    known.revoked = True
                known = Principal(record, self._clock, self._look)
            known.record = record
            self._principals[record.id] = known
        for gone in before.values():
            gone.revoked = True


def _signature(path: Path) -> tuple[int, int, int] | None:
    """Return what tells that a file was replaced or written to; None: it is gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
