"""What is tried of each method of the contract by a caller who should not see everything."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Any

from lookalike import v1
from lookalike.v1 import bank_pb2 as bank
from lookalike.v1 import calibration_pb2 as calibration
from lookalike.v1 import check_pb2 as check
from lookalike.v1 import cluster_pb2 as cluster
from lookalike.v1 import clustering_pb2 as clustering
from lookalike.v1 import collection_pb2 as collections
from lookalike.v1 import drift_pb2 as drift
from lookalike.v1 import duplicates_pb2 as duplicates
from lookalike.v1 import evaluation_pb2 as evaluation
from lookalike.v1 import filter_pb2 as filters
from lookalike.v1 import ingest_pb2 as ingest
from lookalike.v1 import labelling_pb2 as labelling
from lookalike.v1 import reembedding_pb2 as reembedding
from lookalike.v1 import search_pb2 as spb
from lookalike.v1 import snapshot_pb2 as snapshot
from tests.integration.search_server import item, metadata, packed

FIELDS = spb.ItemFields(metadata=True, vector=True, facts=True)
# What stands in everything that is the other tenant's, and in nothing else.
SECRET = "hushhush"
OTHERS = f"{SECRET}-0"


def by_text(expression: str) -> filters.Filter:
    return filters.Filter(expression=expression)


def any_of(*expressions: str) -> filters.Filter:
    children = [by_text(each) for each in expressions]
    return filters.Filter(any_of=filters.FilterList(filters=children))


# Filters that a caller might hope to get around a condition with.
TRICKS = (
    filters.Filter(),
    by_text('tenant = "b"'),
    any_of('tenant = "a"', 'tenant = "b"'),
    filters.Filter(none_of=by_text('tenant = "a"')),
    filters.Filter(none_of=by_text("exists nowhere")),
    filters.Filter(any_of=filters.FilterList()),
)


def search(query: spb.Query, **fields: Any) -> spb.SearchRequest:
    return spb.SearchRequest(
        collection="c", queries=[query], limit=50, fields=FIELDS, explain=True, **fields
    )


def asked(id: str) -> dict[str, list[Any]]:
    """What is tried of each method, with the id of an item that is another's, or of none."""
    near = spb.Query(vector_f32_le=packed([1.0, 0.04, 0.1, 0]))
    by_id = spb.Query(id=id)
    examples = spb.Query(
        examples=spb.Examples(positives=[spb.Example(id="own-0")], negatives=[spb.Example(id=id)])
    )
    best = spb.Query(
        examples=spb.Examples(positives=[spb.Example(id=id)], mode=spb.EXAMPLE_MODE_BEST_SCORE)
    )
    searches = [search(near, filter=each) for each in TRICKS]
    searches += [search(each) for each in (by_id, examples, best)]
    searches += [
        search(near, exact=True),
        search(near, paged=True),
        search(near, group_by=spb.GroupBy(field="word", hits_per_group=9)),
        search(near, ranking=spb.Ranking(diversity=0.5)),
        search(near, exclude_ids=[id]),
    ]
    patch = spb.MetadataUpdate(id=id, metadata=metadata(word="x"), mode=spb.METADATA_MODE_MERGE)
    return {
        "SearchService/Search": searches,
        "SearchService/SearchStream": [
            [spb.SearchStreamRequest(request_id=1, search=each)] for each in searches],
        "SearchService/UpdateMetadata": [
            spb.UpdateMetadataRequest(collection="c", updates=[each]) for each in (
                patch, spb.MetadataUpdate(id=id, metadata=metadata(word="x")),
                spb.MetadataUpdate(id=id, guard=metadata(tenant="b")))],
        "SearchService/DeleteItems": [
            spb.DeleteItemsRequest(collection="c", items=[each]) for each in (
                spb.ItemDelete(id=id), spb.ItemDelete(id=id, guard=metadata(tenant="b")))],
        "SearchService/DeleteByFilter": [
            spb.DeleteByFilterRequest(collection="c", filter=by_text('tenant = "b"')),
            spb.DeleteByFilterRequest(collection="c", all=True, dry_run=True)],
        "SearchService/UpdateByFilter": [
            spb.UpdateByFilterRequest(
                collection="c", filter=each, mode=spb.METADATA_MODE_MERGE,
                metadata=metadata(seen=True))
            for each in (by_text('tenant = "b"'), by_text(f'word = "{SECRET}"'))],
        "SearchService/GetItems": [
            spb.GetItemsRequest(collection="c", ids=[id, "own-1"], fields=each) for each in (
                FIELDS, spb.ItemFields(), spb.ItemFields(vector=True),
                spb.ItemFields(metadata=True, metadata_fields=["word"], metadata_as_json=True))],
        "SearchService/ListItems": [
            spb.ListItemsRequest(collection="c", filter=each, fields=FIELDS) for each in TRICKS
        ] + [spb.ListItemsRequest(
            collection="c", fields=FIELDS, order=spb.ItemOrder(field="word"))],
        "SearchService/CountItems": [
            spb.CountItemsRequest(collection="c", filter=each) for each in TRICKS],
        "SearchService/CountFacets": [
            spb.CountFacetsRequest(collection="c", field=field, filter=each)
            for each in TRICKS for field in ("word", "tenant", "label")],
        "SearchService/MakeVectors": [spb.MakeVectorsRequest(collection="c", images=[b"x"])],
        "CollectionService/GetCollection": [
            collections.GetCollectionRequest(collection=each) for each in ("c", "d")],
        "CollectionService/ListCollections": [collections.ListCollectionsRequest()],
        "CollectionService/ListAliases": [collections.ListAliasesRequest()],
        "CollectionService/CreateCollection": [collections.CreateCollectionRequest(name="e")],
        "CollectionService/UpdateCollection": [
            collections.UpdateCollectionRequest(collection="c", expansion_search=99)],
        "CollectionService/DeleteCollection": [collections.DeleteCollectionRequest(name="c")],
        "CollectionService/SetAlias": [collections.SetAliasRequest(alias="e", collection="c")],
        "CollectionService/DeleteAlias": [collections.DeleteAliasRequest(alias="d")],
        "CollectionService/MeasureRecall": [collections.MeasureRecallRequest(collection="c")],
        "IngestService/SubmitImages": [
            [ingest.SubmitImagesRequest(collection="c", delete=ingest.ImageDelete(id=id))],
            [ingest.SubmitImagesRequest(collection="c", metadata=ingest.ImageMetadata(id=id))],
            [ingest.SubmitImagesRequest(collection="c", upload=ingest.ImageUpload(id=id))]],
        "IngestService/GetIngestStatus": [ingest.GetIngestStatusRequest()],
        "IngestService/WatchIngest": [ingest.WatchIngestRequest(job_id="j")],
        "IngestService/ListFailures": [ingest.ListFailuresRequest(collection="c")],
        "IngestService/RetryFailures": [ingest.RetryFailuresRequest(failure_ids=["f"])],
        "AnalysisService/Calibrate": [calibration.CalibrateRequest(collection="c")],
        "MatchService/MatchImages": [[bank.MatchImagesRequest(collection="c", id=id)]],
        "MatchService/GetBank": [bank.GetBankRequest(collection="c")],
        "MatchService/ListHashes": [bank.ListHashesRequest(collection="c")],
        "MatchService/ImportHashes": [bank.ImportHashesRequest(
            collection="c", hashes=[bank.KnownHash(pdq_hash=bytes(32))])],
        "MatchService/DeleteHashes": [bank.DeleteHashesRequest(collection="c", all=True)],
        "ClusterService/DescribeCluster": [cluster.DescribeClusterRequest()],
        "AnalysisService/Check": [check.CheckRequest(collection="c")],
        "AnalysisService/GetDrift": [drift.GetDriftRequest(collection="c")],
        "AnalysisService/ResetDrift": [drift.ResetDriftRequest(collection="c")],
        "AnalysisService/DecideDuplicates": [duplicates.DecideDuplicatesRequest(
            collection="c", decisions=[duplicates.DuplicateDecision(
                id=id, verdict=duplicates.DUPLICATE_VERDICT_KEEP)])],
        "AnalysisService/ListDuplicateDecisions": [
            duplicates.ListDuplicateDecisionsRequest(collection="c")],
        "SnapshotService/CreateSnapshot": [snapshot.CreateSnapshotRequest(collection="c")],
        "SnapshotService/ListSnapshots": [snapshot.ListSnapshotsRequest()],
        "SnapshotService/DeleteSnapshot": [snapshot.DeleteSnapshotRequest(snapshot_id="s")],
        "SnapshotService/DownloadSnapshot": [snapshot.DownloadSnapshotRequest(snapshot_id="s")],
        "SnapshotService/UploadSnapshot": [[snapshot.UploadSnapshotRequest(chunk=b"x")]],
        "SnapshotService/RestoreSnapshot": [
            snapshot.RestoreSnapshotRequest(snapshot_id="s", collection="e")],
        "ReembeddingService/StartReembedding": [
            reembedding.StartReembeddingRequest(source="c", target="d")],
        "ReembeddingService/RenameCollection": [
            reembedding.RenameCollectionRequest(name="c", new_name="e")],
        "ReembeddingService/GetReembedding": [reembedding.GetReembeddingRequest(collection="c")],
        "ReembeddingService/ListMissingItems": [
            reembedding.ListMissingItemsRequest(collection="c")],
        "ReembeddingService/OfferImages": [reembedding.OfferImagesRequest(
            collection="c", images=[reembedding.OfferedImage(id=id, image=b"x")])],
        "ReembeddingService/EndReembedding": [reembedding.EndReembeddingRequest(collection="c")],
        # An upsert must tell that an id is taken: test_the_id_of_anothers_item_is_not_taken_over.
        "SearchService/UpsertVectors": [[spb.UpsertVectorsRequest(
            collection="c", items=[item("own-0", [1.0, 0, 0, 0], keep_metadata=True)])]],
        # Each is a process: test_analyses_see_the_items_of_the_tenant_alone.
        **{f"AnalysisService/{name}": [] for name in (
            "Cluster", "Evaluate", "FindDuplicates", "SuggestLabels")},
        # The embedder holds nothing of anybody.
        **{f"EmbedderService/{name}": [] for name in (
            "EmbedImages", "EmbedImage", "EmbedText", "GetModel", "ListModels")},
    }  # fmt: skip


def analyses() -> dict[str, Any]:
    """A request of each analysis that can be confined."""
    return {
        "AnalysisService/Cluster": clustering.ClusterRequest(
            collection="c", clusters=2, label_field="label", map_items=100
        ),
        "AnalysisService/Evaluate": evaluation.EvaluateRequest(
            collection="c", label_field="label", filter=TRICKS[2]
        ),
        "AnalysisService/FindDuplicates": duplicates.FindDuplicatesRequest(
            collection="c", threshold=0.5, kinds=[duplicates.DUPLICATE_KIND_SIMILAR]
        ),
        "AnalysisService/SuggestLabels": labelling.SuggestLabelsRequest(
            collection="c", label_field="label", errors=True
        ),
    }


def declared() -> set[str]:
    """All methods of the contract."""
    names = (found.name for found in pkgutil.iter_modules(v1.__path__))
    files = (import_module(f"{v1.__name__}.{name}") for name in names if name.endswith("_pb2"))
    return {
        f"{service.full_name}/{method.name}".removeprefix("lookalike.v1.")
        for file in files
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
