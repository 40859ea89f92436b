"""Requests of the contract from what callers hand in, by what they are about."""

from lookalike_client.requests.bounds import MAX_REQUEST_BYTES, id_of, not_negative
from lookalike_client.requests.calibration import (
    CopyEvidence,
    Evidence,
    FromCollection,
    LabelEvidence,
    LabelledPairs,
    calibrate,
)
from lookalike_client.requests.changes import delete_by_filter, update_by_filter
from lookalike_client.requests.clustering import cluster
from lookalike_client.requests.collections import (
    create_collection,
    duplicate_settings,
    index_settings,
    thumbnail_settings,
)
from lookalike_client.requests.duplicates import decisions, find_duplicates
from lookalike_client.requests.filters import FilterLike, condition
from lookalike_client.requests.ingest import retries, submission
from lookalike_client.requests.items import (
    MetadataUpdates,
    deletions,
    gets,
    image_facts,
    item_fields,
    list_page,
    vector_upsert,
)
from lookalike_client.requests.matching import (
    MatchOptions,
    delete_hashes,
    import_hashes,
    match_image,
    match_options,
)
from lookalike_client.requests.queries import SearchOptions, facets, make_vectors, search

__all__ = [
    "MAX_REQUEST_BYTES",
    "CopyEvidence",
    "Evidence",
    "FilterLike",
    "FromCollection",
    "LabelEvidence",
    "LabelledPairs",
    "MatchOptions",
    "MetadataUpdates",
    "SearchOptions",
    "calibrate",
    "cluster",
    "condition",
    "create_collection",
    "decisions",
    "delete_by_filter",
    "delete_hashes",
    "deletions",
    "duplicate_settings",
    "facets",
    "find_duplicates",
    "gets",
    "id_of",
    "image_facts",
    "import_hashes",
    "index_settings",
    "item_fields",
    "list_page",
    "make_vectors",
    "match_image",
    "match_options",
    "not_negative",
    "retries",
    "search",
    "submission",
    "thumbnail_settings",
    "update_by_filter",
    "vector_upsert",
]
