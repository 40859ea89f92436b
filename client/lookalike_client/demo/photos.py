"""The demonstration's pictures: photographs, and copies of them as they occur in the wild."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

from PIL import Image, ImageEnhance, ImageOps

from lookalike.wire.errors import LookalikeError, Reason

# What scikit-image's wheel carries that a camera, a microscope or a telescope took;
# the rest are drawings and test patterns.
_PHOTOGRAPHS = (
    *("astronaut.png", "brick.png", "camera.png", "cell.png", "chelsea.png"),
    *("clock_motion.png", "coffee.png", "coins.png", "grass.png", "gravel.png"),
    *("hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png"),
    *("motorcycle_right.png", "page.png", "retina.jpg", "rocket.jpg", "text.png"),
)


class PhotosMissing(LookalikeError):
    """The package that carries the photographs is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "the photographs come with scikit-image: pip install 'lookalike[demo]', or give "
            "a folder of your own with --images",
            reason=Reason.NOT_READY,
        )


def make_gallery(folder: Path) -> Path:
    """Fill `folder` with photographs and five copies of each; return it.

    A photograph NAME has the files NAME/original.EXT, NAME/cropped.jpg and so on.
    What is there already is left alone, so that a second run is quick.

    Raises:
        PhotosMissing: scikit-image is not installed.
    """
    for photograph in _find_photographs():
        target = folder / photograph.stem
        if (target / ".complete").exists():
            continue
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(photograph, target / f"original{photograph.suffix}")
        with Image.open(photograph) as opened:
            picture = opened.convert("RGB")
        for kind, (copy, quality) in _COPIES.items():
            copy(picture).save(target / f"{kind}.jpg", quality=quality)
        (target / ".complete").touch()
    return folder


def make_query(gallery: Path, target: Path) -> Path:
    """Write a picture that is not in the gallery: the coffee, photographed off a screen."""
    with Image.open(gallery / "coffee" / "original.png") as opened:
        picture = opened.convert("RGB")
    turned = picture.rotate(5, Image.Resampling.BICUBIC)
    width, height = turned.size
    cut = turned.crop((width // 7, height // 8, width - width // 9, height - height // 10))
    target.parent.mkdir(parents=True, exist_ok=True)
    ImageEnhance.Brightness(cut).enhance(0.85).save(target, quality=45)
    return target


def metadata_of(key: str) -> dict[str, str]:
    """Return the metadata of a gallery file: which photograph it is, and which copy."""
    path = Path(key)
    return {"photograph": path.parent.name, "kind": path.stem}


def _find_photographs() -> Iterator[Path]:
    # Its loading functions may go to the network; the files lie in the package.
    found = find_spec("skimage")
    if found is None or found.origin is None:
        raise PhotosMissing
    folder = Path(found.origin).parent / "data"
    for name in _PHOTOGRAPHS:
        if (folder / name).is_file():
            yield folder / name


def _same(picture: Image.Image) -> Image.Image:
    return picture


def _half(picture: Image.Image) -> Image.Image:
    size = (max(1, picture.width // 2), max(1, picture.height // 2))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _cropped(picture: Image.Image) -> Image.Image:
    """Cut a tenth off each side but the right one."""
    width, height = picture.size
    return picture.crop((width // 10, height // 10, width, height - height // 10))


def _shifted(picture: Image.Image) -> Image.Image:
    """Warm the colours: red up, blue down, saturation and brightness up."""
    red, green, blue = picture.split()
    warm = Image.merge("RGB", (red.point(lambda v: v * 1.15), green, blue.point(lambda v: v * 0.8)))
    return ImageEnhance.Brightness(ImageEnhance.Color(warm).enhance(1.3)).enhance(1.05)


_COPIES: dict[str, tuple[Callable[[Image.Image], Image.Image], int]] = {
    "recompressed": (_same, 25),
    "resized": (_half, 90),
    "cropped": (_cropped, 90),
    "mirrored": (ImageOps.mirror, 90),
    "recoloured": (_shifted, 90),
}
