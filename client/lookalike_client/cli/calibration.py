"""`lookalike calibrate`."""

from __future__ import annotations

from pathlib import Path

import click

from lookalike_client.cli.analysis import PAGE, progress, say_page
from lookalike_client.cli.evidence import evidence_of
from lookalike_client.cli.session import Session, connected
from lookalike_client.reports.calibration import calibration_page, constraint_of, promise_of
from lookalike_client.reports.pages import write_page
from lookalike_client.types import CalibrationMode, CalibrationReport

_share = click.FloatRange(0, 1, min_open=True, max_open=True)


@click.command()
@click.option("-c", "--collection", default="images", show_default=True, help="Name or alias.")
@click.option(
    "--pairs",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV with the columns id, other_id, alike (1 or 0).",
)
@click.option("--label-field", help="Items are alike where they have the same value of it.")
@click.option(
    "--copies-of",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The indexed folder: copies of its images are made, and are alike with them.",
)
@click.option("--from-collection", help="Take over what another collection of the model keeps.")
@click.option("--precision", type=_share, help="Least share of matches that are alike.")
@click.option(
    "--false-positive-rate",
    type=_share,
    help="Greatest share of images that match another that is not alike.",
)
@click.option(
    "--mode",
    type=click.Choice([each.value for each in CalibrationMode]),
    default=CalibrationMode.BOUND.value,
    show_default=True,
    help="bound holds beyond the sample; point is the best on it.",
)
@click.option(
    "--confidence", default=0.95, show_default=True, type=click.FloatRange(0.5, 1, max_open=True)
)
@click.option("--max-images", default=500, show_default=True, type=click.IntRange(1, 5_000))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@click.option("--keep", is_flag=True, help="Keep it: duplicate settings then take it.")
@click.option("--html", type=PAGE, help="Write a page with plots to this file.")
@connected
def calibrate(
    session: Session,
    collection: str,
    pairs: Path | None,
    label_field: str | None,
    copies_of: Path | None,
    from_collection: str | None,
    precision: float | None,
    false_positive_rate: float | None,
    mode: str,
    confidence: float,
    max_images: int,
    seed: int,
    keep: bool,
    html: Path | None,
) -> None:
    """Find the cosine from which on two images count as alike.

    Give one kind of evidence (--pairs, --label-field, --copies-of, --from-collection) and
    one constraint (--precision or --false-positive-rate).
    """
    if from_collection is None and (precision is None) == (false_positive_rate is None):
        raise click.UsageError("Give --precision or --false-positive-rate, one of them.")
    with session.client() as client, progress() as told:
        evidence, said = evidence_of(
            client,
            collection,
            pairs=pairs,
            label_field=label_field,
            copies_of=copies_of,
            from_collection=from_collection,
            max_images=max_images,
            seed=seed,
            told=told,
        )
        report = client.analysis.calibrate(
            collection,
            evidence,
            precision_at_least=precision,
            false_positive_rate_at_most=false_positive_rate,
            mode=CalibrationMode(mode),
            confidence=confidence,
            keep=keep,
            on_progress=told,
        )
    if html is not None and report.curve:
        write_page(html, calibration_page(report, collection=collection, evidence=said))
    if session.output.as_json:
        session.output.document({"report": report, "evidence": said, "kept": keep})
    else:
        _print_calibration(session, report, said, kept=keep)
        say_page(session, html if report.curve else None)


def _print_calibration(
    session: Session, report: CalibrationReport, evidence: str, *, kept: bool
) -> None:
    decision = report.decision
    facts: dict[str, object] = {
        "threshold": f"{decision.threshold:.3f}",
        "evidence": evidence,
        "constraint": f"{constraint_of(decision)}, mode {decision.mode}",
    }
    if report.curve:
        bound = f"{decision.confidence:.0%} bound"
        facts |= {
            "recall": f"{report.recall:.4f}",
            "images all found": f"{report.recall_low:.4f} at least ({bound})",
            "precision": f"{report.precision:.4f} ({bound} {report.precision_low:.4f})",
            "false-positive rate": f"{report.false_positive_rate:.4f} "
            f"({bound} {report.false_positive_rate_high:.4f})",
            "rests on": f"{report.pairs_alike:,} pairs alike, {report.pairs_other:,} others, "
            f"of {decision.images:,} images",
        }
    facts["promise"] = promise_of(decision)
    facts["kept"] = (
        "yes: `collections update --duplicates flag` takes it"
        if kept
        else "no: give --keep to keep it with the collection"
    )
    session.output.facts(facts)
