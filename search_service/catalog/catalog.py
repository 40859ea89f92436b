"""The collections of a data directory: names, aliases, and their shards.

    DATA/lock            held while a server runs
    DATA/catalog.json    names and aliases; a collection exists when it stands here
    DATA/collections/UID one shard each

A collection's directory is finished before its name is written, and its name is
removed before its directory: a directory without a name is what a crash left of
either, and is removed at the next start.
"""

from __future__ import annotations

import errno
import logging
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lookalike.wire.errors import (
    AlreadyExists,
    Exhausted,
    InvalidField,
    LookalikeError,
    NotFound,
    Reason,
    StoreDamaged,
    Unavailable,
)
from search_service import limits
from search_service.catalog.collection import Collection, ShardFactory
from search_service.catalog.data_lock import DataLock
from search_service.catalog.names import NameFile, Names
from search_service.catalog.starting import load_names, named, remove_leftovers
from search_service.domain.collection import CollectionSpec, SettingsChange
from search_service.durable_files import sync_directory
from search_service.shard.api import ShardApi

_log = logging.getLogger(__name__)

# Opening is reading and checksumming: more threads than this only fight for the disk.
_OPEN_THREADS = 4


class Catalog:
    """All collections. Look-ups are quick; whatever else may touch the disk."""

    def __init__(self, root: Path, factory: ShardFactory) -> None:
        self._root = root
        self._factory = factory
        self._names_file = NameFile(root / "catalog.json")
        self._lock_file = DataLock(root)
        self._change = threading.Lock()
        self._names = Names()
        self._by_uid: dict[str, Collection] = {}
        self._ready = False
        self.before_ready: Callable[[], None] = lambda: None  # all is open, nobody was let in

    def open(self) -> None:
        """Take the directory, finish what a crash left, open every shard.

        Raises:
            DataDirectoryInUse: another server has it.
            NamesDamaged: the names cannot be read, or are gone.
            OSError: the directory cannot be used.
        """
        (self._root / "collections").mkdir(parents=True, exist_ok=True)
        self._lock_file.acquire()
        self._names = load_names(self._root, self._names_file)
        remove_leftovers(self._root, self._names)
        pairs = list(self._names.collections.items())
        with ThreadPoolExecutor(_OPEN_THREADS, thread_name_prefix="open") as pool:
            for collection in pool.map(lambda pair: self._open_one(*pair), pairs):
                self._by_uid[collection.uid] = collection
        self.before_ready()
        self._ready = True

    def find(self, name: str, field: str = "collection") -> Collection:
        """Return the collection of a name, alias or UID.

        Raises:
            InvalidField: `name` is empty.
            NotFound: there is none.
            Unavailable: the catalog is not open.
        """
        if not self._ready:
            raise Unavailable(
                "the search service is starting", reason=Reason.NOT_READY, retry_delay_s=1.0
            )
        if (collection := self._by_uid.get(self._names.uid_of(name) or name)) is not None:
            return collection
        if not name:
            raise InvalidField(field, "name a collection")
        shown = name if len(name) <= limits.MAX_NAME_CHARACTERS else name[:64] + "…"
        raise NotFound(
            f'there is no collection or alias "{shown}"',
            reason=Reason.COLLECTION_NOT_FOUND,
            field=field,
        )

    def collections(self) -> list[Collection]:
        """Return all collections, sorted by name."""
        return sorted(self._by_uid.values(), key=lambda collection: collection.name)

    def aliases(self) -> list[tuple[str, str]]:
        """Return pairs of alias and collection name, sorted by alias."""
        names = self._names
        return sorted((alias, names.name_of(uid) or "") for alias, uid in names.aliases.items())

    def aliases_of(self, uid: str) -> list[str]:
        """Return the aliases of a collection, sorted."""
        return self._names.aliases_of(uid)

    def check_free(self, name: str, field: str) -> None:
        """Hold that neither a collection nor an alias has the name.

        Raises:
            AlreadyExists: one has.
        """
        if name in self._names.collections:
            raise AlreadyExists(field, f'there is a collection "{name}" already')
        if name in self._names.aliases:
            raise AlreadyExists(field, f'"{name}" is an alias already; delete it first')

    def create(self, spec: CollectionSpec) -> Collection:
        """Make an empty collection, durably.

        Raises:
            AlreadyExists: the name is taken.
            InvalidField: the name has another form.
            Unavailable: the catalog is closed.
        """
        limits.check_name(spec.name, "name")
        with self._change:
            self._check_ready()
            self.check_free(spec.name, "name")
            collection = Collection(spec.uid, spec.name, self._make_shard(spec))
            self._by_uid[spec.uid] = collection
        _log.info("collection created", extra={"collection": spec.name, "uid": spec.uid})
        return collection

    def directory(self, uid: str) -> Path:
        """Return where a collection's shard lies, whether it is there or not."""
        return self._root / "collections" / uid

    def take_in(self, name: str, uid: str, fill: Callable[[Path], None]) -> Collection:
        """Make a collection of a directory that `fill` fills with a shard, durably.

        Raises:
            AlreadyExists: the name is taken.
            InvalidField: the name has another form.
            Unavailable: the catalog is closed, or the shard cannot be opened.
        """
        limits.check_name(name, "collection")
        self._check_ready()
        self.check_free(name, "collection")
        directory = self.directory(uid)
        shard: ShardApi | None = None
        try:
            directory.mkdir()
            fill(directory)  # long: outside of the lock
            with self._change:
                self._check_ready()
                self.check_free(name, "collection")
                shard = self._factory.open(directory)
                sync_directory(directory.parent)
                self._save(self._names.with_collection(name, uid))
                self._by_uid[uid] = collection = Collection(uid, name, shard)
        except (LookalikeError, OSError):
            if shard is not None:
                shard.close()
            shutil.rmtree(directory, ignore_errors=True)  # what stays is removed at the next start
            raise
        _log.info("collection taken in", extra={"collection": name, "uid": uid})
        return collection

    def delete(self, name: str) -> int:
        """Remove a collection with its items and aliases; return how many items.

        Raises:
            InvalidField: `name` is an alias.
            NotFound: there is no such collection.
        """
        with self._change:
            self._check_ready()
            if name in self._names.aliases:
                raise InvalidField("name", f'"{name}" is an alias; name the collection itself')
            collection = self.find(name, "name")
            items = collection.shard.count(None) if collection.is_open else 0
            self._save(self._names.without_collection(collection.uid))
            del self._by_uid[collection.uid]
        if collection.is_open:
            collection.shard.close()
        try:
            shutil.rmtree(self.directory(collection.uid))
        except OSError:
            # It is deleted all the same: the next start removes what is left.
            _log.exception("cannot remove all files", extra={"uid": collection.uid})
        _log.info("collection deleted", extra={"collection": name, "uid": collection.uid})
        return items

    def set_alias(self, alias: str, name: str) -> str:
        """Point an alias at a collection; return the name it pointed to, or "".

        Raises:
            AlreadyExists: a collection has that name.
            InvalidField: the alias has another form.
            NotFound: there is no such collection.
        """
        limits.check_name(alias, "alias")
        with self._change:
            target = self.find(name)
            if alias in self._names.collections:
                raise AlreadyExists("alias", f'there is a collection "{alias}" already')
            before = self._names.aliases.get(alias)
            self._save(self._names.with_alias(alias, target.uid))
            return (self._names.name_of(before) or "") if before else ""

    def rename(self, name: str, new_name: str) -> None:
        """Give a collection another name; the old one becomes an alias of it at once.

        Raises:
            AlreadyExists: the new name is taken.
            InvalidField: `name` is an alias, or the new name has another form.
            NotFound: there is no such collection.
        """
        limits.check_name(new_name, "new_name")
        with self._change:
            collection = self.find(name, "name")
            if name not in self._names.collections:
                raise InvalidField("name", f'"{name}" is no collection\'s own name')
            self.check_free(new_name, "new_name")
            collection.shard.update_settings(SettingsChange(name=new_name))
            try:
                self._save(self._names.renamed(name, new_name))
            except OSError:
                collection.shard.update_settings(SettingsChange(name=name))
                raise
            collection.name = new_name

    def delete_alias(self, alias: str) -> None:
        """Remove an alias.

        Raises:
            NotFound: there is none of that name.
        """
        with self._change:
            if alias not in self._names.aliases:
                raise NotFound(
                    "there is no such alias", reason=Reason.COLLECTION_NOT_FOUND, field="alias"
                )
            self._save(self._names.without_alias(alias))

    def close(self) -> None:
        """Close every shard and give the directory back."""
        with self._change:
            self._ready = False
            for collection in self._by_uid.values():
                if collection.is_open:
                    collection.shard.close()
            self._by_uid = {}
            self._lock_file.release()

    def _make_shard(self, spec: CollectionSpec) -> ShardApi:
        directory = self.directory(spec.uid)
        shard: ShardApi | None = None
        try:
            directory.mkdir()
            shard = self._factory.create(directory, spec)
            sync_directory(directory)
            sync_directory(directory.parent)
            self._save(self._names.with_collection(spec.name, spec.uid))
        except (LookalikeError, OSError) as error:
            if shard is not None:
                shard.close()
            shutil.rmtree(directory, ignore_errors=True)  # what stays is removed at the next start
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise Exhausted("the disk is full", reason=Reason.DISK_FULL) from error
            raise
        return shard

    def _check_ready(self) -> None:
        if not self._ready:
            raise Unavailable("the search service is stopping", reason=Reason.NOT_READY)

    def _save(self, names: Names) -> None:
        self._names_file.save(names)
        self._names = names

    def _open_one(self, name: str, uid: str) -> Collection:
        try:
            shard = named(self._factory.open(self.directory(uid)), name)
        except Exception as error:  # noqa: BLE001 - what is wrong with one must not stop the others
            _log.exception("cannot open collection", extra={"collection": name, "uid": uid})
            damage = error.message if isinstance(error, StoreDamaged) else ""
            return Collection(uid, name, None, damage)
        return Collection(uid, name, shard)
