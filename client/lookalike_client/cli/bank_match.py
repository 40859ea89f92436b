"""`lookalike bank match`."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from lookalike_client.cli.output import complain
from lookalike_client.cli.session import Session, connected
from lookalike_client.hash_lists import read_hash_list
from lookalike_client.indexing.scan import scan
from lookalike_client.inputs import MatchItem
from lookalike_client.requests import MatchOptions
from lookalike_client.types import MatchEvidence, MatchRemark, MatchResult, MatchRule, MatchVerdict

_COLUMNS = (
    "file",
    "verdict",
    "known",
    "score",
    "pdq_distance",
    "pdq_quality",
    "agreement",
    "label",
    "threshold",
    "remarks",
    "error",
)
# Of single images; and of the bank, which are said once.
_REMARKS = {
    MatchRemark.BLANK: "blank picture",
    MatchRemark.LOW_PDQ_QUALITY: "PDQ quality below 50",
    MatchRemark.NO_PDQ_HASH: "no PDQ hash",
}
_BANK_REMARKS = {
    MatchRemark.ITEMS_WITHOUT_PDQ: "items of the bank have no PDQ hash: `lookalike bank show` "
    "says how many, and how they get one",
    MatchRemark.BANK_HAS_GROWN: "the bank has ten times the items that it had when the threshold "
    "was calibrated: calibrate again",
}
_cosine = click.FloatRange(-1, 1)
_bits = click.IntRange(0, 255)


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("-c", "--collection", default="images", show_default=True, help="Name or alias.")
@click.option("--id", "ids", multiple=True, help="A stored item; may be given several times.")
@click.option(
    "--hashes",
    "hash_files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A list of PDQ hashes of images that are not at hand.",
)
@click.option("--threshold", type=_cosine, help="Least cosine that matches; else the calibrated.")
@click.option("--review-threshold", type=_cosine, help="Least cosine that is uncertain.")
@click.option("--pdq-distance", type=_bits, help="Most bits that hashes differ in.  [default: 31]")
@click.option("--pdq-review-distance", type=_bits, help="Most bits that are uncertain.")
@click.option(
    "--rule",
    type=click.Choice([each.value for each in MatchRule]),
    default=MatchRule.ANY.value,
    show_default=True,
    help="Which signals make a match.",
)
@click.option("-k", "--limit", default=5, show_default=True, type=click.IntRange(1, 100))
@click.option("--filter", "condition", help="Only items that meet it count.")
@click.option("--exact", is_flag=True, help="Compare with every vector.")
@click.option("--all", "everything", is_flag=True, help="Show what is not known too.")
@click.option(
    "--csv", "table", type=click.Path(dir_okay=False, path_type=Path), help="Write all verdicts."
)
@connected
def match(
    session: Session,
    paths: tuple[Path, ...],
    collection: str,
    ids: tuple[str, ...],
    hash_files: tuple[Path, ...],
    rule: str,
    limit: int,
    condition: str | None,
    exact: bool,
    everything: bool,
    table: Path | None,
    **bounds: Any,
) -> None:
    """Say which of the images in PATHS are among the known ones of a bank."""
    items = [*_images(paths), *(MatchItem(id, id=id) for id in ids), *_hashes(hash_files)]
    if not items:
        raise click.UsageError("Give files or folders with images, --id or --hashes.")
    options = MatchOptions(rule=MatchRule(rule), limit=limit, filter=condition, exact=exact)
    for name, value in bounds.items():
        if value is not None:
            options[name] = value  # type: ignore[literal-required] # those of the options above
    with session.client() as client:
        results = list(client.banks.match(collection, items, **options))
    place = {item.key: number for number, item in enumerate(items)}
    results.sort(key=lambda each: place[each.key])
    failed = [each for each in results if each.error is not None]
    if table is not None:
        _write(table, results)
    if session.output.as_json:
        session.output.document({"results": results, "counts": _counts(results)})
    else:
        _print(session, results, everything=everything)
    for each in failed:
        if each.error is not None and not session.output.as_json:
            complain(f"{each.key}: {each.error.message}")
    if failed:
        click.get_current_context().exit(1)


def _images(paths: Sequence[Path]) -> Iterator[MatchItem]:
    for path in paths:
        if path.is_dir():
            yield from (
                MatchItem(str(each.path), each.path) for each in scan([path], base=path).files
            )
        else:
            yield MatchItem(str(path), path)


def _hashes(files: Sequence[Path]) -> Iterator[MatchItem]:
    for path in files:
        with path.open(encoding="utf-8", newline="") as file:
            found = read_hash_list(file)
        if found.mistakes:
            raise click.ClickException(f"{path}: {found.mistakes[0]}")
        for each in found.hashes:
            key = each.name or each.pdq_hash
            yield MatchItem(key, pdq_hash=each.pdq_hash, pdq_quality=each.quality)


def _counts(results: Sequence[MatchResult]) -> dict[str, int]:
    counts = Counter(each.verdict for each in results)
    told = {verdict.value: counts[verdict] for verdict in MatchVerdict}
    return told | {"failed": counts[None]}


def _print(session: Session, results: Sequence[MatchResult], *, everything: bool) -> None:
    rows = [
        _row(each)
        for each in results
        if each.error is None and (everything or each.verdict is not MatchVerdict.NO_MATCH)
    ]
    counts = _counts(results)
    if rows:
        columns = ["file", "verdict", "known image", "cosine>", "bits>", "signals", "remarks"]
        session.output.table("", columns, rows)
    session.output.text(
        ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count)
    )
    thresholds = {(each.threshold, each.threshold_calibrated) for each in results if each.threshold}
    for threshold, calibrated in sorted(thresholds):
        whence = "calibrated" if calibrated else "as given"
        session.output.text(f"threshold {threshold:.3f}, {whence}")
    for remark, words in _BANK_REMARKS.items():
        if any(remark in each.remarks for each in results):
            session.output.paragraph(words)


def _row(result: MatchResult) -> tuple[str, ...]:
    first = result.evidence[0] if result.evidence else None
    return (
        result.key,
        _words(result.verdict),
        _known(first),
        "" if first is None or first.score is None else f"{first.score:.3f}",
        "" if first is None or first.pdq_distance is None else str(first.pdq_distance),
        _words(result.agreement),
        ", ".join(_REMARKS[each] for each in result.remarks if each in _REMARKS),
    )


def _write(path: Path, results: Sequence[MatchResult]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for each in results:
            first = each.evidence[0] if each.evidence else None
            writer.writerow(
                (
                    each.key,
                    each.verdict or "",
                    _known(first),
                    "" if first is None or first.score is None else first.score,
                    "" if first is None or first.pdq_distance is None else first.pdq_distance,
                    "" if each.pdq_quality is None else each.pdq_quality,
                    each.agreement or "",
                    first.listed.label if first is not None and first.listed else "",
                    each.threshold or "",
                    " ".join(each.remarks),
                    "" if each.error is None else each.error.message,
                )
            )


def _known(evidence: MatchEvidence | None) -> str:
    if evidence is None:
        return ""
    listed = evidence.listed
    if listed is None:
        return evidence.id
    return listed.name or listed.label or listed.pdq_hash[:16] + "…"


def _words(value: str | None) -> str:
    return "" if value is None else str(value).replace("_", " ").replace("pdq", "PDQ")
