"""What callers hand in: queries, items, pictures, vectors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt

from lookalike.v1 import search_pb2
from lookalike.wire import vectors
from lookalike.wire.channel import MAX_IMAGE_BYTES
from lookalike.wire.errors import ImageUnreadable, InvalidField, LimitExceeded
from lookalike_client.lists import listed
from lookalike_client.types import ImageFacts, MetadataLike

VectorLike: TypeAlias = npt.NDArray[np.floating] | Sequence[float]
ImageLike: TypeAlias = bytes | bytearray | memoryview | str | Path


@dataclass(frozen=True, slots=True)
class Example:
    """A stored item, a vector, an image or a text, as an example of what to find.

    `weight` is how much it counts in the mean of its kind: 1 if None.
    """

    message: search_pb2.Example

    @classmethod
    def by_id(cls, item_id: str, *, weight: float | None = None) -> Self:
        """Name a stored item."""
        return cls(search_pb2.Example(id=item_id, weight=weight))

    @classmethod
    def by_vector(cls, vector: VectorLike, *, weight: float | None = None) -> Self:
        """Give a vector, float32 [D]."""
        return cls(search_pb2.Example(vector_f32_le=vector_bytes(vector), weight=weight))

    @classmethod
    def by_image(cls, image: ImageLike, *, weight: float | None = None) -> Self:
        """Give a picture: encoded bytes, or the path of a file."""
        return cls(search_pb2.Example(image=image_bytes(image), weight=weight))

    @classmethod
    def by_text(cls, text: str, *, weight: float | None = None) -> Self:
        """Say what is to be seen, such as "a red shoe", for an encoder with a text tower."""
        return cls(search_pb2.Example(text=text_of(text), weight=weight))


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for."""

    message: search_pb2.Query

    @classmethod
    def by_vector(cls, vector: VectorLike) -> Self:
        """Look for what is near a vector, float32 [D], any length but zero."""
        return cls(search_pb2.Query(vector_f32_le=vector_bytes(vector)))

    @classmethod
    def by_image(cls, image: ImageLike) -> Self:
        """Look for what looks like a picture: encoded bytes, or a file's path.

        Raises:
            OSError: the file cannot be read.
            LimitExceeded: it is too large for a message.
        """
        return cls(search_pb2.Query(image=image_bytes(image)))

    @classmethod
    def by_id(cls, item_id: str) -> Self:
        """Look for what looks like a stored item, which is left out itself."""
        return cls(search_pb2.Query(id=item_id))

    @classmethod
    def by_text(cls, text: str) -> Self:
        """Look for what a text says, such as "a red shoe".

        The collection's encoder must have a text tower; another is refused by the service.

        Raises:
            InvalidField: it is empty, or no text.
        """
        return cls(search_pb2.Query(text=text_of(text)))

    @classmethod
    def by_examples(
        cls,
        positives: Iterable[Example],
        negatives: Iterable[Example] = (),
        *,
        best_score: bool = False,
    ) -> Self:
        """Look for what is near the positives and far from the negatives.

        By their means, weighted where examples have weights; with `best_score` each
        example counts by itself: first come items that are nearer to a positive than to
        any negative, by the nearest one.
        """
        mode = search_pb2.EXAMPLE_MODE_BEST_SCORE if best_score else search_pb2.EXAMPLE_MODE_MEAN
        examples = search_pb2.Examples(
            mode=mode,
            positives=[each.message for each in listed("positives", positives)],
            negatives=[each.message for each in listed("negatives", negatives)],
        )
        return cls(search_pb2.Query(examples=examples))


@dataclass(frozen=True, slots=True)
class NamedVectors:
    """Vectors of an item by one name, float32 [D] each, and the model that made them, if any."""

    vectors: Iterable[VectorLike]
    model_fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class VectorItem:
    """A vector to store, float32 [D], under an id; `facts` of the image it was made of.

    `metadata` replaces what is stored under the id; None leaves it as it is.
    `duplicate_policy` ("off", "accept", "flag", "reject") goes before the collection's.
    `further_vectors`, at most 63, are of the same thing too: that one counts which is
    nearest to a query. `named_vectors` are those by the collection's names.
    """

    id: str
    vector: VectorLike
    metadata: MetadataLike | None = None
    model_fingerprint: str = ""
    facts: ImageFacts | None = None
    duplicate_policy: str = ""
    further_vectors: Iterable[VectorLike] = ()
    named_vectors: Mapping[str, NamedVectors] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImageItem:
    """An image to embed and store: `image` as bytes or path, or a reference.

    A path is read when the item's turn comes, so that a long list of paths costs
    no memory. `image_uri` is read by the service ("file:", "s3:", "gs:").
    `metadata` replaces what is stored under the id; None leaves it as it is.
    `duplicate_policy` ("off", "accept", "flag", "reject") goes before the collection's.
    `further_images`, at most 63, show the same thing too, each as `image`, or a reference
    where it begins with "file:", "s3:" or "gs:": that one counts which is nearest to a query.
    """

    id: str
    image: ImageLike | None = None
    metadata: MetadataLike | None = None
    image_uri: str = ""
    duplicate_policy: str = ""
    further_images: Iterable[ImageLike] = ()


@dataclass(frozen=True, slots=True)
class DeleteItem:
    """An item to delete, in the order of the other mutations of its id."""

    id: str


@dataclass(frozen=True, slots=True)
class MetadataItem:
    """Metadata to replace, in the order of the other mutations of its id."""

    id: str
    metadata: MetadataLike


@dataclass(frozen=True, slots=True)
class MatchItem:
    """An image to match against a bank, under a `key` of the caller's.

    Give an image as bytes or path, which is read when its turn comes; or the id of a stored
    item; or what is known of it, a vector, float32 [D], and a PDQ hash, 64 hexadecimal
    digits, or one of them.
    """

    key: str
    image: ImageLike | None = None
    id: str = ""
    vector: VectorLike | None = None
    pdq_hash: str = ""
    pdq_quality: int | None = None


QueuedMutation: TypeAlias = ImageItem | DeleteItem | MetadataItem


def vector_bytes(vector: VectorLike) -> bytes:
    """Return a vector, [D], as little-endian float32.

    Raises:
        InvalidField: it is not one row of numbers.
    """
    try:
        array = np.asarray(vector, dtype=np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidField("vector", "must be a row of numbers") from error
    if array.ndim != 1 or not array.size:
        raise InvalidField("vector", f"must be one row of numbers, got shape {array.shape}")
    return vectors.encode(array)


def text_of(text: str) -> str:
    """Return a text that is one.

    Raises:
        InvalidField: it is empty, or no text.
    """
    if not isinstance(text, str):
        raise InvalidField("text", f"must be a text, got {type(text).__name__}")
    if not text.strip():
        raise InvalidField("text", "the text is empty")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidField("text", "holds what is no character (half of a pair)") from error
    return text


def image_bytes(image: ImageLike) -> bytes:
    """Return an encoded picture, reading it if a path is given.

    Raises:
        OSError: the file cannot be read.
        LookalikeError: it is empty, or too large for a message.
    """
    if isinstance(image, bytes | bytearray | memoryview):
        data = bytes(image)
        size = len(data)
    else:
        path = _path(image)
        size = path.stat().st_size
        data = path.read_bytes() if size <= MAX_IMAGE_BYTES else b""
    if size == 0:
        raise ImageUnreadable("the file is empty")
    if size > MAX_IMAGE_BYTES:
        raise LimitExceeded(
            "image",
            f"the file has {size:,} bytes; the limit is {MAX_IMAGE_BYTES:,}, what fits in a "
            "message: send a smaller copy, or let the service read it by reference (image_uri)",
        )
    return data


def _path(image: str | Path) -> Path:
    try:
        path = Path(image)
    except TypeError as error:
        kind = type(image).__name__
        raise InvalidField("image", f"must be bytes or a path, got {kind}") from error
    if "\0" in str(path):  # no file system has such names
        raise InvalidField("image", "the path of the file holds a null character")
    return path
