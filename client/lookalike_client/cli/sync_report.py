"""What `lookalike sync` says."""

from __future__ import annotations

from dataclasses import dataclass, field

from lookalike_client.cli.index_endings import IndexEndings
from lookalike_client.cli.output import Output, failure
from lookalike_client.indexing.ledger import FileFailure, Ledger
from lookalike_client.syncing.plan import Clash
from lookalike_client.syncing.run import Folder, Result, View

# Lines of a kind that people are shown; programs get all.
_MOST_ROWS = 50


@dataclass(slots=True)
class SyncReport:
    """What the passes of a run did, or, with `dry_run`, would do.

    `first`: the folder was never synced before. `brief`: only what changed is told.
    """

    folder: Folder
    dry_run: bool = False
    first: bool = False
    brief: bool = False
    refusal: str = ""
    moved: list[tuple[str, str]] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    staying: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    clashes: list[Clash] = field(default_factory=list)
    failures: dict[str, FileFailure] = field(default_factory=dict)
    ledgers: list[Ledger] = field(default_factory=list)
    files: int = 0
    unchanged: int | None = None

    @property
    def exit_code(self) -> int:
        """Return 0 where the collection is in step with the folder."""
        rejected = any(ledger.lost for ledger in self.ledgers)
        bad = self.refusal or self.failures or self.clashes or self.unreadable or rejected
        return 1 if bad or (not self.dry_run and (self.waiting or self.staying)) else 0

    def add(self, view: View, result: Result) -> None:
        """Add a pass."""
        plan = view.plan
        self.files = len(view.found.files) + len(view.found.refused)
        if self.unchanged is None:
            self.unchanged = len(plan.unchanged)
        if self.dry_run:
            self.moved = [(move.source, move.file.entry.id) for move in plan.moves]
            self.new = [file.entry.id for file in plan.new]
            self.changed = [file.entry.id for file in plan.changed]
            self.removed = [*plan.removals, *plan.leftovers]
        else:
            stored = set(result.ledger.stored_ids)
            before = {file.entry.id for file in plan.changed}
            sent = [file.entry.id for file in result.sent if file.entry.id in stored]
            self.moved += [(move.source, move.file.entry.id) for move in result.moves]
            self.new += [each for each in sent if each not in before]
            self.changed += [each for each in sent if each in before]
            self.removed += result.removed
            self.staying = [each for each in plan.removals if each not in set(result.removed)]
            self.ledgers.append(result.ledger)
        self.kept, self.unreadable = sorted(view.gone.kept), sorted(view.gone.unreadable)
        self.waiting = [entry.id for entry in view.moving]
        self.clashes = plan.clashes
        for each in (*view.found.refused, *result.failures, *result.ledger.failures):
            self.failures[each.id] = each

    def print(self, output: Output) -> None:
        """Print it; while a folder is watched, one line a pass."""
        if output.as_json:
            output.document(self._document())
            return
        files = "1 file" if self.files == 1 else f"{self.files:,} files"
        output.paragraph(f"{files}: {self._sentence()}")
        self._lists(output)
        for ledger in self.ledgers:
            IndexEndings(self.folder.collection, ledger).print(output)
        for line in self._remarks():
            output.paragraph(line)

    def _sentence(self) -> str:
        """Return what became of the files; what there is none of is left out."""
        ledgers = self.ledgers
        counts = {
            "new": len(self.new),
            "changed": len(self.changed),
            "moved": len(self.moved),
            "removed": len(self.removed),
            "rejected as duplicates": sum(ledger.rejected for ledger in ledgers),
            "lost": sum(len(ledger.lost) for ledger in ledgers),
            "failed": len(self.failures),
            "with an id of another folder": sum(bool(each.folder) for each in self.clashes),
            "with an id from elsewhere": sum(not each.folder for each in self.clashes),
            "still being written": len(self.waiting),
        }
        parts = [f"{count:,} {what}" for what, count in counts.items() if count]
        if self.brief:
            return ", ".join(parts)
        unchanged = f"{self.unchanged or 0:,} unchanged"
        if self.dry_run:
            return f"{unchanged}; to be done: {', '.join(parts) or 'nothing'}"
        return ", ".join([unchanged, *parts])

    def _lists(self, output: Output) -> None:
        moves = [f"{source} → {target}" for source, target in self.moved]
        if self.dry_run or self.brief:
            _listing(output, "New", self.new)
            _listing(output, "Changed", self.changed)
        _listing(output, "Moved", moves)
        _listing(output, "Removed", self.removed)
        _listing(output, "Gone, and not removed", self.staying)
        failed = sorted(self.failures.values(), key=lambda each: each.id)
        _listing(output, "Failed", [f"{each.id}: {each.error.message}" for each in failed])
        _listing(
            output,
            "With an id of another folder",
            [f"{each.file.id}: {each.folder}" for each in self.clashes if each.folder],
        )
        _listing(
            output,
            "With an id of another picture, which did not come from this folder",
            [each.file.id for each in self.clashes if not each.folder],
        )
        _listing(output, "Still being written", self.waiting)

    def _remarks(self) -> list[str]:
        lines = []
        if self.refusal:
            lines.append(f"this would be refused: {self.refusal}")
        if any(each.folder is None for each in self.clashes):
            lines.append(
                "What is stored from elsewhere is left as it is: give this folder a --prefix of "
                "its own, or pass --adopt if it is an earlier state of the folder"
            )
        if any(each.folder for each in self.clashes):
            lines.append(
                "Ids of another folder are left to it: give each folder a --prefix of its own, "
                "or pass --adopt if the other one was moved here"
            )
        if self.staying:
            count = len(self.staying)
            things = "1 item whose file is" if count == 1 else f"{count:,} items whose files are"
            lines.append(f"{things} gone stay: pass --yes to remove them")
        if self.kept:
            lines.append(
                f"{len(self.kept):,} items stay whose files are there but are no images that are "
                f"taken: {_some(self.kept)}"
            )
        if self.unreadable:
            lines.append(
                f"{len(self.unreadable):,} items stay whose files cannot be looked at: "
                f"{_some(self.unreadable)}"
            )
        if self.first and not self.folder.adopts:
            lines += self._strangers()
        return lines

    def _strangers(self) -> list[str]:
        """Say what the collection holds that no file here has, when that is first seen."""
        others = self.folder.client.count(self.folder.collection) - len(self.folder.state.claims())
        if others <= 0:
            return []
        return [
            f"{others:,} items of the collection come from elsewhere, and stay. If they are of "
            "files of this folder that were renamed or deleted before it was first synced, "
            "pass --adopt"
        ]

    def _document(self) -> dict[str, object]:
        ledgers = self.ledgers
        error = {"error": failure("FAILED", self.refusal)} if self.refusal else {}
        return {
            **error,
            "collection": self.folder.collection,
            "folder": str(self.folder.path),
            "dry_run": self.dry_run,
            "files": self.files,
            "unchanged": self.unchanged or 0,
            "new": self.new,
            "changed": self.changed,
            "moved": [{"from": source, "to": target} for source, target in self.moved],
            "removed": self.removed,
            "gone_not_removed": self.staying,
            "kept": self.kept,
            "unreadable": self.unreadable,
            "still_being_written": self.waiting,
            "clashes": [
                {"id": each.file.id, "folder": str(each.folder or "")} for each in self.clashes
            ],
            "failed": [
                {"id": each.id, "reason": each.error.reason.name, "message": each.error.message}
                for each in sorted(self.failures.values(), key=lambda each: each.id)
            ],
            "rejected": [each for ledger in ledgers for each in ledger.kept_out()],
            "lost": [each for ledger in ledgers for each in sorted(ledger.lost)],
            "blank": [each for ledger in ledgers for each in ledger.blank],
            "truncated": [each for ledger in ledgers for each in ledger.truncated],
        }


def _some(ids: list[str]) -> str:
    return ", ".join(ids[:5]) + (", …" if len(ids) > 5 else "")


def _listing(output: Output, title: str, lines: list[str]) -> None:
    if not lines:
        return
    output.text(f"{title} {len(lines):,}")
    for line in lines[:_MOST_ROWS]:
        output.text(f"  {line}")
    if len(lines) > _MOST_ROWS:
        output.text(f"  and {len(lines) - _MOST_ROWS:,} more: `--json` lists all")
