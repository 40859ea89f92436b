"""Services that ask for API keys, for tests over a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lookalike.v1 import (
    analysis_pb2_grpc,
    bank_pb2_grpc,
    cluster_pb2_grpc,
    collection_pb2_grpc,
    embedder_pb2_grpc,
    ingest_pb2_grpc,
    reembedding_pb2_grpc,
    search_pb2_grpc,
    snapshot_pb2_grpc,
)
from lookalike.wire import keys
from lookalike.wire.channel import ChannelOptions, TlsFiles, sync_channel
from lookalike.wire.keys import KeyRecord, Scope
from lookalike.wire.tokens import GivenToken

ALL_SCOPES = frozenset(Scope)

_STUBS = {
    "SearchService": search_pb2_grpc.SearchServiceStub,
    "CollectionService": collection_pb2_grpc.CollectionServiceStub,
    "IngestService": ingest_pb2_grpc.IngestServiceStub,
    "AnalysisService": analysis_pb2_grpc.AnalysisServiceStub,
    "MatchService": bank_pb2_grpc.MatchServiceStub,
    "ClusterService": cluster_pb2_grpc.ClusterServiceStub,
    "ReembeddingService": reembedding_pb2_grpc.ReembeddingServiceStub,
    "SnapshotService": snapshot_pb2_grpc.SnapshotServiceStub,
    "EmbedderService": embedder_pb2_grpc.EmbedderServiceStub,
}


class KeyFile:
    """A file of keys, and the tokens that it holds none of."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._records: list[KeyRecord] = []
        self.tokens: dict[str, str] = {}

    def add(self, name: str, scopes: frozenset[Scope] = ALL_SCOPES, **fields: Any) -> str:
        """Make a key; return its token."""
        key_id, token = keys.new_token()
        self._records.append(
            KeyRecord(id=key_id, name=name, sha256=keys.digest(token), scopes=scopes, **fields)
        )
        keys.write(self.path, self._records)
        self.tokens[name] = token
        return token

    def remove(self, name: str) -> None:
        """Revoke a key."""
        self._records = [each for each in self._records if each.name != name]
        keys.write(self.path, self._records)


class Caller:
    """All services at one address, called with a token or without."""

    def __init__(self, port: int, token: str | None, tls: TlsFiles | None = None) -> None:
        given = None if token is None else GivenToken(token)
        options = ChannelOptions(tls=tls, token=given)
        self.channel = sync_channel(f"127.0.0.1:{port}", options)
        self.stubs = {name: stub(self.channel) for name, stub in _STUBS.items()}

    def call(self, method: str, request: Any, timeout_s: float = 120.0) -> list[Any]:
        """Call "Service/Method"; return all answers.

        A list of requests goes as a stream.
        """
        service, name = method.split("/")
        asked = iter(request) if isinstance(request, list) else request
        answer = getattr(self.stubs[service], name)(asked, timeout=timeout_s)
        return list(answer) if hasattr(answer, "__next__") else [answer]


@contextmanager
def calling(port: int, token: str | None, tls: TlsFiles | None = None) -> Iterator[Caller]:
    """Connect for a while."""
    caller = Caller(port, token, tls)
    try:
        yield caller
    finally:
        caller.channel.close()
