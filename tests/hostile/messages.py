"""Messages of the contract that nobody sends who means well: by random, the same each time."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

from lookalike.v1 import (
    analysis_pb2,
    collection_pb2,
    embedder_pb2,
    ingest_pb2,
    reembedding_pb2,
    search_pb2,
    snapshot_pb2,
)

_FILES = (
    *(analysis_pb2, collection_pb2, embedder_pb2, ingest_pb2, reembedding_pb2, search_pb2),
    snapshot_pb2,
)
# What a field of a name is filled with, so that some messages get past the first check.
COLLECTION = "fuzz"
_WRONG = ("", "nothing", "fuzz ", "ü" * 70, "../x", "\x00", "fuzz-new", "0" * 32, "A" * 100_000)
_IDS = ("item-0", "item-1", "", "nothing", "x" * 513, "\x00", "ü", "../../etc/passwd", "a\nb")
_NAMES = {
    "collection": _WRONG,
    "name": _WRONG,
    "alias": (*_WRONG, "fuzz-alias"),
    "from_collection": _WRONG,
    "source": (*_WRONG, COLLECTION),
    "target": (*_WRONG, COLLECTION),
    "new_name": (*_WRONG, COLLECTION),
    "id": _IDS,
    "ids": _IDS,
    "other_id": _IDS,
    "exclude_ids": _IDS,
    "field": ("word", "n", "", "a.b", "`", "n.", "." * 50, "\x00", "x" * 2_000),
    "label_field": ("word", "n", "", "."),
    "expression": (
        *('word = "a"', "n > 1", "n in (1, 2)", "not not exists n", 'word startswith "', "((((("),
        *("n = " + "9" * 400, "a and " * 5_000 + "b", '"', "n > 1e999", 'word matches "(a+)+$"'),
    ),
    "image_uri": ("file:///etc/passwd", "s3://b/k", "gs://", "http://127.0.0.1/", "file:", "\x00"),
    "model": ("", "nothing", "\x00", "x" * 10_000),
}
_TEXTS = (
    *("", "a", "\x00", "ü" * 100, "\U0001d54f", "x" * 70_000, "%s%n", "\u202e"),
    "'; DROP TABLE items; --",
)
_INTS = (0, 1, 2, 3, 10, 100, 255, 256, 1_000, 10_001, 2**31 - 1)
_FLOATS = (0.0, -0.0, 0.5, 1.0, -1.0, 1e-45, 1e38, float("nan"), float("inf"), float("-inf"))
_DEEPEST = 12


def methods() -> list[MethodDescriptor]:
    """All methods of the contract."""
    return [
        method
        for file in _FILES
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    ]


def streams(
    method: MethodDescriptor, count: int, *, known: float, dimension: int
) -> Iterator[Sequence[bytes]]:
    """Yield what is sent in `count` calls: one message, or a few on a stream.

    A share of `known` of the messages names the collection that is there, whose vectors
    have `dimension` numbers.
    """
    maker = _Maker(random.Random(method.full_name), known, dimension)  # no secret
    for _ in range(count):
        messages = maker.random.randint(0, 3) if method.client_streaming else 1
        yield [maker.message(method) for _ in range(messages)]


class _Maker:
    def __init__(self, source: random.Random, known: float, dimension: int) -> None:
        self.random = source
        self._known = known
        self._dimension = dimension

    def message(self, method: MethodDescriptor) -> bytes:
        """Return a message of fields, or one that was damaged, or any bytes."""
        kind = self.random.random()
        if kind < 0.1:
            return self.random.randbytes(self.random.choice((0, 1, 7, 64, 1_000)))
        made = message_factory.GetMessageClass(method.input_type)()
        self._fill(made, 0)
        data = bytearray(made.SerializeToString())
        if kind < 0.3 and data:
            for _ in range(self.random.randint(1, 4)):
                data[self.random.randrange(len(data))] = self.random.randrange(256)
            if self.random.random() < 0.3:
                del data[self.random.randrange(len(data)) :]
        return bytes(data)

    def _fill(self, message: Message, depth: int) -> None:
        if depth > _DEEPEST:
            return
        # What is deep is thin, or messages would grow past all measure.
        share = 0.6 if depth < 2 else 0.35
        for field in message.DESCRIPTOR.fields:
            if field.name in ("collection", "name") or self.random.random() < share:
                self._set(message, field, depth)

    def _set(self, message: Message, field: Any, depth: int) -> None:
        held: Any = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            for _ in range(self.random.randint(0, 3)):
                key = self.random.choice(("word", "n", "", "a.b", "\x00", "x" * 300))
                self._fill(held[key], depth + 1)
        elif field.is_repeated:
            count = self.random.choice((1, 1, 2, 3, 40 if depth < 2 else 2))
            for _ in range(count):
                if field.message_type is not None:
                    self._fill(held.add(), depth + 1)
                else:
                    held.append(self._scalar(field))
        elif field.message_type is not None:
            held.SetInParent()
            self._fill(held, depth + 1)
        else:
            setattr(message, field.name, self._scalar(field))

    def _scalar(self, field: FieldDescriptor) -> Any:
        pick = self.random.choice
        match field.cpp_type:
            case FieldDescriptor.CPPTYPE_BOOL:
                return pick((False, True))
            case FieldDescriptor.CPPTYPE_ENUM:
                return pick((0, 1, 2, 3, 4, 99, -1))
            case FieldDescriptor.CPPTYPE_FLOAT | FieldDescriptor.CPPTYPE_DOUBLE:
                return pick(_FLOATS)
            case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
                return self._bytes()
            case FieldDescriptor.CPPTYPE_STRING:
                if field.name in ("collection", "name") and self.random.random() < self._known:
                    return COLLECTION
                return pick(_NAMES.get(field.name, _TEXTS))
            case FieldDescriptor.CPPTYPE_INT32:
                return pick((*_INTS, -1, -(2**31)))
            case FieldDescriptor.CPPTYPE_INT64:
                return pick((*_INTS, -1, 2**63 - 1, -(2**63), -62_135_596_801, 253_402_300_800))
            case FieldDescriptor.CPPTYPE_UINT32:
                return pick((*_INTS, 2**32 - 1))
            case _:
                return pick((*_INTS, 2**64 - 1, 2**62, 2**63))

    def _bytes(self) -> bytes:
        whole = 4 * self._dimension
        kind = self.random.randrange(6)
        if kind < 3:  # mostly numbers, of which some are none
            return self.random.randbytes(whole)
        if kind == 3:
            return bytes(whole)
        if kind == 4:
            return b"\x00\x00\x80\x3f" * self._dimension
        return self.random.randbytes(self.random.choice((0, 1, whole - 1, whole + 4, 3_000)))
