"""Chooses the next of all items that are to be changed, in the writer's thread.

What meets a filter there meets it until the writer commits: so no item is changed that
has just been changed otherwise, and nothing has to be compared afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeAlias

from search_service.domain.mutations import Delete, Mutation, MutationOutcome, UpdateMetadata
from search_service.domain.selections import Extent, Selection, SelectionOutcome
from search_service.shard.live.memory import Memory
from search_service.shard.metadata.filter_index import FilterIndex

# Queues a choice of mutations.
Submit: TypeAlias = Callable[[Callable[[], list[Mutation]]], "Future[list[MutationOutcome]]"]


def change_selection(
    selection: Selection, memory: Memory, filters: FilterIndex, submit: Submit
) -> Future[SelectionOutcome]:
    """Change the next items of a selection, once filters can be evaluated.

    Cancelling the future before its turn drops the work.
    """
    done: Future[SelectionOutcome] = Future()
    chosen: list[int] = []
    extents: list[Extent] = []

    def choose() -> list[Mutation]:
        extent = selection.extent or Extent(memory.newest_ordinal)
        extents.append(extent)
        found = filters.meeting(selection.filter)
        first = found.rank(extent.after) if extent.after >= 0 else 0
        some = found[first : first + selection.count]
        chosen.extend(ordinal for ordinal in some if ordinal <= extent.upto)
        with memory.view() as live:
            return [_mutation(live.ids[ordinal] or "", selection) for ordinal in chosen]

    def finish(written: Future[list[MutationOutcome]]) -> None:
        if written.cancelled() or not done.set_running_or_notify_cancel():
            return
        error = written.exception()
        if error is not None:
            done.set_exception(error)
            return
        more = len(chosen) == selection.count
        extent = Extent(extents[0].upto, chosen[-1]) if more else None
        done.set_result(SelectionOutcome(written.result(), extent))

    def begin() -> None:
        if done.cancelled():
            return
        written = submit(choose)
        done.add_done_callback(lambda one: written.cancel() if one.cancelled() else None)
        written.add_done_callback(finish)

    filters.when_ready(begin)
    return done


def _mutation(id: str, selection: Selection) -> Mutation:
    if selection.change is None:
        return Delete(id, guard=selection.guard)
    change = selection.change
    return UpdateMetadata(
        id, change.metadata, merge=change.merge, if_other=True, guard=selection.guard
    )
