"""What `lookalike index` says at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lookalike_client.cli.index_endings import IndexEndings
from lookalike_client.cli.output import Output, failure
from lookalike_client.indexing.ledger import Ledger, Outcomes
from lookalike_client.indexing.matching import Matches
from lookalike_client.indexing.run import IndexJob
from lookalike_client.indexing.scan import Scan

# Lines of a kind that people are shown; programs get all.
_MOST_ROWS = 50
# Names of folders in a line.
_MOST_NAMES = 5


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What a run did; `matches` is None where there was no table of metadata."""

    job: IndexJob
    found: Scan
    matches: Matches | None
    ledger: Ledger
    elapsed_s: float

    @property
    def nothing_indexed(self) -> bool:
        """Whether no file is stored, nor on its way where nobody waited."""
        ended = self._outcomes
        return not (ended.stored or ended.unchanged or ended.waiting)

    @property
    def why_nothing(self) -> str:
        """Say why nothing was indexed."""
        ended = self._outcomes
        if ended.failed or ended.rejected or ended.lost:
            ways = [f"{ended.failed:,} failed"] if ended.failed else []
            ways += [f"{ended.rejected:,} were rejected as duplicates"] if ended.rejected else []
            ways += [f"{ended.lost:,} were lost"] if ended.lost else []
            return f"nothing was indexed: {' and '.join(ways)}"
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in self._formats.most_common())
        if kinds:
            return (
                f"nothing was indexed: no image in a format that is decoded was found, but {kinds}"
            )
        looked = len(self.found.skipped)
        among = f" among {looked:,} other files" if looked else ": there are no files to look at"
        if not looked and (self.found.clutter_folders or self.found.clutter_files):
            among = ": what is there is hidden or belongs to the system"
        return f"nothing was indexed: no image was found{among}"

    def print(self, output: Output) -> None:
        """Print what became of the files, those passed over, and near-duplicates."""
        if output.as_json:
            output.document(self._document())
        else:
            self._tables(output)

    @property
    def _files(self) -> int:
        return len(self.found.files) + len(self.found.refused)

    @property
    def _outcomes(self) -> Outcomes:
        return self.ledger.outcomes()

    @property
    def _endings(self) -> IndexEndings:
        return IndexEndings(self.job.collection, self.ledger)

    @property
    def _formats(self) -> Counter[str]:
        """Count what is not decoded by its format."""
        return Counter(each.format for each in self.found.skipped if each.format)

    def _document(self) -> dict[str, object]:
        tally = self.ledger.tally()
        error = {"error": failure("NOTHING_INDEXED", self.why_nothing)}
        return {
            **(error if self.nothing_indexed else {}),
            "collection": self.job.collection,
            "job_id": self.job.job_id,
            "files": self._files,
            "outcomes": self._outcomes,
            "unchanged": tally.unchanged,
            "queued": tally.queued,
            "stored": self.ledger.stored if self.job.wait else None,
            "failed": [
                {
                    "id": each.id,
                    "reason": each.error.reason.name,
                    "message": each.error.message,
                }
                for each in self.ledger.sorted_failures()
            ],
            "skipped": self.found.skipped,
            "skipped_formats": self._formats,
            "passed_over": {
                "folders": self.found.clutter_folders,
                "files": self.found.clutter_files,
            },
            "near_duplicates": self.ledger.duplicates,
            **self._endings.document(),
            "table": self._table_document(),
            "elapsed_s": round(self.elapsed_s, 3),
        }

    def _table_document(self) -> dict[str, object] | None:
        if self.matches is None:
            return None
        return {
            "rows": self.matches.rows,
            "matched": len(self.matches.metadata),
            "rows_of_skipped_files": self.matches.idle_rows,
            "unmatched_rows": self.matches.unmatched_rows,
            "files_without_row": self.matches.files_without_row,
        }

    def _tables(self, output: Output) -> None:
        output.paragraph(f"{self._files:,} files: {self._sentence()} ({self.elapsed_s:.1f} s)")
        if self.matches is not None:
            matched = self.matches.rows - len(self.matches.unmatched_rows)
            output.text(f"{matched:,} of {self.matches.rows:,} rows of the table have a file")
        self._passed_over(output)
        # What is no image at all comes last: whoever has some in another format wants to know.
        skipped = sorted(self.found.skipped, key=lambda each: not each.format)
        _table(output, "Skipped", ["file", "reason"], [(s.file, s.reason) for s in skipped])
        _table(
            output,
            "Near-duplicates",
            ["id", "looks like", "score>"],
            [
                (each.id, each.of, f"{each.score:.4f}")
                for each in self.ledger.duplicates
                if each.stored
            ],
        )
        _table(
            output,
            "Failed",
            ["id", "reason", "message"],
            [
                (each.id, each.error.reason.name, each.error.message)
                for each in self.ledger.sorted_failures()
            ],
        )
        self._endings.print(output)
        if self._outcomes.waiting:
            output.text("the rest goes on without us: see `lookalike status` and `failures`")

    def _sentence(self) -> str:
        """Return the outcomes, whose sum is the number of files."""
        ended = self._outcomes
        parts = [f"{ended.unchanged:,} unchanged"]
        if self.job.wait:
            parts.append(f"{ended.stored:,} stored and searchable")
        else:
            # Nobody waits: what has ended already is not looked at.
            parts.append(f"{ended.waiting:,} queued")
        if ended.rejected:
            parts.append(f"{ended.rejected:,} rejected as duplicates")
        if ended.lost:
            parts.append(f"{ended.lost:,} lost")
        return ", ".join([*parts, f"{ended.failed:,} failed"])

    def _passed_over(self, output: Output) -> None:
        if self._formats:
            kinds = ", ".join(f"{count:,} {kind}" for kind, count in self._formats.most_common())
            output.text(f"not decoded here, and skipped: {kinds}")
        folders = self.found.clutter_folders
        if folders or self.found.clutter_files:
            named = ", ".join(
                f"{name} ({count:,})" if count > 1 else name
                for name, count in folders.most_common(_MOST_NAMES)
            )
            more = ", …" if len(folders) > _MOST_NAMES else ""
            output.text(
                "passed over, hidden or the system's: "
                f"{_counted(folders.total(), 'folder')}{f' ({named}{more})' if named else ''}, "
                f"{_counted(self.found.clutter_files, 'file')}"
            )


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _table(
    output: Output, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
) -> None:
    if not rows:
        return
    output.table(f"{title} {len(rows):,}", columns, rows[:_MOST_ROWS])
    if len(rows) > _MOST_ROWS:
        output.text(f"and {len(rows) - _MOST_ROWS:,} more: `--json` lists all")
