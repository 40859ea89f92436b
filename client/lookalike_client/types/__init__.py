"""What the SDK returns: plain, frozen results, by what they are about."""

from lookalike_client.types.calibration import (
    Calibration,
    CalibrationMode,
    CalibrationPoint,
    CalibrationReport,
)
from lookalike_client.types.changes import DeleteProgress, UpdateProgress
from lookalike_client.types.collections import (
    Alias,
    Collection,
    CollectionStats,
    DuplicateSettings,
    IndexSettings,
    RecallMeasurement,
)
from lookalike_client.types.duplicates import (
    DuplicateDecision,
    DuplicateGroup,
    DuplicateKind,
    DuplicateMember,
    DuplicatesReport,
    DuplicateVerdict,
    KeepReason,
    PictureStack,
    StackKind,
)
from lookalike_client.types.evaluation import (
    AnalysisProgress,
    EvaluationClass,
    EvaluationMetric,
    EvaluationReport,
    RankingMethod,
)
from lookalike_client.types.ingest import (
    Acceptance,
    IngestEvent,
    IngestFailure,
    IngestStatus,
    RetryResult,
    WorkerStatus,
)
from lookalike_client.types.items import WITH_METADATA, Fields, ImageFacts, Item, ItemPage
from lookalike_client.types.labelling import LabelSuggestion, LabelSuggestions
from lookalike_client.types.metadata import (
    FieldValue,
    JsonValue,
    Metadata,
    MetadataLike,
    MetadataValue,
)
from lookalike_client.types.mutations import MutationResult, MutationStatus, NearDuplicate
from lookalike_client.types.queries import (
    BoostPart,
    Facets,
    Hit,
    HitGroup,
    HitRanking,
    PlanKind,
    QueryPlan,
    SearchResult,
)
from lookalike_client.types.snapshots import RestoredCollection, Snapshot

__all__ = [
    "WITH_METADATA",
    "Acceptance",
    "Alias",
    "AnalysisProgress",
    "BoostPart",
    "Calibration",
    "CalibrationMode",
    "CalibrationPoint",
    "CalibrationReport",
    "Collection",
    "CollectionStats",
    "DeleteProgress",
    "DuplicateDecision",
    "DuplicateGroup",
    "DuplicateKind",
    "DuplicateMember",
    "DuplicateSettings",
    "DuplicateVerdict",
    "DuplicatesReport",
    "EvaluationClass",
    "EvaluationMetric",
    "EvaluationReport",
    "Facets",
    "FieldValue",
    "Fields",
    "Hit",
    "HitGroup",
    "HitRanking",
    "ImageFacts",
    "IndexSettings",
    "IngestEvent",
    "IngestFailure",
    "IngestStatus",
    "Item",
    "ItemPage",
    "JsonValue",
    "KeepReason",
    "LabelSuggestion",
    "LabelSuggestions",
    "Metadata",
    "MetadataLike",
    "MetadataValue",
    "MutationResult",
    "MutationStatus",
    "NearDuplicate",
    "PictureStack",
    "PlanKind",
    "QueryPlan",
    "RankingMethod",
    "RecallMeasurement",
    "RestoredCollection",
    "RetryResult",
    "SearchResult",
    "Snapshot",
    "StackKind",
    "UpdateProgress",
    "WorkerStatus",
]
