"""How well a collection retrieves what its labels call alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class RankingMethod(StrEnum):
    """A way in which items were ranked.

    `EXACT` compares every item; `GRAPH` takes the graphs' order in their compact form;
    `GRAPH_EXACT` ranks the graphs' candidates again by exact scores, as a search does.
    """

    EXACT = "exact"
    GRAPH = "graph"
    GRAPH_EXACT = "graph_exact"


@dataclass(frozen=True, slots=True)
class EvaluationMetric:
    """A measure as its mean over the queries, with its confidence interval.

    `name` is `precision@k`, `recall@k`, `ndcg@k`, `mrr`, `map`, `r_precision` or
    `recall_of_exact@k`. `attainable` is the greatest value that any ranking could reach,
    where the number of relevant items bounds it.
    """

    method: RankingMethod
    name: str
    value: float
    low: float
    high: float
    attainable: float | None


@dataclass(frozen=True, slots=True)
class EvaluationClass:
    """What exact ranking reaches for one label, at the least and the greatest depth."""

    label: str
    items: int
    queries: int
    precision_first: float
    precision_last: float
    recall_last: float
    map: float


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """How well a collection retrieves what its labels call alike.

    Of `items`, `labelled` have one of `labels` labels; `alone` labels have one item only,
    which so is no query. `in_graphs` items are covered by graphs. The scores are counts of
    pairs in 200 bins of equal width from -1 to 1: of a query with relevant and with other
    items. `confidence` is that of the intervals, which are about the draw of queries.
    """

    items: int
    labelled: int
    labels: int
    queries: int
    alone: int
    confidence: float
    in_graphs: int
    metrics: Sequence[EvaluationMetric]
    classes: Sequence[EvaluationClass]
    relevant_scores: Sequence[int]
    other_scores: Sequence[int]


@dataclass(frozen=True, slots=True)
class AnalysisProgress:
    """How far an analysis is; `total` is 0 where it is not known."""

    stage: str
    done: int
    total: int
