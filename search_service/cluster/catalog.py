"""The catalog of a front: names and specs are shared, replicas are found on the cluster."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from lookalike.wire.errors import LookalikeError, NotFound, Unsupported
from search_service.catalog.catalog import Catalog
from search_service.catalog.collection import Collection
from search_service.catalog.names import Names
from search_service.catalog.shards import Shards
from search_service.cluster.front import Front, Placing
from search_service.cluster.log import connect
from search_service.cluster.names import Contents, SharedCatalog
from search_service.cluster.offered import check_duplicates, check_names
from search_service.cluster.settings import ClusterSettings
from search_service.cluster.status import PartitionStatus
from search_service.domain.collection import CollectionSpec
from search_service.shard.api import ShardApi
from search_service.shard.options import ShardOptions

_log = logging.getLogger(__name__)

# What another front changes is seen after this at the latest.
_LOOK_EVERY_S = 0.5
# A name that is not known is looked up in Redis, not more often than this.
_LOOK_AGAIN_S = 0.1


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
        self._contents = Contents()
        self._looked_s = 0.0
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="catalog", daemon=True)

    def open(self) -> None:
        """Join the cluster, and find every collection's replicas.

        Raises:
            DataDirectoryInUse: another server has the front's directory.
            Unavailable: the log's Redis is away.
        """
        (self._root / "collections").mkdir(parents=True, exist_ok=True)
        self._lock_file.acquire()
        self._front.connect()
        self._adopt(self._shared.load())
        self._ready = True
        self._watcher.start()

    def find(self, name: str, field: str = "collection") -> Collection:
        """See `Catalog`; what is not known is looked up once more."""
        try:
            return super().find(name, field)
        except NotFound:
            now_s = time.monotonic()
            if now_s - self._looked_s < _LOOK_AGAIN_S:
                raise
            self._looked_s = now_s
            with self._change:
                self._adopt(self._shared.load())
            return super().find(name, field)

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
        """See `Catalog`."""
        self._refresh()
        spec = self.find(name, "name").shard.spec
        items = super().delete(name)
        self._front.remove(spec)
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
            return self._front.open(spec, self._save_spec, wait=True)
        except Exception:
            self._front.remove(spec)
            self._save(self._names.without_collection(spec.uid))
            raise

    def _save(self, names: Names) -> None:
        self._save_with(names, self._contents.specs)

    def _save_with(self, names: Names, specs: Mapping[str, CollectionSpec]) -> None:
        self._contents = self._shared.save(names, specs, self._contents)
        self._names = names

    def _save_spec(self, spec: CollectionSpec) -> None:
        with self._change:
            self._adopt(self._shared.load())
            self._save_with(self._names, {**self._contents.specs, spec.uid: spec})

    def _refresh(self) -> None:
        with self._change:
            self._adopt(self._shared.load())

    def _adopt(self, contents: Contents) -> None:
        """Open what is new, forget what is gone, take up what was changed."""
        if contents.raw == self._contents.raw:
            return
        for name, uid in contents.names.collections.items():
            spec = contents.specs[uid]
            if uid not in self._by_uid:
                self.directory(uid).mkdir(exist_ok=True)
                shard = self._front.open(spec, self._save_spec, wait=False)
                self._by_uid[uid] = Collection(uid, name, shard)
            elif spec != self._contents.specs.get(uid):
                self._front.adopt(spec)
        known = set(contents.names.collections.values())
        for uid in [uid for uid in self._by_uid if uid not in known]:
            del self._by_uid[uid]
            shutil.rmtree(self.directory(uid), ignore_errors=True)
        self._names, self._contents = contents.names, contents

    def _watch(self) -> None:
        while not self._stop.wait(_LOOK_EVERY_S):
            try:
                self._refresh()
            except LookalikeError as error:
                _log.warning("the catalog cannot be read: %s", error.message)
            except Exception:  # noqa: BLE001 - logged; a later look may go well
                _log.exception("the catalog cannot be read")
