"""Services that collections of a cluster do not have: every call says so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from lookalike.v1 import analysis_pb2, bank_pb2, snapshot_pb2
from lookalike.wire.errors import Unsupported

_WHY = "is of collections on one machine: docs/operation/cluster.md says what to do instead"


def refusals() -> list[grpc.GenericRpcHandler]:
    """Return handlers of the services that need a collection's own directory."""
    contracts = {
        "SnapshotService": snapshot_pb2,
        "AnalysisService": analysis_pb2,
        "MatchService": bank_pb2,
    }
    return [
        _refusing(contract.DESCRIPTOR.services_by_name[name], f"{name} {_WHY}")
        for name, contract in contracts.items()
    ]


def _refusing(service: ServiceDescriptor, why: str) -> grpc.GenericRpcHandler:
    handlers = {method.name: _handler(method, why) for method in service.methods}
    return grpc.method_handlers_generic_handler(service.full_name, handlers)


def _handler(method: MethodDescriptor, why: str) -> grpc.RpcMethodHandler[Any, Any]:
    async def refuse(_request: Any, _context: Any) -> Any:
        raise Unsupported(why)

    async def refuse_stream(_request: Any, _context: Any) -> AsyncIterator[Any]:
        if why:  # always: what yields has to be written all the same
            raise Unsupported(why)
        yield

    if method.client_streaming and method.server_streaming:
        return grpc.stream_stream_rpc_method_handler(refuse_stream)
    if method.client_streaming:
        return grpc.stream_unary_rpc_method_handler(refuse)
    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(refuse_stream)
    return grpc.unary_unary_rpc_method_handler(refuse)
