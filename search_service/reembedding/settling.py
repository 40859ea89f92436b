"""Takes deletions and metadata over from one collection of a pair to the other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence, Set
from typing import TYPE_CHECKING

from lookalike.wire.errors import LookalikeError
from search_service.domain.confinement import same_owner
from search_service.domain.items import Fields, StoredItem
from search_service.domain.mutations import Delete, Mutation, UpdateMetadata
from search_service.reembedding.comparing import NOTHING, Difference, Lack, difference, pages
from search_service.reembedding.pairs import Pair, Pairs, twinned

if TYPE_CHECKING:
    from search_service.catalog.catalog import Catalog
    from search_service.catalog.collection import Collection
    from search_service.domain.conditions import FieldPath

_log = logging.getLogger(__name__)

_EVERY_S = 0.2
_AGAIN_AFTER_S = 2.0
_IDS_AT_ONCE = 500


class Settling:
    """A loop that looks at what was committed in either collection, each pair in turn.

    It reads what stands in one and writes it to the other under the same version, so that
    it may be done twice, late or in another order, and the end is the same.
    """

    def __init__(
        self,
        catalog: Catalog,
        pairs: Pairs,
        owned_by: Callable[[], Set[FieldPath]] = frozenset,
    ) -> None:
        """`owned_by` returns the fields of metadata that tell whose an item is."""
        self._catalog = catalog
        self._pairs = pairs
        self._owned_by = owned_by

    async def run(self) -> None:
        """Run until cancelled."""
        failing: set[Pair] = set()
        while True:
            pairs = self._pairs.all()
            failed = {pair for pair in pairs if not await self._try(pair, known=pair in failing)}
            failing = failed
            await asyncio.sleep(_AGAIN_AFTER_S if failing else _EVERY_S)

    async def _try(self, pair: Pair, *, known: bool) -> bool:
        """Make a step and say whether it went well; `known`: the last one did not either."""
        try:
            await asyncio.to_thread(self.step, pair)
        except LookalikeError as error:
            if not known:
                _log.warning("cannot keep a pair of collections equal now: %s", error)
            return False
        except Exception:  # noqa: BLE001 - one failed look must not end the loop
            _log.exception("keeping a pair of collections equal failed")
            return False
        return True

    def step(self, pair: Pair) -> None:
        """Look at what was committed since the last step.

        Raises:
            LookalikeError: not all could be; it is looked at again.
        """
        source, target = self._catalog.find(pair.source), self._catalog.find(pair.target)
        for changed in (twinned(source).changed, twinned(target).changed):
            ids = changed.take()
            try:
                if ids is None:
                    for found, _ in pages(twinned(source).registers, twinned(target).registers):
                        settle(source, target, found, self._owned_by())
                else:
                    self._look_at(source, target, sorted(ids))
            except BaseException:
                if ids is None:
                    changed.begin()
                else:
                    changed.again(ids)
                raise

    def _look_at(self, source: Collection, target: Collection, ids: Sequence[str]) -> None:
        for start in range(0, len(ids), _IDS_AT_ONCE):
            some = ids[start : start + _IDS_AT_ONCE]
            ours, theirs = twinned(source).registers.of(some), twinned(target).registers.of(some)
            found = (difference(id, ours.get(id, NOTHING), theirs.get(id, NOTHING)) for id in some)
            differing = [each for each in found if each is not None]
            settle(source, target, differing, self._owned_by())


def settle(
    source: Collection, target: Collection, found: Sequence[Difference], owned_by: Set[FieldPath]
) -> None:
    """Write to each of two collections the deletions and metadata that it lacks.

    With `owned_by`, fields that tell whose an item is, no picture gets another one's owner
    by that: where the pictures differ and the owners do, metadata comes with the picture.

    Raises:
        LookalikeError: a shard does not take or give them now.
    """
    for start in range(0, len(found), _IDS_AT_ONCE):
        some = found[start : start + _IDS_AT_ONCE]
        _give(source, target, [(each.id, each.target) for each in some], owned_by)
        _give(target, source, [(each.id, each.source) for each in some], owned_by)


def _give(
    giver: Collection,
    taker: Collection,
    lacks: Sequence[tuple[str, Lack]],
    owned_by: Set[FieldPath],
) -> None:
    mutations: list[Mutation] = [
        Delete(id, version=lack.deletion) for id, lack in lacks if lack.deletion
    ]
    wanted = {id: lack.metadata for id, lack in lacks if lack.metadata}
    if wanted:
        # One that is gone by now, or has other metadata, was noted again.
        mutations.extend(
            UpdateMetadata(item.id, item.metadata or {}, version=wanted[item.id])
            for item in _given(giver, taker, list(wanted), owned_by)
        )
    if not mutations:
        return
    for outcome in taker.shard.submit(mutations).result():
        if outcome.error is not None and outcome.error.retryable:
            raise outcome.error
        if outcome.error is not None:  # it stays unsettled, which the comparison tells
            _log.warning(
                "a change was not taken over",
                extra={"collection": taker.name, "reason": outcome.error.message},
            )


def _given(
    giver: Collection, taker: Collection, ids: Sequence[str], owned_by: Set[FieldPath]
) -> list[StoredItem]:
    """Return the items whose metadata may be taken over."""
    items = giver.shard.get(ids, Fields(metadata=True))
    if not owned_by:
        return [item for item in items if item is not None]
    # What changes between the two was noted, and is looked at again.
    held = taker.shard.get(ids, Fields(metadata=True))
    return [
        item
        for item, other in zip(items, held, strict=True)
        if item is not None
        and other is not None
        and (
            item.vector_version == other.vector_version
            or same_owner(item.metadata or {}, other.metadata or {}, owned_by)
        )
    ]
