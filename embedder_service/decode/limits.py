"""What an image may be."""

from __future__ import annotations

from dataclasses import dataclass

from lookalike.wire.errors import ImageTooLarge, ImageUnreadable

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Budgets for one image; `max_aspect_ratio` is long side over short side.

    A file that lacks its end must hold `least_rows_share` of its rows.
    """

    max_image_bytes: int
    max_image_pixels: int
    max_aspect_ratio: float
    least_rows_share: float = 0.95

    def check_bytes(self, size_bytes: int) -> None:
        """Raise unless a file of `size_bytes` may be decoded."""
        if size_bytes == 0:
            raise ImageUnreadable("the image is empty")
        if size_bytes > self.max_image_bytes:
            raise ImageTooLarge(
                f"the image has {size_bytes:,} bytes; the limit is {self.max_image_bytes:,} "
                "(the embedder's setting max_image_bytes): send a smaller copy"
            )

    def check_size(self, width_px: int, height_px: int) -> None:
        """Raise unless a picture of this size may be decoded."""
        if width_px < 1 or height_px < 1:
            raise ImageUnreadable(f"the image has no pixels ({width_px} x {height_px})")
        if width_px * height_px > self.max_image_pixels:
            raise ImageTooLarge(
                f"the image has {width_px} x {height_px} pixels; "
                f"the limit is {self.max_image_pixels:,} in all (the embedder's setting "
                "max_image_pixels): send a smaller copy"
            )
        long_side, short_side = max(width_px, height_px), min(width_px, height_px)
        if long_side > short_side * self.max_aspect_ratio:
            raise ImageTooLarge(
                f"the image is {width_px} x {height_px} pixels; the long side may be at most "
                f"{self.max_aspect_ratio:g} times the short one (the embedder's setting "
                "max_aspect_ratio): send a part of it"
            )

    def check_share(self, share: float) -> None:
        """Raise unless a file that lacks its end holds enough: `share` of its rows."""
        if share < self.least_rows_share or self.least_rows_share == 1:
            raise ImageUnreadable(
                f"the file is cut short: {share:.1%} of its rows came; at least "
                f"{self.least_rows_share:.1%} must (the embedder's setting least_rows_share): "
                "send the whole file"
            )
