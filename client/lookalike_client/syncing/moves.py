"""Gives items other ids: vector, metadata and facts are kept, and nothing is embedded again.

An item is stored under its new id before it is deleted under the old one. Where the old one
is needed for another item (names that were swapped), what would be overwritten is kept in
the file of state first. So a run may be killed anywhere, and the next one ends its moves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from lookalike.v1 import search_pb2
from lookalike.wire.errors import Precondition, Reason
from lookalike.wire.vectors import F32
from lookalike_client import Client, convert, structs
from lookalike_client.indexing.ledger import FileFailure
from lookalike_client.inputs import VectorItem, vector_bytes
from lookalike_client.requests.items import image_facts
from lookalike_client.syncing.plan import Move
from lookalike_client.syncing.state import Claim, FolderState, MoveRecord
from lookalike_client.types import Fields, Item, MutationStatus

# Items with vectors and thumbnails that are read and stored at a time.
_CHUNK = 100
NOT_STORED = Precondition("was not stored", reason=Reason.INTERNAL)
_ALL = Fields(metadata=True, facts=True, thumbnail=True, vector=True)


@dataclass(frozen=True, slots=True)
class Mover:
    """Moves items of one collection; `names` are the ids that files of the folder have."""

    client: Client
    collection: str
    model_fingerprint: str
    state: FolderState
    names: Set[str]

    def run(self, moves: Sequence[Move]) -> tuple[list[Move], list[FileFailure]]:
        """Move; return what was moved, and what was not and why.

        Raises:
            LookalikeError: the service is away.
        """
        self.state.begin_moves(
            [
                MoveRecord(move.file.entry.id, move.source, move.file.sha256)
                for move in moves
                if move.record is None
            ]
        )
        done: list[Move] = []
        failures: list[FileFailure] = []
        for chunk, keep in in_order(moves):
            items = self._read([move for move in chunk if move.record is None], keep=keep)
            self._store(chunk, items, done, failures)
        return done, failures

    def _read(self, moves: Sequence[Move], *, keep: bool) -> dict[str, VectorItem]:
        """Return what is moved by target; with `keep`, keep it in the file of state too."""
        found: dict[str, VectorItem] = {}
        for start in range(0, len(moves), _CHUNK):
            part = moves[start : start + _CHUNK]
            ids = [move.source for move in part]
            page = self.client.get(self.collection, ids, fields=_ALL)
            items = {item.id: item for item in page.items}
            read = [self._renamed(move, items.get(move.source)) for move in part]
            renamed = {item.id: item for item in read if item is not None}
            if keep:
                self.state.begin_moves(
                    [
                        MoveRecord(
                            *(move.file.entry.id, move.source, move.file.sha256),
                            _packed(renamed[move.file.entry.id]),
                        )
                        for move in part
                        if move.file.entry.id in renamed
                    ]
                )
            found.update(renamed)
        return found

    def _renamed(self, move: Move, item: Item | None) -> VectorItem | None:
        if item is None or item.vector is None or item.facts is None:
            return None
        if item.facts.sha256 != move.file.sha256:  # somebody stored another picture meanwhile
            return None
        return self._as_vector(move.file.entry.id, item, item.vector)

    def _store(
        self,
        moves: Sequence[Move],
        items: dict[str, VectorItem],
        done: list[Move],
        failures: list[FileFailure],
    ) -> None:
        kept = [(move, self._kept(move) or items.get(move.file.entry.id)) for move in moves]
        by_id = {move.file.entry.id: move for move, item in kept if item is not None}
        stored: list[Move] = []
        for result in self.client.upsert_vectors(
            self.collection, [item for _, item in kept if item is not None]
        ):
            if result.status in (MutationStatus.APPLIED, MutationStatus.SUPERSEDED):
                stored.append(by_id[result.id])
            else:
                failures.append(FileFailure(result.id, result.error or NOT_STORED))
        self.state.claim([claim_of(move) for move in stored])
        old = [move.source for move in stored if move.source not in self.names]
        remaining = set(delete(self.client, self.collection, old))
        self.state.drop(item_id for item_id in old if item_id not in remaining)
        self.state.end_moves(m.file.entry.id for m in stored if m.source not in remaining)
        done.extend(stored)

    def _kept(self, move: Move) -> VectorItem | None:
        if move.record is None or move.record.item is None:
            return None
        kept = convert.item(search_pb2.Item.FromString(move.record.item))
        return None if kept.vector is None else self._as_vector(kept.id, kept, kept.vector)

    def _as_vector(self, new_id: str, item: Item, vector: F32) -> VectorItem:
        return VectorItem(
            id=new_id,
            vector=vector,
            metadata=item.metadata,
            model_fingerprint=self.model_fingerprint,
            facts=item.facts,
            # Its old self is still stored, and no duplicate.
            duplicate_policy="off",
        )


def delete(client: Client, collection: str, ids: Sequence[str]) -> list[str]:
    """Delete items; return the ids that could not be deleted."""
    results = client.delete(collection, ids) if ids else ()
    return [each.id for each in results if each.status is MutationStatus.FAILED]


def claim_of(move: Move) -> Claim:
    """Return the claim of a file that an item was moved to."""
    file = move.file
    return Claim(
        *(file.entry.id, file.entry.key, file.sha256, "", True, file.stamp),
        is_nested=file.is_nested,
    )


def _packed(item: VectorItem) -> bytes:
    """Return an item as the file of state keeps it: a message of the contract."""
    return search_pb2.Item(
        id=item.id,
        vector_f32_le=vector_bytes(item.vector),
        metadata=structs.from_dict(item.metadata or {}),
        facts=None if item.facts is None else image_facts(item.facts),
    ).SerializeToString()


def in_order(moves: Sequence[Move]) -> Iterator[tuple[list[Move], bool]]:
    """Yield moves so that none overwrites what a later one needs.

    Those of a circle come together, and what they move must be kept (the second value).
    """
    left = {move.file.entry.id: move for move in moves}
    needed = {move.source for move in moves if move.record is None}
    ready = [target for target in left if target not in needed]
    while left:
        if not ready:
            yield list(left.values()), True
            return
        chunk = [left.pop(target) for target in ready[:_CHUNK]]
        del ready[:_CHUNK]
        yield chunk, False
        ready += [move.source for move in chunk if move.record is None and move.source in left]
