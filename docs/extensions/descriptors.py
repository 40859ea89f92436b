"""The contract as its compiler sees it, comments included."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)
from grpc_tools import __file__ as grpc_tools_file
from grpc_tools import protoc

# Where a declaration stands in a file: field numbers of descriptor.proto and indices, by turns.
_MESSAGE, _ENUM, _SERVICE = 4, 5, 6
_FIELD, _ONEOF = 2, 8
_METHOD = _VALUE = 2

# The standard `google/protobuf` files, which the compiler's package carries.
_WELL_KNOWN = Path(grpc_tools_file).parent / "_proto"


class ContractUnreadable(Exception):
    """The contract's files cannot be compiled, or use what these pages cannot show."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field; `type_name` is a scalar's or begins with a package. `group` is its oneof."""

    name: str
    number: int
    type_name: str
    label: str
    group: str
    comment: str


@dataclass(frozen=True, slots=True)
class Message:
    """A message with its oneofs' comments by name."""

    name: str
    comment: str
    fields: tuple[Field, ...]
    group_comments: dict[str, str]


@dataclass(frozen=True, slots=True)
class Value:
    """A value of an enumeration."""

    name: str
    number: int
    comment: str


@dataclass(frozen=True, slots=True)
class Enumeration:
    """An enumeration."""

    name: str
    comment: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Method:
    """A call; a stream is many messages in that direction."""

    name: str
    comment: str
    request: str
    response: str
    request_stream: bool
    response_stream: bool


@dataclass(frozen=True, slots=True)
class Service:
    """A service."""

    name: str
    comment: str
    methods: tuple[Method, ...]


@dataclass(frozen=True, slots=True)
class ContractFile:
    """One file of the contract, in the order of its text."""

    name: str
    package: str
    services: tuple[Service, ...]
    messages: tuple[Message, ...]
    enumerations: tuple[Enumeration, ...]


def read_contract(root: Path, package_dir: str) -> dict[str, ContractFile]:
    """Compile `root/package_dir/*.proto`; return the files by their bare names.

    Raises:
        ContractUnreadable: they do not compile, or nest declarations.
    """
    sources = sorted((root / package_dir).glob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "contract.binpb"
        code = protoc.main(
            [
                *("protoc", f"-I{root}", f"-I{_WELL_KNOWN}", "--include_source_info"),
                f"--descriptor_set_out={target}",
                *map(str, sources),
            ]
        )
        if code:
            raise ContractUnreadable(f"protoc ended with {code} on {root / package_dir}")
        compiled = FileDescriptorSet.FromString(target.read_bytes())
    return {Path(file.name).name: _file(file) for file in compiled.file}


def _file(file: FileDescriptorProto) -> ContractFile:
    comments = {
        tuple(place.path): place.leading_comments.strip()
        for place in file.source_code_info.location
    }
    return ContractFile(
        name=Path(file.name).name,
        package=file.package,
        services=tuple(_services(file, comments)),
        messages=tuple(_messages(file, comments)),
        enumerations=tuple(_enumerations(file, comments)),
    )


_Comments = dict[tuple[int, ...], str]


def _services(file: FileDescriptorProto, comments: _Comments) -> Iterator[Service]:
    for index, service in enumerate(file.service):
        methods = tuple(
            Method(
                name=method.name,
                comment=comments.get((_SERVICE, index, _METHOD, number), ""),
                request=method.input_type.lstrip("."),
                response=method.output_type.lstrip("."),
                request_stream=method.client_streaming,
                response_stream=method.server_streaming,
            )
            for number, method in enumerate(service.method)
        )
        yield Service(service.name, comments.get((_SERVICE, index), ""), methods)


def _messages(file: FileDescriptorProto, comments: _Comments) -> Iterator[Message]:
    for index, message in enumerate(file.message_type):
        if message.nested_type or message.enum_type:
            raise ContractUnreadable(f"{file.name}: {message.name} nests declarations")
        here = (_MESSAGE, index)
        groups = [group.name for group in message.oneof_decl]
        fields = tuple(
            Field(
                name=field.name,
                number=field.number,
                type_name=_type_name(field),
                label=_label(field),
                group=_group(field, groups),
                comment=comments.get((*here, _FIELD, number), ""),
            )
            for number, field in enumerate(message.field)
        )
        used = {field.group for field in fields}
        yield Message(
            message.name,
            comments.get(here, ""),
            fields,
            {
                name: comments.get((*here, _ONEOF, number), "")
                for number, name in enumerate(groups)
                if name in used
            },
        )


def _enumerations(file: FileDescriptorProto, comments: _Comments) -> Iterator[Enumeration]:
    for index, enumeration in enumerate(file.enum_type):
        here = (_ENUM, index)
        values = tuple(
            Value(value.name, value.number, comments.get((*here, _VALUE, number), ""))
            for number, value in enumerate(enumeration.value)
        )
        yield Enumeration(enumeration.name, comments.get(here, ""), values)


def _type_name(field: FieldDescriptorProto) -> str:
    if field.type_name:
        return field.type_name.lstrip(".")
    return FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()


def _label(field: FieldDescriptorProto) -> str:
    if field.label == FieldDescriptorProto.LABEL_REPEATED:
        return "repeated"
    return "optional" if field.proto3_optional else ""


def _group(field: FieldDescriptorProto, groups: list[str]) -> str:
    """Return the oneof of a field; an `optional` one has a oneof that nobody wrote."""
    if field.proto3_optional or not field.HasField("oneof_index"):
        return ""
    return groups[field.oneof_index]
