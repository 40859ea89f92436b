"""The fake service behind a socket."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from lookalike.v1 import collection_pb2_grpc, ingest_pb2_grpc, search_pb2_grpc
from lookalike.wire.channel import MAX_MESSAGE_BYTES
from lookalike_client.testing.collections import CollectionServicer
from lookalike_client.testing.ingest import IngestServicer
from lookalike_client.testing.left_out import LeftOut
from lookalike_client.testing.models import DIMENSION, Embed, EmbedText, Model, vector_of_hash
from lookalike_client.testing.search import SearchServicer
from lookalike_client.testing.state import State

# A stream holds a thread as long as it lasts; calls past these wait.
_THREADS = 16
_STOP_S = 1.0


class FakeServer:
    """A search service in this process, on a free port of the loopback interface.

    Starts when it is made; use it as a context manager, or call `close`. It forgets
    everything when it ends.
    """

    def __init__(
        self,
        *,
        embed: Embed = vector_of_hash,
        dimension: int = DIMENSION,
        embed_text: EmbedText | None = None,
    ) -> None:
        """Start serving.

        `embed` makes an image's vector, [dimension], of its bytes; a `LookalikeError`
        that it raises is what becomes of that image. It is called by several threads.
        `embed_text` does so of a text; without it the encoder has no text tower.
        """
        state = State(Model(embed, dimension, embed_text))
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="fake-lookalike")
        self._server = grpc.server(
            self._executor,
            options=[
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ],
        )
        search_pb2_grpc.add_SearchServiceServicer_to_server(SearchServicer(state), self._server)
        collection_pb2_grpc.add_CollectionServiceServicer_to_server(
            CollectionServicer(state), self._server
        )
        ingest_pb2_grpc.add_IngestServiceServicer_to_server(IngestServicer(state), self._server)
        self._server.add_generic_rpc_handlers((LeftOut(),))
        ready = health.HealthServicer()
        ready.set("", health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(ready, self._server)
        port = self._server.add_insecure_port("127.0.0.1:0")
        self.address = f"127.0.0.1:{port}"
        self._server.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving; calls that are still under way fail as from a service that stops."""
        self._server.stop(_STOP_S).wait()
        self._executor.shutdown()
