"""What `lookalike search` takes and prints of hits that more than likeness orders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from lookalike_client.boosts import Boost
from lookalike_client.inputs import Example, Query
from lookalike_client.requests import SearchOptions
from lookalike_client.types import Hit

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
    )
    for option in reversed(options):
        command = option(command)
    return command


def target_options(command: Command) -> Command:
    """Add the options that name examples."""
    options = (
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
) -> tuple[Query, str]:
    """Return what to look for, and its name.

    Raises:
        click.UsageError: not one thing is named.
    """
    if sum((image is not None, item_id is not None, bool(like))) != 1:
        raise click.UsageError("Give an IMAGE, --id or --like, one of them.")
    if (unlike or best_score) and not like:
        raise click.UsageError("--unlike and --best-score go with --like.")
    if image is not None:
        return Query.by_image(image), str(image)
    if item_id is not None:
        return Query.by_id(item_id), item_id
    query = Query.by_examples(
        map(Example.by_id, like), map(Example.by_id, unlike), best_score=best_score
    )
    return query, ", ".join(like)


def add_ranking(
    options: SearchOptions, boosts: Sequence[str], diverse: float, candidates: int
) -> None:
    """Put what orders the hits into the options of a search.

    Raises:
        InvalidField: a boost cannot be read.
    """
    if boosts:
        options["boosts"] = [Boost.parse(each) for each in boosts]
    if diverse:
        options["diversity"] = diverse
    if candidates:
        options["candidates"] = candidates


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
    if hit.rank_score is None:
        return {}
    said: dict[str, object] = {"rank_score": hit.rank_score}
    if hit.ranking is not None:
        said["ranking"] = hit.ranking
    return said


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
