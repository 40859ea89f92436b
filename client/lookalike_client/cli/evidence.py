"""What `lookalike calibrate` takes as evidence."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import click
from PIL import Image

from lookalike.wire.errors import LookalikeError
from lookalike_client import Client
from lookalike_client.cli.output import complain
from lookalike_client.copies import copies_of as make_copies
from lookalike_client.indexing.scan import FileEntry, scan
from lookalike_client.inputs import VectorLike
from lookalike_client.requests import (
    CopyEvidence,
    Evidence,
    FromCollection,
    LabelEvidence,
    LabelledPairs,
)
from lookalike_client.types import AnalysisProgress, Fields

_COLUMNS = ("id", "other_id", "alike")
_VERDICTS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def evidence_of(
    client: Client,
    collection: str,
    *,
    pairs: Path | None,
    label_field: str | None,
    copies_of: Path | None,
    from_collection: str | None,
    max_images: int,
    seed: int,
    told: Callable[[AnalysisProgress], object],
) -> tuple[Evidence, str]:
    """Return the evidence that was asked for, and what it says is alike.

    Raises:
        click.UsageError: none was given, or several.
        click.ClickException: it cannot be used.
    """
    given = [each for each in (pairs, label_field, copies_of, from_collection) if each is not None]
    if len(given) != 1:
        raise click.UsageError(
            "Give --pairs, --label-field, --copies-of or --from-collection, one of them."
        )
    if pairs is not None:
        read = _read_pairs(pairs)
        return LabelledPairs(read), f"{len(read):,} labelled pairs of {pairs.name}"
    if label_field is not None:
        return LabelEvidence(label_field, seed=seed), f"items with the same {label_field}"
    if from_collection is not None:
        return FromCollection(from_collection), f'what "{from_collection}" keeps'
    assert copies_of is not None  # the one that is left
    made = _copies(client, collection, copies_of, max_images, seed, told)
    images = len({id for id, _ in made})
    return CopyEvidence(made), f"{len(made):,} copies made of {images:,} images"


def _read_pairs(path: Path) -> list[tuple[str, str, bool]]:
    """Read a CSV file of labelled pairs.

    Raises:
        click.ClickException: it is none; the text names the line.
    """
    pairs = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            missing = [name for name in _COLUMNS if name not in (rows.fieldnames or ())]
            if missing:
                raise click.ClickException(
                    f"{path} has no column {missing[0]}: its first line must name "
                    f"{', '.join(_COLUMNS)}"
                )
            for row in rows:
                verdict = _VERDICTS.get((row["alike"] or "").strip().lower())
                if verdict is None:
                    raise click.ClickException(
                        f"{path}, line {rows.line_num}: alike is {row['alike']!r}; write 1 or 0"
                    )
                pairs.append((row["id"], row["other_id"], verdict))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise click.ClickException(f"{path} cannot be read as CSV: {error}") from error
    if not pairs:
        raise click.ClickException(f"{path} holds no pair")
    return pairs


def _copies(
    client: Client,
    collection: str,
    folder: Path,
    max_images: int,
    seed: int,
    told: Callable[[AnalysisProgress], object],
) -> list[tuple[str, VectorLike]]:
    """Make copies of indexed images, and vectors of the copies.

    Raises:
        click.ClickException: no image of the folder is in the collection.
    """
    found = scan([folder], base=Path.cwd()).files
    random.Random(seed).shuffle(found)  # noqa: S311 - a sample
    indexed = _indexed(client, collection, found, max_images)
    if not indexed:
        example = f", such as {found[0].id}" if found else ""
        raise click.ClickException(
            f"none of the {len(found):,} images in {folder} is in {collection}{example}: name "
            "the folder as it was when it was indexed"
        )
    made: list[tuple[str, VectorLike]] = []
    for number, entry in enumerate(indexed):
        told(AnalysisProgress("making copies", number, len(indexed)))
        try:
            copies = list(make_copies(entry.path).values())
            vectors = client.make_vectors(collection, copies)
        except (OSError, Image.DecompressionBombError, LookalikeError) as error:
            complain(f"{entry.key} is left out: {error}")
            continue
        made += [(entry.id, vector) for vector in vectors]
    if not made:
        raise click.ClickException("no copy could be made: the lines above say why")
    return made


def _indexed(
    client: Client, collection: str, found: Sequence[FileEntry], most: int
) -> list[FileEntry]:
    """Return the first `most` files whose ids are in the collection."""
    indexed: list[FileEntry] = []
    for start in range(0, len(found), most):
        some = found[start : start + most]
        page = client.get(collection, [entry.id for entry in some], fields=Fields())
        missing = set(page.missing_ids)
        indexed += [entry for entry in some if entry.id not in missing]
        if len(indexed) >= most:
            break
    return indexed[:most]
