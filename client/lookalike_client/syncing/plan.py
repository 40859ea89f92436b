"""What there is to do so that a collection holds what a folder holds. Nothing is done here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from lookalike_client.indexing.scan import FileEntry
from lookalike_client.syncing.files import ReadFile
from lookalike_client.syncing.state import Claim, MoveRecord


@dataclass(frozen=True, slots=True)
class Move:
    """Content that another id has: `file` takes the vector and metadata of `source`.

    `record` is set where an earlier run began the move and kept what is moved.
    """

    file: ReadFile
    source: str
    record: MoveRecord | None = None


@dataclass(frozen=True, slots=True)
class Clash:
    """A file whose id has an item that did not come from this folder.

    It belongs to another `folder` that is synced into the collection; None: to nobody
    that is known here, and it is another picture.
    """

    file: FileEntry
    folder: Path | None = None


@dataclass(slots=True)
class Plan:
    """What to do. Each file of the folder is in one of `unchanged` to `clashes`.

    `removals` are items whose files are gone. `leftovers` too, but what they hold is
    stored under another id since a move that was interrupted. `forgotten` are ids that
    are no longer stored, or hold what this folder never had. `bare` are of `changed`:
    what is stored as their metadata moved away with the picture that it is about.
    """

    unchanged: list[ReadFile] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    new: list[ReadFile] = field(default_factory=list)
    changed: list[ReadFile] = field(default_factory=list)
    clashes: list[Clash] = field(default_factory=list)
    removals: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    bare: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Present:
    """What is there: `stored` are the contents of items by id, "" where they are not known.

    `gone` are ids of claims whose files are gone.
    """

    files: Sequence[ReadFile]
    claims: Mapping[str, Claim]
    gone: Sequence[str]
    stored: Mapping[str, str]
    begun: Mapping[str, MoveRecord]
    owners: Mapping[str, Path]


def make_plan(present: Present) -> Plan:
    """Decide what becomes of each file and of each item that came from the folder."""
    plan = Plan()
    wanting = []
    for file in present.files:
        item_id = file.entry.id
        if item_id in present.owners:
            plan.clashes.append(Clash(file.entry, present.owners[item_id]))
        elif file.sha256 and present.stored.get(item_id) == file.sha256:
            plan.unchanged.append(file)
        elif item_id in present.stored and item_id not in present.claims:
            plan.clashes.append(Clash(file.entry))
        else:
            wanting.append(file)
    sources = _released(present)
    for file in _same_names_first(wanting, sources):
        record = present.begun.get(file.entry.id)
        if record is not None and record.item is not None and record.sha256 == file.sha256:
            plan.moves.append(Move(file, record.source, record))
        elif ids := sources.get(file.sha256):
            plan.moves.append(Move(file, _take(ids, file.entry.id)))
        elif file.entry.id in present.stored:
            plan.changed.append(file)
        else:
            plan.new.append(file)
    moved = {move.source for move in plan.moves}
    ended = {
        record.source
        for record in present.begun.values()
        if present.stored.get(record.target) == record.sha256
    }
    plan.bare = [each.entry.id for each in plan.changed if each.entry.id in moved | ended]
    for item_id in present.gone:
        if item_id in moved:
            continue
        if not present.claims[item_id].is_content(present.stored.get(item_id, "")):
            plan.forgotten.append(item_id)
        elif item_id in ended:
            plan.leftovers.append(item_id)
        else:
            plan.removals.append(item_id)
    return plan


def _released(present: Present) -> dict[str, list[str]]:
    """Return ids of items whose own files have another content now, by what the items hold."""
    now = {file.entry.id: file.sha256 for file in present.files}
    ids = [*present.gone, *(item_id for item_id in now if item_id in present.claims)]
    released = defaultdict(list)
    for item_id in sorted(set(ids)):
        content = present.stored.get(item_id, "")
        if now.get(item_id) != content and present.claims[item_id].is_content(content):
            released[content].append(item_id)
    return released


def _same_names_first(
    files: Iterable[ReadFile], sources: Mapping[str, list[str]]
) -> list[ReadFile]:
    """Of files with the same content, those that kept their name choose first."""

    def moved_only(file: ReadFile) -> bool:
        name = PurePosixPath(file.entry.id).name
        return any(PurePosixPath(each).name == name for each in sources.get(file.sha256, ()))

    return sorted(files, key=lambda file: not moved_only(file))


def _take(ids: list[str], item_id: str) -> str:
    name = PurePosixPath(item_id).name
    best = next((each for each in ids if PurePosixPath(each).name == name), ids[0])
    ids.remove(best)
    return best
