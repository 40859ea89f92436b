"""Facts of pictures as the embedder makes them, for services that run without one."""

from __future__ import annotations

import base64
import io

from PIL import Image, PngImagePlugin

from embedder_service.decode.child import _facts_of
from embedder_service.decode.limits import ImageLimits
from embedder_service.decode.picture import decode_file
from lookalike_client import ImageFacts

LIMITS = ImageLimits(max_image_bytes=1 << 20, max_image_pixels=1_000_000, max_aspect_ratio=50)


def facts_of(data: bytes) -> ImageFacts:
    """Make the facts of a file as the embedder makes them."""
    seen = decode_file(data, LIMITS, least_short_side_px=594, admit=lambda pixels: None)
    told = _facts_of(seen, data, 0)
    return ImageFacts(
        width_px=told["width_px"],
        height_px=told["height_px"],
        size_bytes=len(data),
        sha256=told["sha256"],
        perceptual_hash=f"{told['perceptual_hash']:016x}",
        sharpness=told["sharpness"],
        format=told["format"],
        pixel_sha256=told["pixel_sha256"],
        grey_webp=base64.b64decode(told["grey"]),
        blank=told["blank"],
        pdq_hash=told["pdq"],
        pdq_quality=told["pdq_quality"],
    )


def png(picture: Image.Image, comment: str = "") -> bytes:
    out = io.BytesIO()
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", comment)
    picture.save(out, "PNG", pnginfo=notes)
    return out.getvalue()
