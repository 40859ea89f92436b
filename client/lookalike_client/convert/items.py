"""Stored items."""

from __future__ import annotations

import json

from lookalike.v1 import image_pb2, search_pb2
from lookalike.wire import vectors
from lookalike.wire.vectors import F32
from lookalike_client import structs, types
from lookalike_client.convert.values import moment


def item(message: search_pb2.Item, *, id: str = "") -> types.Item:
    """Return a stored item; `id` is its id where the message leaves that out."""
    data = message.vector_f32_le
    named: dict[str, list[F32]] = {}
    for each in message.vectors:
        vector = vectors.decode(each.vector_f32_le, field="vectors")
        named.setdefault(each.name, []).append(vector)
    further = named.pop("", [])
    return types.Item.with_parts(
        # There is nothing else that is not set.
        lambda _metadata: metadata(message),
        id=id or message.id,
        version=message.version,
        update_time=moment(message.update_time) if message.HasField("update_time") else None,
        facts=_facts(message.facts) if message.HasField("facts") else None,
        vector=vectors.decode(data, field="vector_f32_le") if data else None,
        near_duplicate_of=message.near_duplicate_of,
        further_vectors=tuple(further),
        named_vectors=named,
    )


def metadata(message: search_pb2.Item) -> types.Metadata:
    """Return the metadata of an item, as text or as a message."""
    if not message.metadata_json:  # a service of an earlier version, or none asked for
        return structs.to_dict(message.metadata)
    parsed: types.Metadata = json.loads(message.metadata_json)
    return parsed


def _facts(message: image_pb2.ImageFacts) -> types.ImageFacts:
    return types.ImageFacts(
        width_px=message.width_px,
        height_px=message.height_px,
        size_bytes=message.size_bytes,
        sha256=message.sha256.hex(),
        perceptual_hash=f"{message.perceptual_hash:016x}",
        sharpness=message.sharpness,
        format=message.format,
        thumbnail_webp=message.thumbnail_webp,
        truncated=message.truncated,
        blank=message.blank,
        pixel_sha256=message.pixel_sha256.hex(),
        grey_webp=message.grey_webp,
        pdq_hash=message.pdq_hash.hex(),
        pdq_quality=message.pdq_quality,
    )
