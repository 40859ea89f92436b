"""`lookalike check`."""

from __future__ import annotations

import click

from lookalike_client.cli.analysis import progress
from lookalike_client.cli.session import Session, connected
from lookalike_client.types import CheckFinding, CheckReport, CheckVerdict

_EXIT_FAILED = 1
_WORST_FIRST = (CheckVerdict.FAIL, CheckVerdict.WARN, CheckVerdict.OK)
_WORDS = {CheckVerdict.FAIL: "FAIL", CheckVerdict.WARN: "WARN", CheckVerdict.OK: "ok"}


@click.command()
@click.option("-c", "--collection", default="images", show_default=True, help="Name or alias.")
@click.option("--filter", "filters", multiple=True, help="Should be met; may be given again.")
@click.option("--field", "fields", multiple=True, help="Should be there; may be given again.")
@click.option("--label-field", default="", help="Metadata field that holds labels.")
@click.option(
    "--recall-target",
    default=0.95,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True),
    help="Share of the ten nearest that searches should find.",
)
@click.option("--max-queries", default=500, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@connected
def check(
    session: Session,
    collection: str,
    filters: tuple[str, ...],
    fields: tuple[str, ...],
    label_field: str,
    recall_target: float,
    max_queries: int,
    seed: int,
) -> int:
    """Look for mistakes that people make with their collections.

    Vectors, searches, thresholds, pictures, metadata: each with a verdict, what was
    measured, and what to do.

    Exit codes: 0 nothing failed (there may be warnings), 1 something failed.
    """
    with session.client() as client, progress() as told:
        report = client.analysis.check(
            collection,
            filters=filters,
            fields=fields,
            label_field=label_field,
            recall_target=recall_target,
            max_queries=max_queries,
            seed=seed,
            on_progress=told,
        )
    if session.output.as_json:
        session.output.document({"verdict": report.verdict, "report": report})
    else:
        _print(session, report)
    return _EXIT_FAILED if report.verdict is CheckVerdict.FAIL else 0


def _print(session: Session, report: CheckReport) -> None:
    counts = {
        verdict: sum(each.verdict is verdict for each in report.findings)
        for verdict in _WORST_FIRST
    }
    session.output.text(
        f"{report.items:,} items, {report.queries:,} of them searched for: "
        + ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    )
    ordered = sorted(report.findings, key=lambda each: _WORST_FIRST.index(each.verdict))
    width = max(len(_name(each)) for each in ordered)
    for each in ordered:
        session.output.facts({_name(each).ljust(width): _text(each)})


def _name(finding: CheckFinding) -> str:
    return f"{_WORDS[finding.verdict]:<5}{finding.name}"


def _text(finding: CheckFinding) -> str:
    field = f"{finding.field}: " if finding.field else ""
    examples = f" Such as {', '.join(finding.example_ids)}." if finding.example_ids else ""
    advice = f". To do: {finding.advice}." if finding.advice else ""
    return f"{field}{finding.found}{advice}{examples}"
