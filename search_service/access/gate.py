"""The catalog as the caller of the call under way may use it.

Servicers know the catalog through this alone. Without API keys it is the catalog; with
them, collections that a key is not for are refused by name, whether they are there or not,
and a tenant's key sees of the others what is its own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lookalike.serving.access.principal import Principal, current
from lookalike.wire.errors import NotFound, PermissionDenied
from search_service.access.confined import ConfinedShard
from search_service.catalog.catalog import Catalog
from search_service.catalog.collection import Collection
from search_service.domain.collection import CollectionSpec
from search_service.domain.confinement import Confinement


class Gate:
    """`Catalog`, for callers. With `asks_keys` there is no call without a caller."""

    def __init__(
        self,
        catalog: Catalog,
        check_removal: Callable[[str], None] = lambda uid: None,
        check_may_reject: Callable[[str], None] = lambda uid: None,
        *,
        asks_keys: bool,
    ) -> None:
        """`check_removal` raises where a collection (UID) is still needed, `check_may_reject`
        where it must not begin to reject near-duplicates."""
        self._catalog = catalog
        self._check_removal = check_removal
        self._check_may_reject = check_may_reject
        self._asks_keys = asks_keys

    def find(self, name: str, field: str = "collection") -> Collection:
        """Return the collection of a name, alias or UID, as the caller sees it.

        Raises:
            PermissionDenied: the key is not for it, or not for what would be there.
            LookalikeError: see `Catalog.find`.
        """
        principal = self._caller()
        if principal is None:
            return self._catalog.find(name, field)
        known = not name or principal.record.allows(name)
        try:
            collection = self._catalog.find(name, field)
        except NotFound:
            if known:
                raise
            raise _denied(name, field) from None  # which does not tell whether it is there
        if not known and not principal.record.allows(collection.name):
            raise _denied(name, field)
        return _seen(collection, principal)

    def check_name(self, name: str, field: str) -> None:
        """Hold that the caller may use a name.

        Raises:
            PermissionDenied: the key is not for it.
        """
        principal = self._caller()
        if principal is not None and not principal.record.allows(name):
            raise _denied(name, field)

    def check(self, name: str) -> None:
        """Hold that the caller may use a collection, where there are keys; as `find` does."""
        if self._caller() is not None:
            self.find(name)

    def check_any(self, name: str) -> None:
        """Hold that the caller may see what belongs to a collection, "" for all of them.

        Raises:
            PermissionDenied: the key is not for it.
        """
        principal = self._caller()
        if principal is None or principal.record.allows_all:
            return
        if not name:
            raise PermissionDenied(
                "this API key is for some collections only: name one", "collection"
            )
        self.find(name)

    def sees(self, uid: str) -> bool:
        """Say whether the caller may see what belongs to a collection, one deleted included."""
        principal = self._caller()
        if principal is None or principal.record.allows_all:
            return True
        return any(each.uid == uid for each in self.collections())

    def collections(self) -> list[Collection]:
        """Return the collections that the caller may use, sorted by name."""
        principal = self._caller()
        everything = self._catalog.collections()
        if principal is None:
            return everything
        record = principal.record
        return [
            _seen(each, principal)
            for each in everything
            if record.allows(each.name)
            or any(map(record.allows, self._catalog.aliases_of(each.uid)))
        ]

    def aliases(self) -> list[tuple[str, str]]:
        """Return pairs of alias and collection name that the caller may use, by alias."""
        principal = self._caller()
        pairs = self._catalog.aliases()
        if principal is None:
            return pairs
        record = principal.record
        return [pair for pair in pairs if record.allows(pair[0]) or record.allows(pair[1])]

    def aliases_of(self, uid: str) -> list[str]:
        """Return the aliases of a collection that the caller may use, sorted."""
        principal = self._caller()
        aliases = self._catalog.aliases_of(uid)
        return aliases if principal is None else list(filter(principal.record.allows, aliases))

    def confinement(self) -> Confinement | None:
        """Return what the caller is confined to; None: to nothing."""
        principal = self._caller()
        if principal is None or not principal.record.tenant:
            return None
        return Confinement(principal.record.tenant)

    def check_free(self, name: str, field: str) -> None:
        """See `Catalog.check_free`; a name that the key is not for is refused first."""
        self.check_name(name, field)
        self._catalog.check_free(name, field)

    def create(self, spec: CollectionSpec) -> Collection:
        """See `Catalog.create`."""
        self.check_name(spec.name, "name")
        return self._catalog.create(spec)

    def check_may_reject(self, uid: str) -> None:
        """Hold that a collection may begin to reject near-duplicates.

        Raises:
            InvalidField: another one takes its changes.
        """
        self._check_may_reject(uid)

    def delete(self, name: str) -> int:
        """See `Catalog.delete`."""
        if name:
            self._check_removal(self.find(name, "name").uid)
        return self._catalog.delete(name)

    def set_alias(self, alias: str, name: str) -> str:
        """See `Catalog.set_alias`; the key must be for both names, and for what it was for."""
        self.check_name(alias, "alias")
        self.find(name)
        before = self._catalog.set_alias(alias, name)
        principal = self._caller()
        return before if principal is None or principal.record.allows(before) else ""

    def rename(self, name: str, new_name: str) -> None:
        """See `Catalog.rename`; the key must be for both names."""
        self.check_name(new_name, "new_name")
        self.find(name, "name")
        self._catalog.rename(name, new_name)

    def delete_alias(self, alias: str) -> None:
        """See `Catalog.delete_alias`."""
        self.check_name(alias, "alias")
        self._catalog.delete_alias(alias)

    def directory(self, uid: str) -> Path:
        """See `Catalog.directory`; for collections that were found here."""
        return self._catalog.directory(uid)

    def _caller(self) -> Principal | None:
        principal = current()
        if principal is None and self._asks_keys:
            raise RuntimeError("a call without a caller, where API keys are asked for")
        return principal


def _seen(collection: Collection, principal: Principal) -> Collection:
    if not principal.record.tenant:
        return collection
    shard = None
    if collection.is_open:
        shard = ConfinedShard(collection.shard, Confinement(principal.record.tenant))
    damage = "a part of its store is damaged" if collection.damage else ""  # not of whose items
    return Collection(collection.uid, collection.name, shard, damage, is_whole=False)


def _denied(name: str, field: str) -> PermissionDenied:
    shown = name if len(name) <= 64 else name[:64] + "…"
    return PermissionDenied(f'this API key is not for collection "{shown}"', field)
