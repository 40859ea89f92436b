"""Formats whose decoders are installed by an extra, and loaded for the first such file."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PIL import Image

from lookalike.wire.errors import ImageUnreadable
from lookalike.wire.foreign_formats import brands_of

# ISO/IEC 23008-12: pictures coded with HEVC, and the brands of any coding.
_HEIF_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_JXL_STARTS = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")


@dataclass(frozen=True, slots=True)
class Extra:
    """A format as Pillow names it, with what its decoder is installed by."""

    format: str
    title: str
    name: str
    module: str
    prepare: Callable[[Any], None]

    @property
    def installed(self) -> bool:
        """Whether its decoder is there."""
        return importlib.util.find_spec(self.module) is not None

    def load(self) -> None:
        """Make Pillow know the format.

        Raises:
            ImageUnreadable: its decoder is not installed.
        """
        if self.format in Image.OPEN:
            return
        try:
            module = importlib.import_module(self.module)
        except ImportError as error:
            raise ImageUnreadable(
                f"this is {self.title}, which is not decoded here: install lookalike[{self.name}] "
                "where the embedder runs, or convert it to JPEG or PNG"
            ) from error
        self.prepare(module)


# More threads would escape the process's share of the machine.
def _prepare_heif(module: Any) -> None:
    module.register_heif_opener(
        decode_threads=1, thumbnails=False, depth_images=False, aux_images=False
    )


def _prepare_jxl(module: Any) -> None:
    plugin: Any = importlib.import_module(f"{module.__name__}.JpegXLImagePlugin")
    plugin.DECODE_THREADS = 0


HEIF = Extra("HEIF", "a HEIC picture", "heif", "pillow_heif", _prepare_heif)


def _prepare_nothing(_module: Any) -> None:
    """Its files are not opened by Pillow: see `camera_raw`."""


CAMERA_RAW = Extra("CAMERA_RAW", "a camera's raw file", "raw", "rawpy", _prepare_nothing)
JXL = Extra("JXL", "a JPEG XL picture", "jxl", "pillow_jxl", _prepare_jxl)


def extra_of(data: bytes) -> Extra | None:
    """Return the extra whose format a file begins as, None for all other formats."""
    if data.startswith(_JXL_STARTS):
        return JXL
    brands = brands_of(data)
    return HEIF if brands & _HEIF_BRANDS and not brands & _AVIF_BRANDS else None


def installed_formats() -> tuple[str, ...]:
    """Return the formats of the extras that are installed."""
    return tuple(extra.format for extra in (HEIF, JXL, CAMERA_RAW) if extra.installed)
