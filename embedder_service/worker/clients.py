"""The embedder and the search service over gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import grpc

from embedder_service.worker.call_gatherer import CallGatherer
from embedder_service.worker.calls import asked, cancel, for_nobody, unary_error
from embedder_service.worker.peer import Peer
from embedder_service.worker.protocols import PeerLost
from embedder_service.worker.sessions import EmbedSession, UpsertSession
from lookalike.v1 import embedder_pb2, embedder_pb2_grpc, search_pb2, search_pb2_grpc
from lookalike.v1.search_pb2 import MutationResult
from lookalike.wire import request_ids
from lookalike.wire.errors import DeadlineExceeded
from lookalike.wire.status import from_item_error
from lookalike.wire.traces import spans

# A vector of 1,280 dimensions is 5 KB, a thumbnail up to 256 KB: at most 17 MB.
_MAX_UPSERTS = 64
_MAX_SMALL = 500
# While one call is in the store's group commit the next ones gather.
_MAX_CALLS = 4
# A stream stays with one server: after so long the next one goes to another, so that servers
# that came later get their share, and those that go are let go. Opening one takes a millisecond.
_LONGEST_SESSION_S = 60.0
# A model batch is answered image by image: without this its first vectors each
# went in a call, and a commit, of their own.
_GATHER_S = 0.008


class EmbedderClient:
    """`protocols.Embedder` over one stream, which is opened again when it breaks or is old."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        timeout_s: float,
        longest_session_s: float = _LONGEST_SESSION_S,
    ) -> None:
        self._longest_session_s = longest_session_s
        self._stub = embedder_pb2_grpc.EmbedderServiceStub(channel)
        self._peer = Peer(
            channel,
            "lookalike.v1.EmbedderService",
            "embedder",
            lambda timeout_s: self._stub.EmbedImages(timeout=timeout_s),
        )
        self._peer.on_not_ready(self._half_close)
        self._timeout_s = timeout_s
        self._session: EmbedSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def ready(self) -> bool:
        """See `protocols.Embedder`."""
        return self._peer.ready

    @property
    def refusal(self) -> str:
        """See `protocols.Embedder`."""
        return self._peer.refusal

    def start(self) -> None:
        """Start to ask for the service."""
        self._peer.start()

    async def close(self) -> None:
        """End the stream; images under way fail with PeerLost."""
        await self._peer.close()
        await cancel(self._tasks)

    async def wait_ready(self) -> None:
        """See `protocols.Embedder`."""
        await self._peer.wait_ready()

    async def embed(
        self, image: bytes, model: str, thumbnail_side_px: int = 0
    ) -> embedder_pb2.Embedding:
        """See `protocols.Embedder`."""
        request = embedder_pb2.EmbedImagesRequest(
            encoded=image,
            model=model,
            lane=embedder_pb2.LANE_BULK,
            timeout_ms=int(self._timeout_s * 1000),
            thumbnail_side_px=thumbnail_side_px,
            caller_request_id=request_ids.current(),
        )
        if (span := spans.current()) is not None and span.kept:
            return await self._embed_traced(request)
        try:
            # The service keeps the time; should it not, this one does.
            async with asyncio.timeout(self._timeout_s + 5.0):
                return await self._open_session().send(request)
        except TimeoutError as error:
            raise DeadlineExceeded("the embedder did not answer in time") from error

    async def _embed_traced(
        self, request: embedder_pb2.EmbedImagesRequest
    ) -> embedder_pb2.Embedding:
        """Embed by a stream of its own: the one that is kept belongs to many traces."""
        call = self._stub.EmbedImages(timeout=self._timeout_s + 5.0)
        answer = await asked(call, request, self._peer, "embedder")
        if not isinstance(answer, embedder_pb2.EmbedImagesResponse):
            raise PeerLost("embedder")
        if answer.WhichOneof("outcome") != "embedding":
            raise from_item_error(answer.error)
        return answer.embedding

    def _open_session(self) -> EmbedSession:
        self._half_close_old()
        if self._session is None or not self._session.accepting:
            with for_nobody():  # it outlives whatever it is opened for
                self._session = EmbedSession(self._stub.EmbedImages(), "embedder")
                task = asyncio.create_task(self._run(self._session), name="embed-stream")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return self._session

    async def _run(self, session: EmbedSession) -> None:
        await session.run()
        if session.broken:
            self._peer.suspect()

    def _half_close(self) -> None:
        if self._session is not None:
            self._session.half_close()

    def _half_close_old(self) -> None:
        if self._session is not None and self._session.age_s >= self._longest_session_s:
            self._session.half_close()


class SearchClient:
    """`protocols.Index` over one stream for vectors and batched calls for the rest."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        timeout_s: float,
        longest_session_s: float = _LONGEST_SESSION_S,
    ) -> None:
        self._longest_session_s = longest_session_s
        self._stub = search_pb2_grpc.SearchServiceStub(channel)
        self._peer = Peer(
            channel,
            "lookalike.v1.SearchService",
            "search service",
            lambda timeout_s: self._stub.UpsertVectors(timeout=timeout_s),
        )
        self._peer.on_not_ready(self._half_close)
        self._timeout_s = timeout_s
        self._session: UpsertSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._upserts: CallGatherer[search_pb2.VectorUpsert] = CallGatherer(
            self._send_upserts,
            max_items=_MAX_UPSERTS,
            max_calls=_MAX_CALLS,
            gather_s=_GATHER_S,
            size_of=search_pb2.VectorUpsert.ByteSize,
        )
        self._updates: CallGatherer[search_pb2.MetadataUpdate] = CallGatherer(
            self._send_updates, max_items=_MAX_SMALL, max_calls=1
        )
        self._deletes: CallGatherer[search_pb2.ItemDelete] = CallGatherer(
            self._send_deletes, max_items=_MAX_SMALL, max_calls=1
        )

    @property
    def ready(self) -> bool:
        """See `protocols.Index`."""
        return self._peer.ready

    @property
    def refusal(self) -> str:
        """See `protocols.Index`."""
        return self._peer.refusal

    def start(self) -> None:
        """Start to ask for the service."""
        self._peer.start()

    async def close(self) -> None:
        """End the stream and the calls under way."""
        await self._peer.close()
        await cancel(self._tasks)
        for batcher in (self._upserts, self._updates, self._deletes):
            await batcher.close()

    async def wait_ready(self) -> None:
        """See `protocols.Index`."""
        await self._peer.wait_ready()

    async def upsert(self, collection_uid: str, item: search_pb2.VectorUpsert) -> MutationResult:
        """See `protocols.Index`."""
        return await self._upserts.submit(collection_uid, item)

    async def update_metadata(
        self, collection_uid: str, update: search_pb2.MetadataUpdate
    ) -> MutationResult:
        """See `protocols.Index`."""
        return await self._updates.submit(collection_uid, update)

    async def delete(self, collection_uid: str, item: search_pb2.ItemDelete) -> MutationResult:
        """See `protocols.Index`."""
        return await self._deletes.submit(collection_uid, item)

    async def _send_upserts(
        self, uid: str, items: Sequence[search_pb2.VectorUpsert]
    ) -> Sequence[MutationResult]:
        request = search_pb2.UpsertVectorsRequest(collection=uid, items=items)
        if spans.current() is not None:
            return await self._upsert_traced(request)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._open_session().send(request)
        except TimeoutError as error:
            # An answer that is missing puts all later ones in the wrong place.
            self._half_close()
            raise DeadlineExceeded("the search service did not answer in time") from error

    async def _upsert_traced(
        self, request: search_pb2.UpsertVectorsRequest
    ) -> Sequence[MutationResult]:
        """Store by a stream of its own, which belongs to one trace."""
        call = self._stub.UpsertVectors(timeout=self._timeout_s)
        answer = await asked(call, request, self._peer, "search service")
        if not isinstance(answer, search_pb2.UpsertVectorsResponse):
            raise PeerLost("search service")
        return answer.results

    async def _send_updates(
        self, uid: str, updates: Sequence[search_pb2.MetadataUpdate]
    ) -> Sequence[MutationResult]:
        request = search_pb2.UpdateMetadataRequest(collection=uid, updates=updates)
        try:
            answer = await self._stub.UpdateMetadata(request, timeout=self._timeout_s)
        except grpc.aio.AioRpcError as error:
            raise unary_error(error, self._peer, "search service") from error
        return answer.results

    async def _send_deletes(
        self, uid: str, items: Sequence[search_pb2.ItemDelete]
    ) -> Sequence[MutationResult]:
        request = search_pb2.DeleteItemsRequest(collection=uid, items=items)
        try:
            answer = await self._stub.DeleteItems(request, timeout=self._timeout_s)
        except grpc.aio.AioRpcError as error:
            raise unary_error(error, self._peer, "search service") from error
        return answer.results

    def _open_session(self) -> UpsertSession:
        self._half_close_old()
        if self._session is None or not self._session.accepting:
            with for_nobody():
                self._session = UpsertSession(self._stub.UpsertVectors(), "search service")
                task = asyncio.create_task(self._run(self._session), name="upsert-stream")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return self._session

    async def _run(self, session: UpsertSession) -> None:
        await session.run()
        if session.broken:
            self._peer.suspect()

    def _half_close(self) -> None:
        if self._session is not None:
            self._session.half_close()

    def _half_close_old(self) -> None:
        if self._session is not None and self._session.age_s >= self._longest_session_s:
            self._session.half_close()
