"""The parts of queries, and what has to be fetched before their vectors can be made."""

from __future__ import annotations

import time
from dataclasses import dataclass

from lookalike.wire.errors import InvalidField, LimitExceeded, NotFound, Precondition, Reason
from search_service import limits
from search_service.domain.arrays import F32
from search_service.domain.collection import CollectionSpec
from search_service.domain.items import Fields
from search_service.domain.reading import ANYTIME, Reading
from search_service.embedders import Embedders
from search_service.offload import Offload
from search_service.servicers.vectors import unit_vector
from search_service.shard.api import ShardApi

_VECTOR_ONLY = Fields(vector=True)


@dataclass(frozen=True, slots=True)
class Part:
    """A vector, or where it comes from: an id, the number of an image, or a text."""

    field: str
    given: F32 | None = None
    id: str = ""
    image: int = -1
    text: str = ""
    weight: float = 1.0

    def vector(self, wanted: Wanted) -> F32:
        """Return the vector, float32 [D], unit L2, once `wanted` is fetched."""
        if self.given is not None:
            return self.given
        if self.text:
            return wanted.of_texts[self.text]
        return wanted.stored[self.id] if self.id else wanted.embedded[self.image]


class Wanted:
    """What has to be fetched before the vectors of a request can be made."""

    def __init__(self, spec: CollectionSpec) -> None:
        self._spec = spec
        self._ids: dict[str, str] = {}
        self._images: list[tuple[bytes, str]] = []
        self.stored: dict[str, F32] = {}
        self._texts: dict[str, str] = {}
        self.embedded: list[F32] = []
        self.of_texts: dict[str, F32] = {}

    def part_of_vector(self, data: bytes, field: str) -> Part:
        """Take a vector that is given."""
        return Part(field, given=unit_vector(data, self._spec.dimension, field))

    def part_of_id(self, item_id: str, field: str) -> Part:
        """Want the vector of a stored item."""
        limits.check_id(item_id, field)
        self._ids.setdefault(item_id, field)
        return Part(field, id=item_id)

    def part_of_text(self, text: str, field: str) -> Part:
        """Want the vector of a text."""
        self._check_model(field)
        if not text.strip():
            raise InvalidField(field, "the text is empty")
        if len(text) > limits.MAX_TEXT_CHARACTERS:
            raise LimitExceeded(
                field,
                f"has {len(text):,} characters; at most {limits.MAX_TEXT_CHARACTERS:,} are read",
            )
        self._texts.setdefault(text, field)
        return Part(field, text=text)

    def part_of_image(self, image: bytes, field: str) -> Part:
        """Want the vector of an encoded image."""
        self._check_model(field)
        if not image:
            raise InvalidField(field, "the image is empty")
        self._images.append((image, field))
        return Part(field, image=len(self._images) - 1)

    async def read_ids(
        self, shard: ShardApi, offload: Offload, name: str = "", reading: Reading = ANYTIME
    ) -> None:
        """Read the vectors of stored items, the first of each; those of a name.

        Raises:
            NotFound: one is not stored, or has none of the name, with its path.
        """
        if not self._ids:
            return
        ids = list(self._ids)
        items = await offload.run(shard.get, ids, _VECTOR_ONLY, reading)
        for item_id, item in zip(ids, items, strict=True):
            if item is None or item.vector is None:
                raise NotFound(
                    f'there is no item "{item_id}"',
                    reason=Reason.ITEM_NOT_FOUND,
                    field=self._ids[item_id],
                )
            if name and name not in item.named:
                raise NotFound(
                    f'item "{item_id}" has no vector of the name "{name}"',
                    reason=Reason.ITEM_NOT_FOUND,
                    field=self._ids[item_id],
                )
            self.stored[item_id] = item.named[name][0] if name else item.vector

    async def embed(self, embedders: Embedders, deadline_s: float | None) -> float:
        """Have images and texts embedded; return how long that took, in seconds.

        Raises:
            Precondition: texts, and a model without a text tower.
            LookalikeError: as `Embedders` says.
        """
        if not self._images and not self._texts:
            return 0.0
        started_s = time.monotonic()
        spec = self._spec
        if self._texts:
            await self._embed_texts(embedders, deadline_s)
        self.embedded = await embedders.embed_all(
            self._images, spec.model_fingerprint, spec.dimension, deadline_s
        )
        return time.monotonic() - started_s

    async def _embed_texts(self, embedders: Embedders, deadline_s: float | None) -> None:
        spec = self._spec
        try:
            made = await embedders.embed_texts(
                list(self._texts.items()), spec.model_fingerprint, spec.dimension, deadline_s
            )
        except Precondition as error:
            raise Precondition(
                f'the encoder of collection "{spec.name}" has no text tower: search it by image, '
                "id or vector, or make a collection of an encoder that has one, such as "
                "openclip:ViT-B-32=FILE",
                reason=error.reason,
                field=error.field or next(iter(self._texts.values())),
            ) from error
        self.of_texts = dict(zip(self._texts, made, strict=True))

    def _check_model(self, field: str) -> None:
        if not self._spec.model_fingerprint:
            raise Precondition(
                f'collection "{self._spec.name}" holds vectors that callers make; no model '
                "belongs to it, so search it by vector or id",
                reason=Reason.MODEL_MISMATCH,
                field=field,
            )
