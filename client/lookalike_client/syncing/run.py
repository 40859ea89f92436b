"""One pass over a folder: looks, plans, and brings the collection in step."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lookalike.wire.errors import NotFound
from lookalike_client import Client
from lookalike_client.indexing.ledger import FileFailure, Ledger, Tally
from lookalike_client.indexing.run import IndexJob, run
from lookalike_client.indexing.scan import FileEntry, Scan, scan
from lookalike_client.syncing import guard
from lookalike_client.syncing.errors import SyncRefused
from lookalike_client.syncing.files import Reader, ReadFile
from lookalike_client.syncing.guard import Gone
from lookalike_client.syncing.moves import Mover, delete
from lookalike_client.syncing.plan import Move, Plan, Present, make_plan
from lookalike_client.syncing.state import Claim, FolderState
from lookalike_client.types import Fields

_CHUNK = 500
_FACTS = Fields(metadata=False, facts=True)
# Times that a folder is looked through again because it changed meanwhile.
_MOST_LOOKS = 5


@dataclass(frozen=True, slots=True)
class Folder:
    """What is kept in step with what; `model_fingerprint` is the collection's.

    With `adopts`, all items of the collection whose ids begin with `prefix` are the
    folder's, unless they belong to another folder that is there.
    """

    client: Client
    collection: str
    model_fingerprint: str
    state: FolderState
    path: Path
    prefix: str
    adopts: bool = False


@dataclass(slots=True)
class View:
    """A folder at a moment, and what follows. `refusal`: why nothing is to be removed."""

    found: Scan
    plan: Plan
    gone: Gone
    claims: Mapping[str, Claim]
    moving: Sequence[FileEntry]
    held: int
    skipped: Sequence[ReadFile] = ()

    def refusal(self, share: float, before: int = 0) -> str:
        """Say why what is gone is not to be removed; `before`: what was removed just now."""
        files = len(self.found.files) + len(self.found.refused)
        removed = len(self.plan.removals)
        if not removed:
            return ""
        return guard.too_many(removed + before, self.held + before, files=files, share=share)


@dataclass(slots=True)
class Result:
    """What a pass did."""

    moves: list[Move] = field(default_factory=list)
    sent: list[ReadFile] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    failures: list[FileFailure] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)


def look(
    folder: Folder, reader: Reader, *, trusts: bool = False, tried: Mapping[str, str] | None = None
) -> View:
    """Look at the folder and at what is stored; change nothing.

    With `trusts`, what the state says is stored is not looked up again. `tried` are
    contents by id that were sent and not stored: they are not sent again.

    Raises:
        SyncRefused: the folder is not to be believed.
        LookalikeError: the service is away.
    """
    guard.check_folder(folder.path, was_mount=folder.state.was_mount())
    claims = _claims(folder)
    for _ in range(_MOST_LOOKS):
        found = scan([folder.path], prefix=folder.prefix, base=folder.path)
        names = {entry.id for entry in found.files}
        missing = [claim for item_id, claim in claims.items() if item_id not in names]
        gone = guard.look_for(folder.path, missing)
        # A file that moved from a folder that was still to be walked to one that had been
        # is in neither.
        if not gone.ids or _names(folder) == names:
            break
    else:
        raise SyncRefused(f"{folder.path} changes all the time: try again when it is quiet")
    known = {claim.sha256 for claim in claims.values()}
    device = folder.path.stat().st_dev
    contents = reader.read(found.files, claims, known, device)
    trusted = _trusted(contents.files, claims) if trusts else {}
    asked = [file.entry.id for file in contents.files if file.entry.id not in trusted]
    stored = {**trusted, **_stored(folder, [*asked, *gone.ids])}
    foreign = [file.entry.id for file in contents.files if file.entry.id not in claims]
    owners = folder.state.of_others(foreign)
    if folder.adopts:
        owners = {item_id: root for item_id, root in owners.items() if root.is_dir()}
    skipped = [f for f in contents.files if f.sha256 and (tried or {}).get(f.entry.id) == f.sha256]
    left_out = {file.entry.id for file in skipped}
    plan = make_plan(
        Present(
            files=[file for file in contents.files if file.entry.id not in left_out],
            claims=claims,
            gone=gone.ids,
            stored=stored,
            begun=folder.state.moves(),
            owners=owners,
        )
    )
    held = sum(
        claim.is_content(stored.get(item_id, "")) or (item_id not in stored and claim.stored)
        for item_id, claim in claims.items()
    )
    return View(found, plan, gone, claims, contents.moving, held, skipped)


def apply(
    folder: Folder, view: View, *, removes: bool, progress: Callable[[Tally], None]
) -> Result:
    """Do what the plan says; `progress` is told the counts of what is sent.

    Items are moved first, so that nothing that is needed is removed; what is gone is
    removed before files are sent, so that it is nobody's duplicate.

    Raises:
        LookalikeError: the service is away; the next pass goes on where this one was.
    """
    plan, state = view.plan, folder.state
    state.remember(is_mount=os.path.ismount(folder.path))
    if folder.adopts:
        state.release([*view.claims, *(entry.id for entry in view.found.files)])
    sent = [*plan.new, *plan.changed]
    unchanged = (_claim(file, view.claims, stored=True) for file in plan.unchanged)
    state.claim(
        [
            *_changed_only(unchanged, view),
            *(_claim(file, view.claims, stored=False) for file in sent),
        ]
    )
    names = {entry.id for entry in view.found.files}
    mover = Mover(folder.client, folder.collection, folder.model_fingerprint, state, names)
    moves, failures = mover.run(plan.moves)
    result = Result(moves=moves, failures=failures)
    settled = {move.file.entry.id for move in moves} | {each.id for each in failures}
    # What somebody else replaced since it was looked at is sent after all.
    sent += [move.file for move in plan.moves if move.file.entry.id not in settled]
    _remove(folder, view, result, removes=removes)
    job = IndexJob(
        collection=folder.collection,
        files=[file.entry for file in sent],
        metadata={item_id: {} for item_id in plan.bare},
        refused=view.found.refused,
        job_id=f"sync-{uuid.uuid4().hex[:12]}",
    )
    result.sent = sent
    if sent:
        result.ledger = run(folder.client, job, progress)
        _note_stored(folder, sent, result.ledger)
    else:
        result.ledger = Ledger(failures=list(job.refused))
    state.end_moves(list(state.moves()))
    return result


def _remove(folder: Folder, view: View, result: Result, *, removes: bool) -> None:
    plan, state = view.plan, folder.state
    # What was sent and never stored may still be in the queue.
    pending = [item_id for item_id in plan.forgotten if not view.claims[item_id].stored]
    ids = [*plan.leftovers, *pending, *(plan.removals if removes else ())]
    for start in range(0, len(ids), _CHUNK):
        part = ids[start : start + _CHUNK]
        remaining = set(delete(folder.client, folder.collection, part))
        state.drop(item_id for item_id in part if item_id not in remaining)
        result.removed += [
            item_id for item_id in part if item_id not in remaining and item_id in view.claims
        ]
    wanted = set(plan.removals)
    result.removed = [item_id for item_id in result.removed if item_id in wanted]
    state.drop(item_id for item_id in plan.forgotten if view.claims[item_id].stored)


def _note_stored(folder: Folder, sent: Sequence[ReadFile], ledger: Ledger) -> None:
    """Note what is stored now, which is not what was read if the file changed meanwhile."""
    stored_ids = set(ledger.stored_ids)
    files = [file for file in sent if file.entry.id in stored_ids]
    now = _stored(folder, [file.entry.id for file in files])
    claims = []
    for file in files:
        content = now.get(file.entry.id, "")
        stamp = file.stamp if content == file.sha256 else ""
        if content:
            claims.append(
                Claim(
                    *(file.entry.id, file.entry.key, content, "", True, stamp),
                    is_nested=file.is_nested,
                )
            )
    folder.state.claim(claims)


def _claims(folder: Folder) -> dict[str, Claim]:
    """Return the folder's claims, with what an interrupted move may have stored.

    With `adopts`, with all items of the collection that come from no other folder.
    """
    claims = folder.state.claims()
    for record in folder.state.moves().values():
        file = record.target.removeprefix(folder.prefix)
        claims.setdefault(record.target, Claim(record.target, file, record.sha256))
    if folder.adopts:
        items = [
            item
            for item in folder.client.list(folder.collection, fields=_FACTS)
            if item.facts is not None
            and item.id.startswith(folder.prefix)
            and item.id not in claims
        ]
        others = folder.state.of_others(item.id for item in items)
        for item in items:
            owner = others.get(item.id)
            if item.facts is not None and (owner is None or not owner.is_dir()):
                file = item.id.removeprefix(folder.prefix)
                claims[item.id] = Claim(item.id, file, item.facts.sha256, "", True)
    return claims


def _claim(file: ReadFile, claims: Mapping[str, Claim], *, stored: bool) -> Claim:
    before = claims.get(file.entry.id)
    earlier = ""
    if not stored and before is not None:
        earlier = before.sha256 if before.stored else before.earlier
    claim = Claim(file.entry.id, file.entry.key, file.sha256, earlier, stored)
    return replace(claim, stamp=file.stamp, is_nested=file.is_nested)


def _changed_only(claims: Iterable[Claim], view: View) -> list[Claim]:
    return [claim for claim in claims if view.claims.get(claim.id) != claim]


def _trusted(files: Iterable[ReadFile], claims: Mapping[str, Claim]) -> dict[str, str]:
    """Return the contents that are stored according to the state, by id."""
    ids = [file.entry.id for file in files]
    return {each: claims[each].sha256 for each in ids if each in claims and claims[each].stored}


def _stored(folder: Folder, ids: Sequence[str]) -> dict[str, str]:
    """Return what is stored under the ids: the content's hash, "" where there are no facts."""
    found = {}
    for start in range(0, len(ids), _CHUNK):
        part = ids[start : start + _CHUNK]
        try:
            page = folder.client.get(folder.collection, part, fields=_FACTS)
        except NotFound:  # the collection, of which a dry run makes none
            return {}
        for item in page.items:
            found[item.id] = item.facts.sha256 if item.facts is not None else ""
    return found


def _names(folder: Folder) -> set[str]:
    found = scan([folder.path], prefix=folder.prefix, base=folder.path)
    return {entry.id for entry in found.files}
