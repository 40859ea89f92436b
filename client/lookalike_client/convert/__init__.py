"""Messages of the contract into the SDK's results, by what they are about."""

from lookalike_client.convert.calibration import calibration_report
from lookalike_client.convert.changes import delete_progress, update_progress
from lookalike_client.convert.checking import check_report
from lookalike_client.convert.clustering import cluster_report
from lookalike_client.convert.collections import collection, partition, recall
from lookalike_client.convert.drift import drift
from lookalike_client.convert.duplicates import duplicate_decision, duplicates_report
from lookalike_client.convert.evaluation import analysis_progress, evaluation_report
from lookalike_client.convert.ingest import ingest_event, ingest_failure, ingest_status
from lookalike_client.convert.items import item
from lookalike_client.convert.labelling import label_suggestions
from lookalike_client.convert.matching import bank, known_hash, match_result
from lookalike_client.convert.mutations import mutation_results
from lookalike_client.convert.queries import facets, search_result, search_results
from lookalike_client.convert.reembedding import missing_item, offer_outcome, reembedding
from lookalike_client.convert.snapshots import snapshot
from lookalike_client.convert.values import seconds, vectors

__all__ = [
    "analysis_progress",
    "bank",
    "calibration_report",
    "check_report",
    "cluster_report",
    "collection",
    "delete_progress",
    "drift",
    "duplicate_decision",
    "duplicates_report",
    "evaluation_report",
    "facets",
    "ingest_event",
    "ingest_failure",
    "ingest_status",
    "item",
    "known_hash",
    "label_suggestions",
    "match_result",
    "missing_item",
    "mutation_results",
    "offer_outcome",
    "partition",
    "recall",
    "reembedding",
    "search_result",
    "search_results",
    "seconds",
    "snapshot",
    "update_progress",
    "vectors",
]
