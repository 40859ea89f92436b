"""Whether a collection of a pair can be read: one that is damaged must not hold the other up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lookalike.wire.errors import Precondition, Reason, StoreDamaged
from search_service.reembedding.pairs import twinned

if TYPE_CHECKING:
    from search_service.catalog.collection import Collection

_IDS_AT_ONCE = 2_000


def damage_of(collection: Collection) -> str:
    """Say what is wrong with a collection, as far as is known; "" for nothing."""
    if not collection.is_open:
        return collection.damage or "it could not be opened; the log of the search service says why"
    return collection.shard.stats().store_damage


def look_at(collection: Collection) -> str:
    """As `damage_of`, after reading the versions of all items; may wait for the disk.

    Raises:
        Unavailable: they cannot be read now, for another reason.
    """
    if collection.is_open:
        registers = twinned(collection).registers
        try:
            after_id = ""
            while page := registers.page(after_id, _IDS_AT_ONCE):
                after_id = page[-1][0]
        except StoreDamaged as error:
            collection.shard.note_damage(error)
    return damage_of(collection)


def check_sound(collection: Collection, field: str, otherwise: str) -> None:
    """Hold that nothing is known to be wrong with a collection.

    Raises:
        Precondition: STORE_DAMAGED, something is; `otherwise` says what to do.
    """
    if why := damage_of(collection):
        raise Precondition(
            f'"{collection.name}" is damaged ({why}): {otherwise}',
            reason=Reason.STORE_DAMAGED,
            field=field,
        )
