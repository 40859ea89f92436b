"""What an image may be."""

from __future__ import annotations

from dataclasses import dataclass

from lookalike.wire.errors import ImageTooLarge, ImageUnreadable

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Budgets for one image; `max_aspect_ratio` is long side over short side.

    A file that lacks its end must hold `least_rows_share` of its rows. A JPEG may have
    `max_scaled_pixels`: past `max_image_pixels` it is decoded at a part of its size.
    """

    max_image_bytes: int
    max_image_pixels: int
    max_aspect_ratio: float
    least_rows_share: float = 0.95
    max_scaled_pixels: int = 0

    @property
    def most_pixels(self) -> int:
        """Most pixels of any file."""
        return max(self.max_image_pixels, self.max_scaled_pixels)

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
        self._check_sides(width_px, height_px, self.max_image_pixels, "max_image_pixels")

    def check_scaled_size(self, width_px: int, height_px: int) -> None:
        """Raise unless a picture of this size may be decoded at a part of it."""
        if self.max_scaled_pixels < self.max_image_pixels:
            self.check_size(width_px, height_px)
        else:
            self._check_sides(width_px, height_px, self.max_scaled_pixels, "max_scaled_pixels")

    def _check_sides(self, width_px: int, height_px: int, most: int, setting: str) -> None:
        if width_px < 1 or height_px < 1:
            raise ImageUnreadable(f"the image has no pixels ({width_px} x {height_px})")
        if width_px * height_px > most:
            raise ImageTooLarge(
                f"the image has {width_px} x {height_px} pixels; the limit is {most:,} in all "
                f"(the embedder's setting {setting}): send a smaller copy"
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
