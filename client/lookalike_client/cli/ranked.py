"""What `lookalike search` takes and prints of hits that more than likeness orders, and of what
an answer lacks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from lookalike.wire.errors import InvalidField
from lookalike_client.boosts import Boost
from lookalike_client.inputs import Example, Query
from lookalike_client.requests import SearchOptions
from lookalike_client.types import Hit, PartialAnswer

Command = Callable[..., Any]


def ranking_options(command: Command) -> Command:
    """Add the options that order hits."""
    options = (
        click.option(
            "--boost",
            "boosts",
            multiple=True,
            metavar="TEXT",
            help="Add to the score, such as: 0.2 * log(likes, 0, 1000), or "
            "0.5 * gauss(taken, @now, 30d). May be given again.",
        ),
        click.option(
            "--diverse",
            default=0.0,
            type=click.FloatRange(0, 1),
            help="Prefer hits that differ from each other: 0 not at all, 1 above all.",
        ),
        click.option(
            "--candidates",
            default=0,
            type=click.IntRange(0, 10_000),
            help="Nearest items that --boost and --diverse choose from; 4 times -k if absent.",
        ),
        click.option(
            "--by",
            multiple=True,
            metavar="NAME[=WEIGHT]",
            help="Vectors to search by, such as: style; or several with their weights, such as: "
            "style=0.3, and =0.7 for the items' own. May be given again.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def target_options(command: Command) -> Command:
    """Add the options that say what to look for, besides an image and an id."""
    options = (
        click.option(
            "--text",
            default="",
            metavar="TEXT",
            help="What is to be seen, such as: a red shoe. For encoders with a text tower; "
            "also beside IMAGE, --id or --like.",
        ),
        click.option(
            "--text-weight",
            type=click.FloatRange(0, 1000, min_open=True),
            help="How much --text counts beside IMAGE, --id or --like; 1 if absent, as each of "
            "those.",
        ),
        click.option(
            "--like", multiple=True, metavar="ID", help="A stored example; may be given again."
        ),
        click.option(
            "--unlike", multiple=True, metavar="ID", help="A stored example to be far from."
        ),
        click.option(
            "--best-score",
            is_flag=True,
            help="Count each --like and --unlike by itself, not their mean.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def query_of(
    image: Path | None,
    item_id: str | None,
    like: Sequence[str],
    unlike: Sequence[str],
    *,
    best_score: bool,
    text: str = "",
    text_weight: float | None = None,
) -> tuple[Query, str]:
    """Return what to look for, and its name.

    Raises:
        click.UsageError: not one thing is named, text aside.
    """
    named = sum((image is not None, item_id is not None, bool(like)))
    if named > 1 or not (named or text):
        raise click.UsageError("Give an IMAGE, --id or --like, one of them, or --text.")
    if (unlike or best_score) and not (like or (text and not best_score)):
        raise click.UsageError("--unlike goes with --like or --text, --best-score with --like.")
    if text_weight is not None and not (text and named):
        raise click.UsageError("--text-weight goes with --text beside IMAGE, --id or --like.")
    if text_weight is not None and best_score:
        raise click.UsageError("--text-weight counts in a mean: leave --best-score away.")
    if text and (named or unlike):
        positives = [Example.by_text(text, weight=text_weight), *map(Example.by_id, like)]
        if image is not None:
            positives.append(Example.by_image(image))
        if item_id is not None:
            positives.append(Example.by_id(item_id))
        names = [text, *like, *(str(each) for each in (image, item_id) if each is not None)]
        query = Query.by_examples(positives, map(Example.by_id, unlike), best_score=best_score)
        return query, ", ".join(names)
    if text:
        return Query.by_text(text), text
    if image is not None:
        return Query.by_image(image), str(image)
    if item_id is not None:
        return Query.by_id(item_id), item_id
    query = Query.by_examples(
        map(Example.by_id, like), map(Example.by_id, unlike), best_score=best_score
    )
    return query, ", ".join(like)


def add_ranking(
    options: SearchOptions,
    boosts: Sequence[str],
    diverse: float,
    candidates: int,
    by: Sequence[str],
) -> None:
    """Put what orders the hits into the options of a search.

    Raises:
        InvalidField: a boost, or a weight, cannot be read.
    """
    if by:
        weights = dict(map(_weight, by))
        if len(weights) < len(by):
            raise InvalidField("by", "a name comes twice: give each its weight once")
        options["vectors"] = weights
    if boosts:
        options["boosts"] = [Boost.parse(each) for each in boosts]
    if diverse:
        options["diversity"] = diverse
    if candidates:
        options["candidates"] = candidates


def _weight(text: str) -> tuple[str, float]:
    name, told, weight = text.partition("=")
    try:
        return name, float(weight) if told else 1.0
    except ValueError as error:
        raise InvalidField("by", f"{text!r}: the weight is no number") from error


def parts_text(hit: Hit) -> str:
    """Return the parts of a rank score: likeness, boosts, and what is said beside."""
    said = [f"{hit.score:.4f}"]
    if hit.ranking is None:
        return said[0]
    for part in hit.ranking.boosts:
        value = "missing" if part.value is None else _shown(part.value)
        said.append(f"{part.added:+.4f} ({value})")
    if hit.ranking.negative is not None:
        said.append(f"unlike {hit.ranking.negative:.4f}")
    if hit.ranking.redundancy is not None:
        said.append(f"redundancy {hit.ranking.redundancy:.4f}")
    return " ".join(said)


def document_of(hit: Hit) -> dict[str, object]:
    """Return what a hit's JSON says besides likeness; nothing where that is all."""
    said: dict[str, object] = {}
    if hit.matched_vector:
        said["matched_vector"] = hit.matched_vector
    if hit.rank_score is None:
        return said
    said["rank_score"] = hit.rank_score
    if hit.ranking is not None:
        said["ranking"] = hit.ranking
    return said


def lacking_text(partial: PartialAnswer) -> str:
    """Say which partitions an answer is without."""
    numbers = ", ".join(str(number) for number in partial.missing_partitions)
    which = "partition" if len(partial.missing_partitions) == 1 else "partitions"
    return (
        f"the answer lacks {which} {numbers} of {partial.partitions}, counted from 0: "
        "no replica answered"
    )


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
