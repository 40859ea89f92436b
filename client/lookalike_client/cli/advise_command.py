"""`lookalike advise`."""

from __future__ import annotations

import re

import click

from lookalike_client.advise.model import Advice, Estimate, Needs, advise
from lookalike_client.advise.sizes import size_text
from lookalike_client.cli.session import Session, offline

_UNITS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?)(i?)B?\s*", re.IGNORECASE)
_NOTHING_FITS = 1


class _Size(click.ParamType[int]):
    """A size in bytes: `8GiB`, `512 MiB`, `16GB`; `8G` is 8 GiB."""

    name = "size"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        if isinstance(value, int):
            return value
        text = str(value)
        match = _SIZE.fullmatch(text)
        if match is None:
            self.fail(f"{text!r} is not a size: write it as 8GiB or 512MiB", param, ctx)
        decimal = text.strip().upper().endswith("B") and not match[3]
        base = 1_000 if decimal else 1_024
        return int(float(match[1]) * base ** _UNITS[match[2].upper()])


@click.command("advise")
@click.option("--count", required=True, type=int, help="Items.")
@click.option("--dim", "dimension", default=512, show_default=True, type=int, help="Dimensions.")
@click.option("--memory", required=True, type=_Size(), help="As in 8GiB.")
@click.option("--p99-ms", default=100.0, show_default=True, help="99 of 100 queries take less.")
@click.option("--recall", default=0.95, show_default=True, help="Least share that is found.")
@click.option("--recall-at", default=10, show_default=True, help="Of how many nearest: 10 or 100.")
@click.option("--fields", default=10, show_default=True, help="Metadata fields an item.")
@offline
def advise_command(
    session: Session,
    count: int,
    dimension: int,
    memory: int,
    p99_ms: float,
    recall: float,
    recall_at: int,
    fields: int,
) -> int:
    """Say how to index a collection of a given size; asks no service.

    Exit code 1: nothing meets all the bounds.
    """
    advice = advise(Needs(count, dimension, memory, p99_ms, recall, fields, recall_at))
    if session.output.as_json:
        session.output.document(advice)
    else:
        _print(session, advice)
    return 0 if advice.recommended else _NOTHING_FITS


def _print(session: Session, advice: Advice) -> None:
    best = advice.recommended
    if best is None:
        session.output.text("Nothing meets all the bounds; the last column says why.")
    else:
        facts = _facts(best, advice.needs.recall_at)
        session.output.facts(facts, unwrapped=("create",))
    session.output.table(
        "All ways",
        [
            *(
                "way",
                "dtype",
                "graph dim>",
                "M>",
                "ef build>",
                "ef>",
                f"recall@{advice.needs.recall_at}>",
                "p99 ms>",
            ),
            *("memory>", "at least>", "disk>", "build>", "verdict"),
        ],
        [_row(each, each is best) for each in advice.alternatives],
    )
    session.output.text("Where the numbers come from (2-core Zen 4, November 2026):")
    for name, source in advice.sources.items():
        session.output.text(f"  {name}: {source}")
    session.output.text(
        "Vectors differ: measure your own with `lookalike recall`, and raise the expansion "
        "if it is short."
    )


def _facts(best: Estimate, recall_at: int) -> dict[str, object]:
    facts: dict[str, object] = {"advice": best.name, "create": best.command}
    if best.expansion_search is not None:
        facts["index"] = f"HNSW over {best.graph_dimension} components of {best.dtype}"
        facts["settings"] = (
            f"connectivity {best.connectivity}, expansion-add {best.expansion_add}, "
            f"expansion-search {best.expansion_search}"
        )
    facts[f"recall@{recall_at}"] = _number(best.recall, 3)
    facts["p99"] = f"{_number(best.p99_ms, 1)} ms"
    facts["memory"] = (
        f"{size_text(best.memory_bytes)}; {size_text(best.least_memory_bytes)} with the exact "
        "vectors on disk"
    )
    facts["disk"] = size_text(best.disk_bytes or 0)
    facts["build"] = _duration(best.build_s)
    if best.notes:
        facts["note"] = "; ".join(best.notes)
    return facts


def _row(each: Estimate, best: bool) -> tuple[object, ...]:
    verdict = "advised" if best else "; ".join(each.shortfalls or ("fits", *each.notes))
    return (
        each.name,
        each.dtype,
        each.graph_dimension or "-",
        each.connectivity or "-",
        each.expansion_add or "-",
        each.expansion_search or "-",
        _number(each.recall, 3),
        _number(each.p99_ms, 1),
        size_text(each.memory_bytes),
        size_text(each.least_memory_bytes),
        "-" if each.disk_bytes is None else size_text(each.disk_bytes),
        _duration(each.build_s),
        verdict,
    )


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds < 1:
        return "none" if seconds == 0 else "< 1 s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.1f} h"
