"""The API: HTTP and JSON to messages of the contract and back, nothing else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lookalike.v1 import ingest_pb2
from lookalike.wire.channel import MAX_IMAGE_BYTES
from lookalike.wire.errors import ImageTooLarge, InvalidField
from lookalike.wire.status import from_item_error
from lookalike_client.calls import STREAM_LIMIT_S
from lookalike_client.web.answers import answer, body_of, failed, lines
from lookalike_client.web.rest.calling import call, method_of, stream
from lookalike_client.web.rest.openapi import describe
from lookalike_client.web.rest.operations import OPERATIONS, Body, Operation
from lookalike_client.web.services import Endpoint, Services

PREFIX = "/api/v1"
_MOST_PART_BYTES = 1 << 20


def api_routes(services: Services) -> list[Route]:
    """Return the routes of the API and of its description."""
    document = describe(OPERATIONS, PREFIX)

    async def described(request: Request) -> Response:
        return answer(document)

    routes = [Route("/api/openapi.json", described, methods=["GET"])]
    for operation in OPERATIONS:
        endpoint: Endpoint = _Call(services, operation).answer
        if operation.changes:
            endpoint = services.changing(endpoint)
        routes.append(Route(PREFIX + operation.path, endpoint, methods=[operation.method]))
    return routes


class _Call:
    """One operation."""

    def __init__(self, services: Services, operation: Operation) -> None:
        self._services = services
        self._operation = operation
        self._method = method_of(operation.service, operation.rpc)
        self._new = GetMessageClass(self._method.input_type)

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        message = self._new()
        match self._operation.body:
            case Body.JSON:
                limit = self._services.options.max_body_bytes
                _parse(await body_of(request, limit), message)
            case Body.IMAGE:
                await self._read_form(request, message)
        _take_parameters({**request.query_params, **request.path_params}, message)
        operation, metadata = self._operation, self._key(request)
        client = self._services.bare if metadata else self._services.client
        assert client is not None
        if not self._method.server_streaming:
            found = await call(client, operation.service, operation.rpc, message, metadata=metadata)
            return answer(_document(found))
        answers = stream(
            client,
            operation.service,
            operation.rpc,
            message,
            metadata=metadata,
            timeout_s=STREAM_LIMIT_S,
        )
        if not self._method.client_streaming:
            return await lines(_documents(answers))
        async for each in answers:
            return _submitted(each)
        raise HTTPException(502, "the service said nothing")

    async def _read_form(self, request: Request, message: Message) -> None:
        form = await request.form(max_files=2, max_fields=8, max_part_size=_MOST_PART_BYTES)
        try:
            said = form.get("request", "{}")
            if isinstance(said, UploadFile):
                said = (await said.read(_MOST_PART_BYTES)).decode(errors="replace")
            try:
                fields = json.loads(said)
            except (ValueError, RecursionError) as error:
                raise InvalidField("request", "is no JSON") from error
            if not isinstance(fields, dict):
                raise InvalidField("request", "must be a JSON object")
            _parse(fields, message)
            image = form.get("image")
            if not isinstance(image, UploadFile):
                raise InvalidField("image", "send the image as a file of the form")
            data = await image.read(MAX_IMAGE_BYTES + 1)
        finally:
            await form.close()
        if len(data) > MAX_IMAGE_BYTES:
            raise ImageTooLarge(f"an image has at most {MAX_IMAGE_BYTES:,} bytes", field="image")
        holder: Any = message
        *path, last = self._operation.into.split(".")
        for name in path:
            field = getattr(holder, name)
            holder = field if isinstance(field, Message) else field.add()
        setattr(holder, last, data)

    def _key(self, request: Request) -> Sequence[tuple[str, str]]:
        """Pass a caller's own key on, where callers have some."""
        given = request.headers.get("authorization", "")
        if not self._services.options.api_keys or not given:
            return ()
        _, _, bearer = given.partition(" ")
        return () if bearer == self._services.options.token else (("authorization", given),)


def _parse(fields: dict[str, Any], message: Message) -> None:
    try:
        json_format.ParseDict(fields, message, max_recursion_depth=64)
    except (json_format.ParseError, RecursionError) as error:
        raise InvalidField("body", f"is no {message.DESCRIPTOR.name}: {error}") from error
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        # Values of a kind that the parser does not expect in their place.
        raise InvalidField("body", f"is no {message.DESCRIPTOR.name}") from error


def _take_parameters(given: Mapping[str, str], message: Message) -> None:
    """Set fields by their names in the address.

    Raises:
        InvalidField: there is no such field, or it has no such values.
    """
    for name, text in given.items():
        try:
            json_format.ParseDict({name: text}, part := type(message)())
        except json_format.ParseError as error:
            raise InvalidField(name, "is none of the parameters, or has no such value") from error
        message.MergeFrom(part)


def _document(message: Message) -> dict[str, Any]:
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


async def _documents(messages: AsyncIterator[Message]) -> AsyncIterator[Mapping[str, Any]]:
    async for each in messages:
        yield _document(each)


def _submitted(message: Message) -> Response:
    """Answer for the only mutation of a stream; its failure is the request's."""
    assert isinstance(message, ingest_pb2.SubmitImagesResponse)
    if message.WhichOneof("outcome") != "error":
        return answer(_document(message))
    error = from_item_error(message.error)
    if message.HasField("retry_delay"):
        error.retry_delay_s = message.retry_delay.ToMicroseconds() / 1e6
    return failed(error)
