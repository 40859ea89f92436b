"""Calls of the contract by their names, over the SDK's connection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from lookalike.v1 import collection_pb2, ingest_pb2, search_pb2
from lookalike.wire.status import from_rpc_error
from lookalike_client import AsyncClient
from lookalike_client.calls import DEFAULT_TIMEOUT_S

_SERVICES = {
    name: service
    for file in (search_pb2, ingest_pb2, collection_pb2)
    for name, service in file.DESCRIPTOR.services_by_name.items()
}


def method_of(service: str, method: str) -> MethodDescriptor:
    """Return a method of the contract."""
    found: MethodDescriptor = _SERVICES[service].methods_by_name[method]
    return found


async def call(
    client: AsyncClient,
    service: str,
    method: str,
    request: Message,
    *,
    metadata: Sequence[tuple[str, str]] = (),
    timeout_s: float = DEFAULT_TIMEOUT_S,
) -> Message:
    """Return the answer to one request.

    Raises:
        LookalikeError: the call failed.
    """
    about = method_of(service, method)
    ask = client.channel.unary_unary(
        _path(about),
        request_serializer=_serialized,
        response_deserializer=GetMessageClass(about.output_type).FromString,
    )
    try:
        answer: Message = await ask(request, timeout=timeout_s, metadata=_metadata(metadata))
    except grpc.RpcError as error:
        raise from_rpc_error(error) from error
    return answer


async def stream(
    client: AsyncClient,
    service: str,
    method: str,
    request: Message,
    *,
    metadata: Sequence[tuple[str, str]] = (),
    timeout_s: float,
) -> AsyncIterator[Message]:
    """Yield the answers to one request, which may be one of a stream that then ends.

    Raises:
        LookalikeError: the call failed.
    """
    about = method_of(service, method)
    kind = client.channel.stream_stream if about.client_streaming else client.channel.unary_stream
    ask: Any = kind(
        _path(about),
        request_serializer=_serialized,
        response_deserializer=GetMessageClass(about.output_type).FromString,
    )
    sent: Any = iter([request]) if about.client_streaming else request
    answers = ask(sent, timeout=timeout_s, metadata=_metadata(metadata))
    try:
        async for each in answers:
            yield each
    except grpc.RpcError as error:
        raise from_rpc_error(error) from error
    finally:
        answers.cancel()


def _path(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def _serialized(message: Message) -> bytes:
    return message.SerializeToString()


def _metadata(pairs: Sequence[tuple[str, str]]) -> Any:
    return tuple(pairs) or None
