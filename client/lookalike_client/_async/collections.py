"""Collections and aliases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

import grpc

from lookalike.v1 import cluster_pb2, cluster_pb2_grpc, collection_pb2, collection_pb2_grpc
from lookalike.wire.errors import Unsupported
from lookalike_client import calls, convert, requests, types
from lookalike_client._async.paging import pages
from lookalike_client.lists import listed
from lookalike_client.types import DuplicateSettings, IndexSettings


class AsyncCollections:
    """Creates, describes and removes collections, and names them by aliases."""

    def __init__(self, channel: grpc.aio.Channel, explain: calls.Explain, timeout_s: float) -> None:
        self._explain = explain
        self._stub = collection_pb2_grpc.CollectionServiceStub(channel)
        self._cluster = cluster_pb2_grpc.ClusterServiceStub(channel)
        self._timeout_s = timeout_s

    async def create(
        self,
        name: str,
        *,
        model: str | None = "",
        dimension: int = 0,
        index: IndexSettings | None = None,
        duplicates: DuplicateSettings | None = None,
        thumbnail_side_px: int = 0,
        partitions: int = 0,
        replicas: int = 0,
        vectors: Mapping[str, str | int] | None = None,
    ) -> types.Collection:
        """Create an empty collection.

        `model` is a model's name or fingerprint; empty takes the default one, None
        a collection of vectors that the caller makes, whose `dimension` is needed.
        With `thumbnail_side_px` (32 to 256) a small picture of each submitted image is
        kept, for people to look at: about 5 KB at 256.
        `vectors` are names by which items have vectors besides their own, each with the
        model that makes them, or with the dimension of vectors that the caller makes.
        `partitions` and `replicas` are for a cluster; 0 is the server's default.
        """
        request = requests.create_collection(
            name,
            model=model,
            dimension=dimension,
            index=index,
            duplicates=duplicates,
            thumbnail_side_px=thumbnail_side_px,
            partitions=partitions,
            replicas=replicas,
            vectors=vectors,
        )
        with calls.translated(self._explain):
            response = await self._stub.CreateCollection(request, timeout=self._timeout_s)
        return convert.collection(response.collection)

    async def get(self, name: str) -> types.Collection:
        """Describe a collection, by name or alias."""
        request = collection_pb2.GetCollectionRequest(collection=name)
        with calls.translated(self._explain):
            response = await self._stub.GetCollection(request, timeout=self._timeout_s)
        return convert.collection(response.collection)

    async def partitions(self, name: str) -> Sequence[types.Partition]:
        """Say how the partitions and replicas of a collection are; none on one machine."""
        request = cluster_pb2.DescribeClusterRequest(collection=name)
        try:
            with calls.translated(self._explain):
                response = await self._cluster.DescribeCluster(request, timeout=self._timeout_s)
        except Unsupported:  # a server of one machine has no such service
            return []
        return [convert.partition(each) for each in response.partitions]

    async def list(self) -> AsyncIterator[types.Collection]:
        """Yield all collections by name, reading page by page."""
        request = collection_pb2.ListCollectionsRequest()
        async for page in pages(
            self._explain, self._stub.ListCollections, request, timeout_s=self._timeout_s
        ):
            for each in page.collections:
                yield convert.collection(each)

    async def update(
        self,
        name: str,
        *,
        duplicates: DuplicateSettings | None = None,
        expansion_search: int | None = None,
        thumbnail_side_px: int | None = None,
    ) -> types.Collection:
        """Change the settings that are given; 0 for `thumbnail_side_px` makes no more of them."""
        request = collection_pb2.UpdateCollectionRequest(
            collection=name,
            duplicates=requests.duplicate_settings(duplicates),
            expansion_search=expansion_search,
            thumbnails=requests.thumbnail_settings(thumbnail_side_px),
        )
        with calls.translated(self._explain):
            response = await self._stub.UpdateCollection(request, timeout=self._timeout_s)
        return convert.collection(response.collection)

    async def delete(self, name: str) -> int:
        """Remove a collection with its items; return how many there were."""
        request = collection_pb2.DeleteCollectionRequest(name=name)
        with calls.translated(self._explain):
            response = await self._stub.DeleteCollection(request, timeout=self._timeout_s)
        return response.deleted_items

    async def set_alias(self, alias: str, collection: str) -> str:
        """Point an alias at a collection; return where it pointed before, or ""."""
        request = collection_pb2.SetAliasRequest(alias=alias, collection=collection)
        with calls.translated(self._explain):
            response = await self._stub.SetAlias(request, timeout=self._timeout_s)
        return response.previous_collection

    async def delete_alias(self, alias: str) -> None:
        """Remove an alias; the collection stays."""
        request = collection_pb2.DeleteAliasRequest(alias=alias)
        with calls.translated(self._explain):
            await self._stub.DeleteAlias(request, timeout=self._timeout_s)

    async def aliases(self) -> AsyncIterator[types.Alias]:
        """Yield all aliases by name, reading page by page."""
        request = collection_pb2.ListAliasesRequest()
        async for page in pages(
            self._explain, self._stub.ListAliases, request, timeout_s=self._timeout_s
        ):
            for each in page.aliases:
                yield types.Alias(each.alias, each.collection)

    async def measure_recall(
        self,
        name: str,
        *,
        sample_size: int = 0,
        limit: int = 0,
        expansion_search: Sequence[int] = (),
        seed: int = 0,
        timeout_s: float = 600.0,
    ) -> Sequence[types.RecallMeasurement]:
        """Compare the graph with an exact scan; 0 takes the service's default."""
        request = collection_pb2.MeasureRecallRequest(
            collection=name,
            sample_size=requests.not_negative(sample_size, "sample_size"),
            limit=requests.not_negative(limit, "limit"),
            expansion_search=listed("expansion_search", expansion_search),
            seed=seed,
        )
        with calls.translated(self._explain):
            response = await self._stub.MeasureRecall(request, timeout=timeout_s)
        return [convert.recall(each) for each in response.measurements]
