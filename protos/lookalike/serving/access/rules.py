"""What each call of the contract needs: a scope, and how far it reaches.

A call without a rule is refused, and a test holds that each has one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from lookalike.wire.keys import Scope


class Reach(Enum):
    """What a call may touch, and so which keys may make it."""

    # Nothing that belongs to anybody: any key.
    NOTHING = "nothing"
    # Items that a tenant's condition can be put to: any key; what it is confined to is
    # kept by the service.
    ITEMS = "items"
    # Collections as wholes, by name: keys without a tenant; the names are checked by the
    # service.
    COLLECTIONS = "collections"
    # Everything: keys for all collections, without a tenant.
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Rule:
    """`scope` None: any."""

    scope: Scope | None
    reach: Reach

    @property
    def audited(self) -> bool:
        """Whether each call is noted in the audit log."""
        return self.scope is Scope.ADMIN


def _of(service: str, scope: Scope | None, reach: Reach, *methods: str) -> dict[str, Rule]:
    return {f"/{service}/{method}": Rule(scope, reach) for method in methods}


_V1 = "lookalike.v1."
_SEARCH, _COLLECTION, _INGEST = (
    f"{_V1}SearchService",
    f"{_V1}CollectionService",
    f"{_V1}IngestService",
)
_ANALYSIS, _SNAPSHOT, _EMBEDDER = (
    f"{_V1}AnalysisService",
    f"{_V1}SnapshotService",
    f"{_V1}EmbedderService",
)
_MATCH = f"{_V1}MatchService"
_REEMBEDDING = f"{_V1}ReembeddingService"
_READ, _WRITE, _ADMIN = Scope.READ, Scope.WRITE, Scope.ADMIN

RULES: dict[str, Rule] = {
    **_of(_SEARCH, _READ, Reach.ITEMS, "Search", "SearchStream", "GetItems", "ListItems"),
    **_of(_SEARCH, _READ, Reach.ITEMS, "CountItems", "CountFacets", "MakeVectors"),
    **_of(_SEARCH, _WRITE, Reach.ITEMS, "UpsertVectors", "UpdateMetadata", "DeleteItems"),
    **_of(_SEARCH, _WRITE, Reach.ITEMS, "DeleteByFilter", "UpdateByFilter"),
    **_of(_COLLECTION, _READ, Reach.ITEMS, "GetCollection", "ListCollections", "ListAliases"),
    **_of(_COLLECTION, _READ, Reach.COLLECTIONS, "MeasureRecall"),
    **_of(f"{_V1}ClusterService", _READ, Reach.COLLECTIONS, "DescribeCluster"),
    **_of(_COLLECTION, _ADMIN, Reach.COLLECTIONS, "CreateCollection", "UpdateCollection"),
    **_of(_COLLECTION, _ADMIN, Reach.COLLECTIONS, "DeleteCollection", "SetAlias", "DeleteAlias"),
    # Outcomes and failures are kept apart by the tenant whose jobs they belong to.
    **_of(_INGEST, _WRITE, Reach.ITEMS, "SubmitImages", "WatchIngest", "ListFailures"),
    **_of(_INGEST, _WRITE, Reach.ITEMS, "RetryFailures"),
    **_of(_INGEST, None, Reach.ITEMS, "GetIngestStatus"),
    **_of(_ANALYSIS, _READ, Reach.ITEMS, "FindDuplicates", "SuggestLabels", "Evaluate"),
    **_of(_ANALYSIS, _READ, Reach.ITEMS, "Cluster"),
    # What they say is of all items, or of all queries.
    **_of(_ANALYSIS, _READ, Reach.COLLECTIONS, "Check", "GetDrift", "ListDuplicateDecisions"),
    **_of(_ANALYSIS, _WRITE, Reach.COLLECTIONS, "DecideDuplicates", "ResetDrift"),
    # It may keep what it found as the collection's setting.
    **_of(_ANALYSIS, _ADMIN, Reach.COLLECTIONS, "Calibrate"),
    # A hash that is listed belongs to no item, so no condition on metadata reaches it.
    **_of(_MATCH, _READ, Reach.COLLECTIONS, "MatchImages", "GetBank", "ListHashes"),
    **_of(_MATCH, _WRITE, Reach.COLLECTIONS, "ImportHashes", "DeleteHashes"),
    **_of(_SNAPSHOT, _ADMIN, Reach.COLLECTIONS, "CreateSnapshot"),
    **_of(_SNAPSHOT, _ADMIN, Reach.ALL, "ListSnapshots", "DeleteSnapshot", "DownloadSnapshot"),
    **_of(_SNAPSHOT, _ADMIN, Reach.ALL, "UploadSnapshot", "RestoreSnapshot"),
    **_of(_REEMBEDDING, _READ, Reach.COLLECTIONS, "GetReembedding"),
    **_of(_REEMBEDDING, _ADMIN, Reach.COLLECTIONS, "StartReembedding", "EndReembedding"),
    **_of(_REEMBEDDING, _ADMIN, Reach.COLLECTIONS, "ListMissingItems", "OfferImages"),
    **_of(_REEMBEDDING, _ADMIN, Reach.COLLECTIONS, "RenameCollection"),
    **_of(
        _EMBEDDER,
        None,
        Reach.NOTHING,
        "EmbedImages",
        "EmbedImage",
        "EmbedText",
        "GetModel",
        "ListModels",
    ),
    **_of("grpc.reflection.v1alpha.ServerReflection", None, Reach.NOTHING, "ServerReflectionInfo"),
}
