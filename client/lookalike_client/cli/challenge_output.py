"""What `lookalike challenge` prints."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from lookalike_client.challenge.quality import Measured
from lookalike_client.challenge.run import Challenge, Options
from lookalike_client.challenge.times import Times
from lookalike_client.cli.output import Output
from lookalike_client.reports.challenge import answered_by, threshold_text


def challenge_document(result: Challenge, options: Options) -> dict[str, object]:
    """Return the figures by key."""
    indexed = result.indexed
    return {
        "collection": indexed.collection if options.keep else None,
        "model_fingerprint": indexed.model_fingerprint,
        "images": len(indexed.ids),
        "labels": len(result.classes),
        "left_out": {each.why: list(each.names) for each in result.left_out},
        "index_s": indexed.took_s,
        "images_per_s": len(indexed.ids) / max(indexed.took_s, 1e-9),
        "queries": result.queries,
        **_measured("", result.unfiltered),
        **_measured("filtered_", result.filtered),
        "ann_recall_at_10": result.recall_of_exact,
        "filtered_ann_recall_at_10": result.filtered_recall_of_exact,
        "plans": result.plans,
        "filtered_plans": result.filtered_plans,
        "threshold": _threshold(result),
        "latency_ms": {
            kind: {stage: dataclasses.asdict(times) for stage, times in stages.items()}
            for kind, stages in result.times_ms.items()
        },
        "classes": [dataclasses.asdict(each) for each in result.classes],
        "seed": options.seed,
    }


def _measured(prefix: str, measured: Measured) -> dict[str, object]:
    return {
        f"{prefix}queries_judged": measured.queries,
        f"{prefix}precision_at_10": measured.precision,
        f"{prefix}precision_at_10_attainable": measured.precision_attainable,
        f"{prefix}recall_at_10": measured.recall,
        f"{prefix}recall_at_10_attainable": measured.recall_attainable,
    }


def _threshold(result: Challenge) -> dict[str, object] | None:
    picked = result.threshold
    if picked.report is None:
        return None
    report = picked.report
    return {
        "value": report.decision.threshold,
        "mode": report.decision.mode.value,
        "why_not_bound": picked.why,
        "false_positive_rate_at_most": report.decision.false_positive_rate_at_most,
        "recall": report.recall,
        "precision": report.precision,
        "false_positive_rate": report.false_positive_rate,
        "false_positive_rate_high": report.false_positive_rate_high,
        "images_matching": picked.images,
        "pairs": picked.pairs,
    }


def print_challenge(output: Output, result: Challenge, options: Options) -> None:
    """Print the figures for people."""
    indexed = result.indexed
    output.table(
        f"{len(indexed.ids):,} images, {result.queries:,} queries, {len(result.classes):,} labels",
        ["measure", "value>", "at most>", "queries>"],
        [
            *_rows("any item, same label", result.unfiltered),
            *_rows("same category, same sub-label", result.filtered),
        ],
    )
    output.facts(
        {
            "ANN recall@10": f"{result.recall_of_exact:.4f} of an exact scan "
            f"({answered_by(result.plans)})",
            "the same, filtered": f"{result.filtered_recall_of_exact:.4f} "
            f"({answered_by(result.filtered_plans)})",
            "threshold": threshold_text(result.threshold),
            "indexing": f"{indexed.took_s:.1f} s, "
            f"{len(indexed.ids) / max(indexed.took_s, 1e-9):.1f} images/s",
            **({"collection": indexed.collection} if options.keep else {}),
        }
    )
    output.table(
        "time of searches, one caller, milliseconds",
        ["search", "stage", "mean>", "median>", "95 %>", "99 %>"],
        _times(result.times_ms),
    )


def _rows(what: str, measured: Measured) -> list[tuple[str, ...]]:
    if not measured.queries:
        return []
    pairs = (
        ("precision@10", measured.precision, measured.precision_attainable),
        ("recall@10", measured.recall, measured.recall_attainable),
    )
    return [
        (f"{name}, {what}", f"{value:.4f}", f"{most:.4f}", f"{measured.queries:,}")
        for name, value, most in pairs
    ]


def _times(times_ms: Mapping[str, Mapping[str, Times]]) -> list[tuple[str, ...]]:
    return [
        (kind, stage, *(f"{ms:.2f}" for ms in (each.mean, each.p50, each.p95, each.p99)))
        for kind, stages in times_ms.items()
        for stage, each in stages.items()
    ]
