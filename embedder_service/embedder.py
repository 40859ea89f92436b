"""All models that one process serves."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from embedder_service.decode.pool import DecodePool, Source
from embedder_service.encoder import Embedding, Encoder
from embedder_service.lanes import Lane
from lookalike.wire.errors import NotFound, Reason

# A fingerprint is longer than this, and nobody reads all of it.
_LONGEST_NAME = 60


class Embedder:
    """Finds the encoder that a caller names; the first is the default."""

    def __init__(self, pool: DecodePool, encoders: Sequence[Encoder]) -> None:
        self._pool = pool
        self.encoders = tuple(encoders)

    async def start(self) -> None:
        """Start the decode processes, then load and warm up one model after another.

        Raises:
            OSError, ModelError, RuntimeUnsupported: it cannot be served here.
        """
        starting = asyncio.create_task(self._pool.start())
        try:
            for encoder in self.encoders:
                await encoder.start()
        finally:
            await starting

    async def close(self) -> None:
        """Resolve what waits, end the processes, free the devices."""
        await asyncio.gather(*(encoder.close() for encoder in self.encoders))
        await self._pool.close()

    @property
    def healthy(self) -> bool:
        """Whether every model can embed now."""
        return all(encoder.healthy for encoder in self.encoders)

    def encoder(self, model: str) -> Encoder:
        """Return the encoder of a name or fingerprint; the default one for "".

        Raises:
            NotFound: no such model is served here.
        """
        if not model:
            return self.encoders[0]
        for encoder in self.encoders:
            if model in (encoder.definition.name, encoder.fingerprint):
                return encoder
        served = ", ".join(
            f"{each.definition.name} ({each.fingerprint[:12]}…)" for each in self.encoders
        )
        raise NotFound(
            f"model {_short(model)} is not served here, but {served}: start an embedder with that "
            "model, or use a collection of one that is served",
            reason=Reason.MODEL_NOT_FOUND,
            field="model",
        )

    async def embed(
        self,
        source: Source,
        model: str,
        lane: Lane,
        deadline_s: float | None,
        *,
        thumbnail_side_px: int = 0,
    ) -> Embedding:
        """Embed one image; see `Encoder.embed` for what it raises."""
        return await self.encoder(model).embed(
            source, lane, deadline_s, thumbnail_side_px=thumbnail_side_px
        )


def _short(model: str) -> str:
    """Return a name as it is, a fingerprint cut to its first digits."""
    return model if len(model) <= _LONGEST_NAME else f"{model[:12]}…"
