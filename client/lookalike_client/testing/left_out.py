"""Calls that the fake service does not answer, refused in words."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

_SERVICES = (
    "lookalike.v1.AnalysisService",
    "lookalike.v1.MatchService",
    "lookalike.v1.ReembeddingService",
    "lookalike.v1.SnapshotService",
)


class LeftOut(grpc.GenericRpcHandler):
    """Refuses every method of the services that only the real search service has."""

    def service(
        self, details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        """Return what refuses a call, or None where it is another's."""
        name = details.method.removeprefix("/").partition("/")[0]
        return grpc.stream_stream_rpc_method_handler(_refuse) if name in _SERVICES else None


def _refuse(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
    context.abort(
        grpc.StatusCode.UNIMPLEMENTED,
        "the fake service of the test kit has no analyses, banks, drift, snapshots and "
        "re-embedding: try them on a real one, such as that of `lookalike up`",
    )
