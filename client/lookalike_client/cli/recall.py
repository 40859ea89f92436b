"""`lookalike recall`."""

from __future__ import annotations

import click

from lookalike_client.cli.session import Session, connected


@click.command()
@click.argument("collection", default="images")
@click.option("--sample", default=200, show_default=True, type=click.IntRange(1, 10_000))
@click.option("-k", "--limit", default=10, show_default=True, type=click.IntRange(1, 1000))
@click.option(
    "--expansion", multiple=True, type=click.IntRange(16, 4000), help="May be given again."
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@connected
def recall(
    session: Session,
    collection: str,
    sample: int,
    limit: int,
    expansion: tuple[int, ...],
    seed: int,
) -> None:
    """Measure what the graph misses: stored vectors as queries, against an exact scan."""
    with session.client() as client:
        measured = client.measure_recall(
            collection, sample_size=sample, limit=limit, expansion_search=expansion, seed=seed
        )
    if session.output.as_json:
        session.output.document({"collection": collection, "measurements": measured})
        return
    session.output.table(
        f"Recall of {collection}, {measured[0].queries if measured else 0} queries",
        [
            *("expansion>", f"recall@{limit}>", "least>", "self-misses>"),
            *("median ms>", "exact ms>"),
        ],
        [
            (
                each.expansion_search or "exact",
                f"{each.recall:.4f}",
                f"{each.least_recall:.3f}",
                each.self_misses,
                f"{each.median_s * 1e3:.2f}",
                f"{each.median_exact_s * 1e3:.2f}",
            )
            for each in measured
        ],
    )
