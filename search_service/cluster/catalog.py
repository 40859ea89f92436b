"""The catalog of a front: names and specs are shared, replicas are found on the cluster."""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from lookalike.wire.errors import (
    InvalidField,
    LookalikeError,
    NotFound,
    Reason,
    Unavailable,
    Unsupported,
)
from search_service.catalog.catalog import Catalog
from search_service.catalog.collection import Collection
from search_service.catalog.names import Names
from search_service.catalog.shards import Shards
from search_service.cluster.connection import connect
from search_service.cluster.front import Front, Placing
from search_service.cluster.looks import Looks
from search_service.cluster.names import Contents, SharedCatalog
from search_service.cluster.offered import check_duplicates, check_names
from search_service.cluster.settings import ClusterSettings
from search_service.cluster.status import PartitionStatus
from search_service.cluster.storage import CatalogCopy
from search_service.domain.collection import CollectionSpec
from search_service.shard.api import ShardApi
from search_service.shard.options import ShardOptions

_log = logging.getLogger(__name__)

# What another front changes is seen after this at the latest.
_LOOK_EVERY_S = 0.5
# How long a call with a name that is not known waits for a look, which another thread takes:
# whoever calls may be the event loop of all.
_LOOKS_WITHIN_S, _ASK_EVERY_S = 0.05, 0.1
# What another front has begun to delete and not finished is finished here, after this.
_LEAVES_WITHIN_S = 60.0


class ClusterCatalog(Catalog):
    """`Catalog` whose collections live on a cluster; `root` keeps what is the front's own."""

    def __init__(
        self, root: Path, settings: ClusterSettings, options: ShardOptions, placing: Placing
    ) -> None:
        super().__init__(root, Shards(options, lambda: None))
        self._settings = settings
        client = connect(settings.cluster_log, settings.cluster_log_tls_ca)
        self._shared = SharedCatalog(client, settings.cluster_key_prefix)
        self._front = Front(settings, client, placing)
        self._copy = CatalogCopy(settings.cluster_snapshots, settings.cluster_key_prefix)
        self._copied = 0
        self._contents = Contents()
        self._all_open = True
        self._coming = Names()
        self._leaving: dict[str, float] = {}
        self._stop = threading.Event()
        self._looks = Looks(_ASK_EVERY_S)
        self._watcher = threading.Thread(target=self._watch, name="catalog", daemon=True)

    def open(self) -> None:
        """Join the cluster, and find every collection's replicas.

        Raises:
            DataDirectoryInUse: another server has the front's directory.
            Unavailable: the log's Redis is away, or has no catalog, and the shared storage that
                may have a copy is away.
        """
        (self._root / "collections").mkdir(parents=True, exist_ok=True)
        self._lock_file.acquire()
        self._front.connect()
        found = self._shared.load()
        with self._change:
            # Redis has nothing: it is new, or it has lost all.
            self._adopt(self._newest(found, found if found.revision else self._copy.newest()))
        self._ready = True
        self._watcher.start()

    def find(self, name: str, field: str = "collection") -> Collection:
        """See `Catalog`; what is not known is looked up once more, if that is quick.

        Raises:
            Unavailable: also where another front has made it, and this one opens it.
        """
        try:
            return super().find(name, field)
        except NotFound:
            self._looks.ask(_LOOKS_WITHIN_S)
        try:
            return super().find(name, field)
        except NotFound:
            if self._coming.uid_of(name) is None:
                raise
            raise Unavailable(
                f'collection "{name}" is being opened', reason=Reason.NOT_READY, retry_delay_s=0.5
            ) from None

    def take_in(self, name: str, uid: str, fill: Callable[[Path], None]) -> Collection:
        """See `Catalog`; not offered.

        Raises:
            Unsupported: always.
        """
        raise Unsupported("a snapshot of one machine cannot be restored on a cluster")

    def create(self, spec: CollectionSpec) -> Collection:
        """See `Catalog`.

        Raises:
            Unsupported: settings that a partitioned collection has not.
            Exhausted: the cluster has too few nodes with room.
        """
        spec = replace(
            spec,
            partitions=spec.partitions or self._settings.cluster_partitions,
            replicas=spec.replicas or self._settings.cluster_replicas,
        )
        check_duplicates(spec)
        check_names(spec)
        self._refresh()
        return super().create(spec)

    def delete(self, name: str) -> int:
        """See `Catalog`; the items are those that answer."""
        self._refresh()
        with self._change:
            self._check_ready()
            if name in self._names.aliases:
                raise InvalidField("name", f'"{name}" is an alias; name the collection itself')
            collection = super().find(name, "name")
            spec = collection.shard.spec
            self._save(self._names.without_collection(spec.uid))
            del self._by_uid[spec.uid]
        try:
            items = collection.shard.stats().items
        except LookalikeError:
            items = 0
        shutil.rmtree(self.directory(spec.uid), ignore_errors=True)
        self._finish(spec)
        _log.info("collection deleted", extra={"collection": name, "uid": spec.uid})
        return items

    def set_alias(self, alias: str, name: str) -> str:
        """See `Catalog`."""
        self._refresh()
        return super().set_alias(alias, name)

    def rename(self, name: str, new_name: str) -> None:
        """See `Catalog.rename`.

        Raises:
            Unsupported: always.
        """
        raise Unsupported("a collection of a cluster keeps its name")

    def delete_alias(self, alias: str) -> None:
        """See `Catalog`."""
        self._refresh()
        super().delete_alias(alias)

    def close(self) -> None:
        """Leave the cluster; replicas live on."""
        self._stop.set()
        self._looks.ask(0)
        if self._watcher.is_alive():
            self._watcher.join()
        super().close()
        self._front.close()

    def describe(self, name: str) -> list[PartitionStatus]:
        """Say how the partitions and replicas of a collection are.

        Raises:
            NotFound: there is no such collection.
            Unavailable: the log's Redis is away.
        """
        return self._front.describe(self.find(name).shard.spec)

    def _make_shard(self, spec: CollectionSpec) -> ShardApi:
        self.directory(spec.uid).mkdir(exist_ok=True)
        names = self._names.with_collection(spec.name, spec.uid)
        self._save_with(names, {**self._contents.specs, spec.uid: spec})
        try:
            return self._front.open(spec, self._save_spec, new=True)
        except Exception:
            self._save(self._names.without_collection(spec.uid))
            with contextlib.suppress(LookalikeError):  # or a later look removes it
                self._front.remove(spec)
                self._contents = self._shared.save(self._contents.without(spec.uid), self._contents)
            raise

    def _save(self, names: Names) -> None:
        self._save_with(names, self._contents.specs)

    def _save_with(self, names: Names, specs: Mapping[str, CollectionSpec]) -> None:
        changed = self._contents.changed(names, specs)
        self._contents = self._shared.save(changed, self._contents)
        self._names = names
        with contextlib.suppress(LookalikeError):  # or a later look keeps it
            self._keep_copy()

    def _save_spec(self, spec: CollectionSpec) -> None:
        with self._change:
            self._adopt(self._newest(self._shared.load(self._contents), self._contents))
            self._save_with(self._names, {**self._contents.specs, spec.uid: spec})

    def _refresh(self) -> None:
        with self._change:
            self._adopt(self._newest(self._shared.load(self._contents), self._contents))

    def _newest(self, found: Contents, known: Contents) -> Contents:
        """Return what the catalog says, put back where Redis has lost the end of it."""
        if found.revision >= known.revision:
            return found
        _log.warning("Redis lost changes of the catalog, which is put back")
        return self._shared.save(known, found)

    def _adopt(self, contents: Contents) -> None:
        """Open what is new, forget what is gone, take up what was changed."""
        if contents.raw == self._contents.raw and self._all_open:
            return
        self._all_open = True
        self._coming = contents.names
        for name, uid in contents.names.collections.items():
            spec = contents.specs[uid]
            if uid not in self._by_uid:
                self._open_shared(name, spec)
            elif spec != self._contents.specs.get(uid):
                self._front.adopt(spec)
        known = set(contents.names.collections.values())
        for uid in [uid for uid in self._by_uid if uid not in known]:
            del self._by_uid[uid]
            self._front.forget(uid)
            shutil.rmtree(self.directory(uid), ignore_errors=True)
        self._names, self._contents = contents.names, contents

    def _open_shared(self, name: str, spec: CollectionSpec) -> None:
        self.directory(spec.uid).mkdir(exist_ok=True)
        try:
            shard = self._front.open(spec, self._save_spec, new=False)
        except LookalikeError as error:
            # The others are there; it is tried again with the next look.
            _log.warning("a collection cannot be opened: %s", error.message)
            self._all_open = False
            return
        self._by_uid[spec.uid] = Collection(spec.uid, name, shard)

    def _finish(self, spec: CollectionSpec) -> None:
        """Remove what is left of a deleted collection; a later look tries again, here or at
        another front, where that fails or the process ends."""
        try:
            self._front.remove(spec)
            with self._change:
                self._adopt(self._newest(self._shared.load(self._contents), self._contents))
                if spec.uid in self._contents.leaving:
                    without = self._contents.without(spec.uid)
                    self._contents = self._shared.save(without, self._contents)
        except LookalikeError as error:
            _log.warning("a deleted collection is not removed yet: %s", error.message)

    def _finish_what_is_left(self) -> None:
        now_s = time.monotonic()
        leaving = self._contents.leaving
        self._leaving = {uid: self._leaving.get(uid, now_s) for uid in leaving}
        for uid, since_s in list(self._leaving.items()):
            if now_s - since_s > _LEAVES_WITHIN_S:
                self._leaving[uid] = now_s
                self._finish(leaving[uid])

    def _watch(self) -> None:
        front = self._front
        steps = (self._look, front.look_at_run, front.look_for_losses, self._keep_copy)
        while not self._stop.is_set():
            for step in (*steps, self._finish_what_is_left):
                try:
                    step()
                except LookalikeError as error:
                    _log.warning("looking after the cluster: %s", error.message)
                except Exception:  # noqa: BLE001 - logged; a later look may go well
                    _log.exception("looking after the cluster fails")

    def _look(self) -> None:
        with self._looks.next(_LOOK_EVERY_S):
            self._refresh()

    def _keep_copy(self) -> None:
        contents = self._contents
        if contents.revision > self._copied:
            self._copy.keep(contents)
            self._copied = contents.revision
