"""Which calls of the contract the API offers, and where."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Body(StrEnum):
    """What a request carries."""

    NONE = "none"
    JSON = "json"
    # A form with the file `image` and, as JSON in `request`, the rest of the message.
    IMAGE = "image"


@dataclass(frozen=True, slots=True)
class Operation:
    """One call: `path` names fields of the request in braces; others may be in its query.

    `into` says where the image of a form goes: a path of fields of the request.
    """

    method: str
    path: str
    service: str
    rpc: str
    body: Body
    changes: bool = False
    into: str = ""
    summary: str = ""


_SEARCH, _INGEST, _COLLECTIONS = "SearchService", "IngestService", "CollectionService"

OPERATIONS = (
    Operation("GET", "/collections", _COLLECTIONS, "ListCollections", Body.NONE),
    Operation("GET", "/collections/{collection}", _COLLECTIONS, "GetCollection", Body.NONE),
    Operation("POST", "/search", _SEARCH, "Search", Body.JSON),
    Operation(
        *("POST", "/search/image", _SEARCH, "Search", Body.IMAGE),
        into="queries.image",
        summary="Finds the items that look most like an uploaded image.",
    ),
    Operation("POST", "/vectors", _SEARCH, "MakeVectors", Body.JSON),
    Operation("POST", "/items/get", _SEARCH, "GetItems", Body.JSON),
    Operation("POST", "/items/list", _SEARCH, "ListItems", Body.JSON),
    Operation("POST", "/items/count", _SEARCH, "CountItems", Body.JSON),
    Operation("POST", "/items/facets", _SEARCH, "CountFacets", Body.JSON),
    Operation("POST", "/items/metadata", _SEARCH, "UpdateMetadata", Body.JSON, changes=True),
    Operation("POST", "/items/delete", _SEARCH, "DeleteItems", Body.JSON, changes=True),
    Operation(
        *("POST", "/submissions", _INGEST, "SubmitImages", Body.JSON),
        changes=True,
        summary="Queues one image, deletion or change of metadata.",
    ),
    Operation(
        *("POST", "/submissions/image", _INGEST, "SubmitImages", Body.IMAGE),
        changes=True,
        into="upload.image",
        summary="Queues an uploaded image.",
    ),
    Operation("GET", "/jobs/{job_id}/outcomes", _INGEST, "WatchIngest", Body.NONE),
    Operation("GET", "/status", _INGEST, "GetIngestStatus", Body.NONE),
    Operation("GET", "/failures", _INGEST, "ListFailures", Body.NONE),
    Operation("POST", "/failures/retry", _INGEST, "RetryFailures", Body.JSON, changes=True),
)
