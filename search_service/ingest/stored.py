"""Which versions of items are stored."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lookalike.serving.queue import jobs
from lookalike.wire.errors import LookalikeError
from search_service.domain.confinement import Confinement
from search_service.domain.items import Fields, StoredItem

if TYPE_CHECKING:
    from lookalike.wire.keys import Tenant
    from search_service.ingest.collections import Collections


@dataclass(frozen=True, slots=True)
class Sent:
    """An item of a collection, and the job that it was sent in."""

    uid: str
    id: str
    job: str = ""


class StoredVersions:
    """The versions that are stored of what was sent, as far as they are its sender's.

    Two tenants may have sent the same id, of which one has the item: what the other sent
    was not settled by that.
    """

    def __init__(
        self,
        collections: Collections,
        tenants: Callable[[], Collection[Tenant]] = tuple,
    ) -> None:
        """`tenants` returns the fields that callers are confined by; from any thread."""
        self._collections = collections
        self._tenants = tenants

    def of(self, sent: Iterable[Sent]) -> dict[Sent, int]:
        """Return the versions of the vectors; may read the disk.

        What is not stored, is another's, or stands in a collection that cannot be read, is
        left out. Of a tenant whom nobody knows any more everything is another's.
        """
        by_uid: dict[str, list[Sent]] = {}
        for one in sent:
            by_uid.setdefault(one.uid, []).append(one)
        found: dict[Sent, int] = {}
        for uid, some in by_uid.items():
            confined = any(jobs.tenant_of(one.job) for one in some)
            try:
                shard = self._collections.find(uid).shard
                items = shard.get([one.id for one in some], Fields(metadata=confined))
            except LookalikeError:
                continue  # the collection is deleted or closed: nothing is known of its items
            tenants = map(Confinement, self._tenants()) if confined else ()
            by_mark = {each.mark: each for each in tenants}
            for one, item in zip(some, items, strict=True):
                mark = jobs.tenant_of(one.job)
                if item is not None and (not mark or _owned(by_mark.get(mark), item)):
                    found[one] = item.vector_version
        return found


def _owned(tenant: Confinement | None, item: StoredItem) -> bool:
    return tenant is not None and tenant.owns(item.metadata or {})
