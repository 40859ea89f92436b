"""The API's description, as OpenAPI 3.1, from the contract and what its files say."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import metadata
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from lookalike_client.web.rest.calling import method_of
from lookalike_client.web.rest.comments import comments
from lookalike_client.web.rest.operations import Body, Operation

_NUMBERS: dict[int, dict[str, Any]] = {
    FieldDescriptor.TYPE_FLOAT: {"type": "number"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number"},
    FieldDescriptor.TYPE_UINT32: {"type": "integer", "format": "uint32", "minimum": 0},
    FieldDescriptor.TYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.TYPE_UINT64: {"type": "string", "format": "uint64"},
    FieldDescriptor.TYPE_INT64: {"type": "string", "format": "int64"},
    FieldDescriptor.TYPE_FIXED64: {"type": "string", "format": "uint64"},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
}
_WELL_KNOWN: dict[str, dict[str, Any]] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "examples": ["1.5s"]},
    "google.protobuf.Struct": {"type": "object"},
}
_ERROR = {
    "type": "object",
    "description": "Why a request failed.",
    "properties": {
        "error": {
            "type": "object",
            "required": ["reason", "message", "field", "retryable"],
            "properties": {
                "reason": {"type": "string", "description": "What happened, for programs."},
                "message": {"type": "string", "description": "What to change, for people."},
                "field": {"type": "string", "description": "What is to blame; may be empty."},
                "retryable": {"type": "boolean"},
                "retry_delay_s": {"type": "number", "description": "Wait so long before."},
            },
        }
    },
}


def describe(operations: Iterable[Operation], prefix: str) -> dict[str, Any]:
    """Return the document."""
    schemas: dict[str, Any] = {"Error": _ERROR}
    paths: dict[str, Any] = {}
    for operation in operations:
        path = paths.setdefault(prefix + operation.path, {})
        path[operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Lookalike",
            "version": metadata.version("lookalike"),
            "description": "The contract of Lookalike as JSON over HTTP. Names, values, limits "
            "and errors are those of the gRPC services. 64-bit numbers are texts, bytes are "
            "base64, and fields that have their default are left out, as in ProtoJSON.",
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": dict(sorted(schemas.items())),
        },
    }


def _operation(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    method = method_of(operation.service, operation.rpc)
    said = comments().get(f"{operation.service}.{operation.rpc}", "")
    summary = operation.summary or said.split(". ")[0].rstrip(".") + "."
    streams = method.server_streaming and not method.client_streaming
    kind = "application/x-ndjson" if streams else "application/json"
    told = "One message a line." if streams else "Done."
    document: dict[str, Any] = {
        "operationId": operation.path.strip("/")
        .replace("/", "_")
        .replace("{", "")
        .replace("}", ""),
        "tags": [operation.service],
        "summary": summary,
        "description": said,
        "parameters": list(_parameters(operation, method.input_type)),
        "responses": {
            "200": {
                "description": told,
                "content": {kind: {"schema": _message(method.output_type, schemas)}},
            },
            "default": {
                "description": "It failed.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            },
        },
    }
    if operation.body is Body.NONE:
        return document
    request = _message(method.input_type, schemas)
    if operation.body is Body.JSON:
        document["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": request}},
        }
    else:
        form = {
            "type": "object",
            "required": ["image"],
            "properties": {
                "image": {"type": "string", "format": "binary"},
                "request": {**request, "description": "The rest of the message, as JSON."},
            },
        }
        document["requestBody"] = {
            "required": True,
            "content": {"multipart/form-data": {"schema": form}},
        }
    return document


def _parameters(operation: Operation, kind: Descriptor) -> Iterable[dict[str, Any]]:
    named = set(re.findall(r"{(\w+)}", operation.path))
    for field in kind.fields:
        simple = field.type in _NUMBERS and not field.is_repeated
        if field.name in named or (operation.body is Body.NONE and simple):
            yield {
                "name": field.name,
                "in": "path" if field.name in named else "query",
                "required": field.name in named,
                "description": comments().get(f"{kind.name}.{field.name}", ""),
                "schema": _NUMBERS[field.type],
            }


def _message(kind: Descriptor, schemas: dict[str, Any]) -> dict[str, Any]:
    if kind.full_name in _WELL_KNOWN:
        return dict(_WELL_KNOWN[kind.full_name])
    if kind.name not in schemas:
        schema: dict[str, Any] = {"type": "object", "description": comments().get(kind.name, "")}
        schemas[kind.name] = schema  # before its fields: messages may hold themselves
        schema["properties"] = {field.name: _field(kind, field, schemas) for field in kind.fields}
    return {"$ref": f"#/components/schemas/{kind.name}"}


def _field(kind: Descriptor, field: FieldDescriptor, schemas: dict[str, Any]) -> dict[str, Any]:
    if field.message_type is not None:
        schema = _message(field.message_type, schemas)
    elif field.enum_type is not None:
        schema = {"type": "string", "enum": [each.name for each in field.enum_type.values]}
    else:
        schema = dict(_NUMBERS[field.type])
    if field.is_repeated:
        schema = {"type": "array", "items": schema}
    said = comments().get(f"{kind.name}.{field.name}", "")
    group = field.containing_oneof
    if group is not None and len(group.fields) > 1:
        said += f" One of `{group.name}`."
    return {**schema, "description": said.strip()}
