"""`lookalike.v1.CollectionService`: translates and delegates."""

# ruff: noqa: N802 - the contract names the methods

from __future__ import annotations

import time
import uuid
from typing import Any

import grpc

from lookalike.v1 import collection_pb2 as pb
from lookalike.v1 import collection_pb2_grpc
from lookalike.wire.errors import InvalidField
from search_service import limits
from search_service.access.gate import Gate
from search_service.catalog.collection import Collection
from search_service.domain.collection import CollectionSpec, DuplicatePolicy, SettingsChange
from search_service.embedders import Embedders
from search_service.metrics import SearchMetrics
from search_service.offload import Offload
from search_service.servicers.named import read_names
from search_service.servicers.paging import page_by_name, scope_of
from search_service.servicers.specs import (
    collection_message,
    measurement_message,
    read_duplicates,
    read_index,
    read_thumbnails,
)

SERVICE_NAME = "lookalike.v1.CollectionService"

Context = grpc.aio.ServicerContext[Any, Any]


class CollectionServicer(collection_pb2_grpc.CollectionServiceServicer):
    """The service over the catalog; whatever touches the disk runs in threads."""

    def __init__(
        self, gate: Gate, embedders: Embedders, slow: Offload, metrics: SearchMetrics
    ) -> None:
        self._gate = gate
        self._embedders = embedders
        self._slow = slow
        self._metrics = metrics

    async def CreateCollection(
        self, request: pb.CreateCollectionRequest, context: Context
    ) -> pb.CreateCollectionResponse:
        """Create an empty collection."""
        limits.check_name(request.name, "name")
        self._gate.check_free(request.name, "name")
        dimension, fingerprint = await self._bind(request)
        names = await read_names(list(request.settings.vectors), self._embedders)
        spec = CollectionSpec(
            uid=uuid.uuid4().hex,
            name=request.name,
            dimension=dimension,
            model_fingerprint=fingerprint,
            index=read_index(request.settings.index, dimension, "settings.index"),
            duplicates=read_duplicates(request.settings.duplicates, "settings.duplicates"),
            create_time_us=time.time_ns() // 1_000,
            thumbnail_side_px=read_thumbnails(request.settings.thumbnails, "settings.thumbnails"),
            partitions=_layout("partitions", request.settings.partitions, limits.MAX_PARTITIONS),
            replicas=_layout("replicas", request.settings.replicas, limits.MAX_REPLICAS),
            vectors=names,
        )
        collection = await self._slow.run(self._gate.create, spec)
        return pb.CreateCollectionResponse(collection=await self._describe(collection))

    async def GetCollection(
        self, request: pb.GetCollectionRequest, context: Context
    ) -> pb.GetCollectionResponse:
        """Describe one collection."""
        collection = self._gate.find(request.collection)
        return pb.GetCollectionResponse(collection=await self._describe(collection))

    async def UpdateCollection(
        self, request: pb.UpdateCollectionRequest, context: Context
    ) -> pb.UpdateCollectionResponse:
        """Change settings."""
        collection = self._gate.find(request.collection)
        duplicates = (
            read_duplicates(request.duplicates, "duplicates", collection.shard.spec.calibration)
            if request.HasField("duplicates")
            else None
        )
        if duplicates is not None and duplicates.policy is DuplicatePolicy.REJECT:
            self._gate.check_may_reject(collection.uid)
        expansion: int | None = None
        if request.HasField("expansion_search"):
            expansion = limits.check_range(
                "expansion_search",
                request.expansion_search,
                limits.MIN_EXPANSION,
                limits.MAX_EXPANSION_SEARCH,
            )
        change = SettingsChange(
            duplicates=duplicates,
            expansion_search=expansion,
            thumbnail_side_px=(
                read_thumbnails(request.thumbnails, "thumbnails")
                if request.HasField("thumbnails")
                else None
            ),
        )
        await self._slow.run(collection.shard.update_settings, change)
        return pb.UpdateCollectionResponse(collection=await self._describe(collection))

    async def ListCollections(
        self, request: pb.ListCollectionsRequest, context: Context
    ) -> pb.ListCollectionsResponse:
        """List a page of collections; one that cannot be opened has its name only."""
        page, token = page_by_name(
            scope_of("collections"),
            self._gate.collections(),
            lambda collection: collection.name,
            request,
        )
        messages = [
            await self._describe(collection)
            if collection.is_open
            else pb.Collection(
                name=collection.name,
                uid=collection.uid,
                stats=pb.CollectionStats(store_damage=collection.damage),
            )
            for collection in page
        ]
        return pb.ListCollectionsResponse(collections=messages, next_page_token=token)

    async def DeleteCollection(
        self, request: pb.DeleteCollectionRequest, context: Context
    ) -> pb.DeleteCollectionResponse:
        """Remove a collection."""
        items = await self._slow.run(self._gate.delete, request.name)
        self._metrics.forget_collection(request.name)
        return pb.DeleteCollectionResponse(deleted_items=items)

    async def SetAlias(self, request: pb.SetAliasRequest, context: Context) -> pb.SetAliasResponse:
        """Point an alias at a collection."""
        before = await self._slow.run(self._gate.set_alias, request.alias, request.collection)
        return pb.SetAliasResponse(previous_collection=before)

    async def DeleteAlias(
        self, request: pb.DeleteAliasRequest, context: Context
    ) -> pb.DeleteAliasResponse:
        """Remove an alias."""
        await self._slow.run(self._gate.delete_alias, request.alias)
        return pb.DeleteAliasResponse()

    async def ListAliases(
        self, request: pb.ListAliasesRequest, context: Context
    ) -> pb.ListAliasesResponse:
        """List a page of aliases."""
        page, token = page_by_name(
            scope_of("aliases"), self._gate.aliases(), lambda pair: pair[0], request
        )
        return pb.ListAliasesResponse(
            aliases=[pb.Alias(alias=alias, collection=name) for alias, name in page],
            next_page_token=token,
        )

    async def MeasureRecall(
        self, request: pb.MeasureRecallRequest, context: Context
    ) -> pb.MeasureRecallResponse:
        """Measure the graph against an exact scan."""
        shard = self._gate.find(request.collection).shard
        sample_size = limits.check_range(
            "sample_size",
            request.sample_size or limits.DEFAULT_RECALL_SAMPLE,
            1,
            limits.MAX_RECALL_SAMPLE,
        )
        limit = limits.check_range(
            "limit", request.limit or limits.DEFAULT_LIMIT, 1, limits.MAX_RECALL_LIMIT
        )
        limits.check_count(
            "expansion_search",
            len(request.expansion_search),
            limits.MAX_RECALL_EXPANSIONS,
            least=0,
        )
        for index, expansion in enumerate(request.expansion_search):
            limits.check_range(
                f"expansion_search[{index}]",
                expansion,
                limits.MIN_EXPANSION,
                limits.MAX_EXPANSION_SEARCH,
            )
        measurements = await self._slow.run(
            shard.measure_recall,
            sample_size=sample_size,
            limit=limit,
            expansions=list(request.expansion_search) or [shard.spec.index.expansion_search],
            seed=request.seed,
        )
        return pb.MeasureRecallResponse(
            measurements=[measurement_message(measured) for measured in measurements]
        )

    async def _describe(self, collection: Collection) -> pb.Collection:
        shard = collection.shard
        stats = await self._slow.run(shard.stats)
        return collection_message(shard.spec, stats, self._gate.aliases_of(collection.uid))

    async def _bind(self, request: pb.CreateCollectionRequest) -> tuple[int, str]:
        """Return the dimension and the model fingerprint of a new collection."""
        binding = request.WhichOneof("binding")
        if binding == "model":
            model = await self._embedders.describe(request.model)
            if request.dimension not in (0, model.dimension):
                raise InvalidField(
                    "dimension",
                    f"model {model.name} makes vectors of {model.dimension:,} dimensions: "
                    f"leave it 0, or set {model.dimension}",
                )
            return model.dimension, model.fingerprint
        if binding == "external_vectors" and request.external_vectors:
            dimension = limits.check_range(
                "dimension", request.dimension, limits.MIN_DIMENSION, limits.MAX_DIMENSION
            )
            return dimension, ""
        raise InvalidField(
            "binding", 'set model ("" for the default one) or external_vectors to true'
        )


def _layout(name: str, value: int, most: int) -> int:
    """Return a checked number of partitions or replicas; 0 is the server's default."""
    return limits.check_range(f"settings.{name}", value, 0, most)
