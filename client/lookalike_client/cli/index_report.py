"""What `lookalike index` says at its end."""

from __future__ import annotations

from lookalike_client.cli.output import Output
from lookalike_client.indexing.ledger import Ledger
from lookalike_client.indexing.run import IndexJob
from lookalike_client.indexing.scan import Scan

# Lines of a kind that people are shown; programs get all.
_MOST_ROWS = 50


def print_report(
    output: Output, job: IndexJob, found: Scan, ledger: Ledger, elapsed_s: float
) -> None:
    """Print counts, skipped files, near-duplicates and failures."""
    if output.as_json:
        output.document(_document(job, found, ledger, elapsed_s))
    else:
        _print(output, job, found, ledger, elapsed_s)


def _document(job: IndexJob, found: Scan, ledger: Ledger, elapsed_s: float) -> dict[str, object]:
    tally = ledger.tally()
    return {
        "collection": job.collection,
        "job_id": job.job_id,
        "files": len(found.files),
        "unchanged": tally.unchanged,
        "queued": tally.queued,
        "stored": ledger.stored if job.wait else None,
        "failed": [
            {
                "id": failure.id,
                "reason": failure.error.reason.name,
                "message": failure.error.message,
            }
            for failure in ledger.sorted_failures()
        ],
        "skipped": found.skipped,
        "near_duplicates": ledger.duplicates,
        "elapsed_s": round(elapsed_s, 3),
    }


def _print(output: Output, job: IndexJob, found: Scan, ledger: Ledger, elapsed_s: float) -> None:
    tally = ledger.tally()
    if not found.files:
        output.text("no image was found")
    parts = [f"{tally.unchanged:,} unchanged", f"{tally.queued:,} queued"]
    if job.wait:
        parts.append(f"{ledger.stored:,} stored and searchable")
    parts.append(f"{tally.failed:,} failed")
    output.text(f"{len(found.files):,} files: {', '.join(parts)} ({elapsed_s:.1f} s)")
    if found.skipped:
        output.table(
            f"Skipped {len(found.skipped):,}",
            ["file", "reason"],
            [(each.file, each.reason) for each in found.skipped[:_MOST_ROWS]],
        )
    if ledger.duplicates:
        output.table(
            f"Near-duplicates {len(ledger.duplicates):,}",
            ["id", "looks like", "score>", "stored"],
            [
                (each.id, each.of, f"{each.score:.4f}", "yes" if each.stored else "no")
                for each in ledger.duplicates[:_MOST_ROWS]
            ],
        )
    failures = ledger.sorted_failures()
    if failures:
        output.table(
            f"Failed {len(failures):,}",
            ["id", "reason", "message"],
            [
                (each.id, each.error.reason.name, each.error.message)
                for each in failures[:_MOST_ROWS]
            ],
        )
    if not job.wait and tally.queued:
        output.text("the rest goes on without us: see `lookalike status` and `failures`")
