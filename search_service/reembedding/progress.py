"""How far a pair is: what each of its collections lacks of the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lookalike.wire.errors import StoreDamaged
from search_service.reembedding.comparing import Difference, pages
from search_service.reembedding.offering import Files, stored_files
from search_service.reembedding.pairs import twinned
from search_service.reembedding.soundness import damage_of, look_at

if TYPE_CHECKING:
    from search_service.catalog.collection import Collection
    from search_service.ingest.copies import Copies
    from search_service.reembedding.backlog import Backlog

# Pages of a comparison that one call reads at most: 40,000 ids, some tens of milliseconds.
_PAGES_A_CALL = 20


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pair is; see `lookalike.v1.Reembedding`."""

    source: str
    target: str
    source_items: int = 0
    target_items: int = 0
    target_queued: int = 0
    target_missing: int = 0
    source_queued: int = 0
    source_missing: int = 0
    unsettled: int = 0
    source_only_queued: int = 0
    source_damage: str = ""
    target_damage: str = ""


@dataclass(frozen=True, slots=True)
class Missing:
    """An item whose picture a collection lacks; `files` it was made of in the other."""

    id: str
    version: int
    files: Files


def progress_of(
    source: Collection, target: Collection, copies: Copies, backlog: Backlog
) -> Progress:
    """Compare two collections; of one that cannot be read, what is missing is not known.

    Raises:
        StoreDamaged, Unavailable: a store cannot be read, and is not known to be damaged.
    """
    progress = Progress(source.name, target.name)
    if source.is_open:
        progress = replace(progress, source_items=source.shard.count(None))
    if target.is_open:
        progress = replace(progress, target_items=target.shard.count(None))
    wrong = damage_of(source), damage_of(target)
    if source.is_open and target.is_open:
        try:
            progress = _compared(progress, source, target, copies, backlog)
        except StoreDamaged:
            wrong = look_at(source), look_at(target)
            if not any(wrong):
                raise
    return replace(progress, source_damage=wrong[0], target_damage=wrong[1])


def _compared(
    progress: Progress, source: Collection, target: Collection, copies: Copies, backlog: Backlog
) -> Progress:
    for found, _ in pages(twinned(source).registers, twinned(target).registers):
        lacking = [each.id for each in found if each.target.picture]
        queued = copies.on_their_way(target.uid, lacking)
        missing = [each for each in found if each.target.picture > queued.get(each.id, 0)]
        back = [each.id for each in found if each.source.picture]
        queued_back = copies.on_their_way(source.uid, back)
        missing_back = [each for each in found if each.source.picture > queued_back.get(each.id, 0)]
        progress = replace(
            progress,
            target_queued=progress.target_queued + len(lacking) - len(missing),
            target_missing=progress.target_missing + len(missing),
            source_queued=progress.source_queued + len(back) - len(missing_back),
            source_missing=progress.source_missing + len(missing_back),
            unsettled=progress.unsettled + sum(map(_unsettled, found)),
        )
    return replace(progress, source_only_queued=len(backlog.left(source, target)))


def missing_of(
    giver: Collection, taker: Collection, copies: Copies, after_id: str, count: int
) -> tuple[list[Missing], str]:
    """Return up to `count` items past `after_id` whose picture `taker` lacks, by id, and where
    to go on: "" at the end.

    Raises:
        StoreDamaged, Unavailable: a store cannot be read.
    """
    rows: list[tuple[str, int]] = []
    both = twinned(giver).registers, twinned(taker).registers
    for number, (found, last_id) in enumerate(pages(*both, after_id), 1):
        ids = [each.id for each in found if each.target.picture]
        queued = copies.on_their_way(taker.uid, ids)
        rows += [
            (each.id, each.target.picture)
            for each in found
            if each.target.picture > queued.get(each.id, 0)
        ]
        after_id = last_id
        if len(rows) >= count or number == _PAGES_A_CALL:
            break
    if len(rows) > count:
        rows = rows[:count]
        after_id = rows[-1][0]
    files = stored_files(giver, [id for id, _ in rows])
    return [Missing(id, version, files.get(id, Files())) for id, version in rows], after_id


def _unsettled(each: Difference) -> bool:
    lacks = (each.source, each.target)
    without_picture = any(lack.picture for lack in lacks)  # with which metadata may have to come
    return any(lack.deletion or (lack.metadata and not without_picture) for lack in lacks)
