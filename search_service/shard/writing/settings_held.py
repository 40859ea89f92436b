"""The settings of a collection in force, and their changes one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeAlias

import apsw

from search_service.domain.collection import CollectionSpec, SettingsChange
from search_service.store import schema

Save: TypeAlias = Callable[[apsw.Connection], CollectionSpec]


class SettingsHeld:
    """What a collection is; any thread may read and change it."""

    def __init__(self, db: apsw.Connection) -> None:
        """Read it from its store."""
        self.spec = schema.spec_from_json(bytes(schema.read_meta(db, "spec")))
        self._lock = threading.Lock()  # held while it changes

    def read(self) -> CollectionSpec:
        """Return it as it is now."""
        return self.spec

    def update(
        self, change: SettingsChange, run: Callable[[Save], Future[CollectionSpec]]
    ) -> CollectionSpec:
        """Make a change durable by `run`, which takes what is to be done in a transaction."""

        def save(db: apsw.Connection) -> CollectionSpec:
            spec = change.applied_to(self.spec)
            schema.write_meta(db, "spec", schema.spec_to_json(spec))
            return spec

        # The writer may save the next change before this thread goes on: each starts from
        # the one before only if it is made after that was noted here.
        with self._lock:
            self.spec = run(save).result()
            return self.spec
