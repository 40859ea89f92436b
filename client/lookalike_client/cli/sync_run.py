"""The passes of `lookalike sync`: one, or one after another while the folder is watched."""

from __future__ import annotations

import sys
import time
from collections import deque
from dataclasses import dataclass, field

import click

from lookalike.wire.errors import Unavailable
from lookalike_client.cli.output import Output, complain
from lookalike_client.cli.progress import IndexProgress
from lookalike_client.cli.sync_report import SyncReport
from lookalike_client.syncing.errors import SyncRefused
from lookalike_client.syncing.files import Reader
from lookalike_client.syncing.run import Folder, Result, View, apply, look
from lookalike_client.syncing.watch import moments

# A run without --watch leaves files out that are still being written after so long.
_MOST_WAIT_S = 300.0
_TICK_S = 0.5
# What was just copied is waited for without a word.
_PATIENT_S = 5.0
# While a folder is watched, what was removed within so long counts together.
_WINDOW_S = 600.0
# Between two tries while the service is away.
_RETRY_S = 2.0


@dataclass(slots=True)
class SyncRun:
    """Passes over a folder; `share` of its items may be removed, with `yes` without asking."""

    output: Output
    folder: Folder
    reader: Reader
    share: float
    yes: bool
    # What was sent and not stored, by id: it is not sent again until it changes.
    _tried: dict[str, str] = field(default_factory=dict)
    _removed: deque[tuple[float, int]] = field(default_factory=deque)
    _busy: bool = False
    _told: str = ""

    def rehearse(self) -> int:
        """Say what would be done; return the exit code."""
        view = look(self.folder, self.reader)
        report = SyncReport(self.folder, dry_run=True, refusal=view.refusal(self.share))
        report.add(view, Result())
        report.print(self.output)
        return report.exit_code

    def once(self, *, may_be_empty: bool) -> int:
        """Bring the collection in step, and wait for what is still being written.

        `may_be_empty`: a folder that holds no image and never did is no mistake.

        Raises:
            SyncRefused: too much would be removed, or the folder is not to be believed.
        """
        started_s = time.monotonic()
        view = look(self.folder, self.reader)
        if refusal := view.refusal(self.share):
            raise SyncRefused(f"nothing was changed: {refusal}")
        if not (view.held or view.found.files or view.found.refused or may_be_empty):
            raise SyncRefused(f"{self.folder.path} holds no image: is it mounted?")
        consents = self._asked(view)
        agreed = set(view.plan.removals) if consents else set()
        report = SyncReport(self.folder, first=self.folder.state.is_new)
        while True:
            # What has gone since nobody was asked about, and the next run will see.
            removes = consents and set(view.plan.removals) <= agreed
            report.add(view, self._apply(view, removes=removes))
            waited_s = time.monotonic() - started_s
            if not view.moving or waited_s > _MOST_WAIT_S:
                break
            if waited_s > _PATIENT_S:
                self._tell(f"waiting for {view.moving[0].id}, which is still being written")
            time.sleep(_TICK_S)
            view = look(self.folder, self.reader, trusts=True, tried=self._tried)
        report.print(self.output)
        return report.exit_code

    def follow(self) -> int:
        """Follow the folder until the process is ended."""
        self._tell(f"watching {self.folder.path}")
        for _ in moments(self.folder.path, lambda: self._busy):
            try:
                self._busy = self._pass()
            except SyncRefused as error:
                self._busy = False
                self._tell(f"warning: {error}")
            except Unavailable as error:
                self._busy = True
                self._tell(f"warning: {error.message}; trying again")
                time.sleep(_RETRY_S)
        return 0

    def _pass(self) -> bool:
        """Look, and do what there is to do; return whether to look again soon."""
        view = look(self.folder, self.reader, trusts=True, tried=self._tried)
        now_s = time.monotonic()
        while self._removed and now_s - self._removed[0][0] > _WINDOW_S:
            self._removed.popleft()
        refusal = view.refusal(self.share, sum(count for _, count in self._removed))
        if refusal:
            self._tell(f"warning: {refusal}; they stay until then")
        elif view.plan.removals and not self.yes:
            count = len(view.plan.removals)
            self._tell(
                f"{count:,} items whose files are gone stay: start with --yes to remove them"
            )
        result = self._apply(view, removes=self.yes and not refusal)
        if result.removed:
            self._removed.append((now_s, len(result.removed)))
        if result.moves or result.sent or result.removed or result.failures:
            report = SyncReport(self.folder, brief=True)
            report.add(view, result)
            report.print(self.output)
        return bool(view.moving)

    def _asked(self, view: View) -> bool:
        """Return whether what is gone is to be removed."""
        count = len(view.plan.removals)
        if not count or self.yes:
            return self.yes
        things = "1 item whose file is" if count == 1 else f"{count:,} items whose files are"
        if self.output.as_json or not sys.stdin.isatty():
            complain(f"error: {things} gone would be removed: pass --yes to agree")
            return False
        for item_id in view.plan.removals[:10]:
            complain(f"  {item_id}")
        if count > 10:
            complain(f"  and {count - 10:,} more: --dry-run lists all")
        return click.confirm(f"Remove {things} gone, of {view.held:,}?", err=True)

    def _apply(self, view: View, *, removes: bool) -> Result:
        sends = len(view.plan.new) + len(view.plan.changed)
        if sends:
            with IndexProgress(sends, wait=True) as bar:
                result = apply(self.folder, view, removes=removes, progress=bar.show)
        else:
            result = apply(self.folder, view, removes=removes, progress=lambda _: None)
        stored = set(result.ledger.stored_ids)
        for file in result.sent:
            if file.entry.id in stored:
                self._tried.pop(file.entry.id, None)
            else:
                self._tried[file.entry.id] = file.sha256
        return result

    def _tell(self, line: str) -> None:
        """Say something, once until something else is said."""
        if line != self._told:
            self._told = line
            complain(line)
