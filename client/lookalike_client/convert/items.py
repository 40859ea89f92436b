"""Stored items."""

from __future__ import annotations

from lookalike.v1 import image_pb2, search_pb2
from lookalike.wire import vectors
from lookalike_client import structs, types
from lookalike_client.convert.values import moment


def item(message: search_pb2.Item) -> types.Item:
    """Return a stored item."""
    data = message.vector_f32_le
    return types.Item(
        id=message.id,
        version=message.version,
        update_time=moment(message.update_time) if message.HasField("update_time") else None,
        metadata=structs.to_dict(message.metadata),
        facts=_facts(message.facts) if message.HasField("facts") else None,
        vector=vectors.decode(data, field="vector_f32_le") if data else None,
        near_duplicate_of=message.near_duplicate_of,
    )


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
    )
