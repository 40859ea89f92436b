"""Embeds blocks of images: one of these for each device, as an actor of Ray Data."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Sequence
from typing import Any

from prometheus_client import CollectorRegistry

from embedder_service import settings as embedder_settings
from embedder_service.decode.pool import Source
from embedder_service.embedder import Embedder
from embedder_service.lanes import Lane
from embedder_service.models import spec
from embedder_service.models.choice import define
from embedder_service.servicer import embedding_message
from embedder_service.wiring import build_embedder
from lookalike.wire.errors import Exhausted, LookalikeError
from lookalike_bulk.blocks import BlockFolder, Failure
from lookalike_bulk.listing import Image, Row, read_block
from lookalike_bulk.options import Options
from search_service.domain.mutations import Upsert
from search_service.servicers.translate import split_facts

# Images of one block under way: some decode while others are in the forward pass.
_UNDER_WAY = 192
# Replicas on the same node come first: processes of Ray are as important as they (deploy/kuberay).
_NICE = 10
# A full queue empties by a batch: this is one.
_FULL_RETRY_S = 0.05


class EmbedBlock:
    """Embeds a block and writes its file; called from several threads at a time."""

    def __init__(self, options: Options) -> None:
        """Load the model."""
        os.nice(_NICE)
        self._options = options
        self._folder = BlockFolder(options.work / "blocks")
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="embed", daemon=True).start()
        self._embedder: Embedder = self._run(_start(options))

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Embed the block that `row` names; return its number and counts."""
        began_s = time.time()
        number = int(row["number"])
        rows = [Row(*pair) for pair in zip(row["ids"], row["locations"], strict=True)]
        images = list(read_block(rows, self._options.prefix))
        made = self._run(self._embed_all(images))
        items = [each for each in made if isinstance(each, Upsert)]
        failures = [each for each in made if isinstance(each, Failure)]
        self._folder.write(number, items, failures)
        counts = {"items": len(items), "failures": len(failures)}
        return {"number": number, "began_s": began_s, **counts}

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _embed_all(self, images: Sequence[Image]) -> list[Upsert | Failure]:
        places = asyncio.Semaphore(_UNDER_WAY)

        async def embed(image: Image) -> Upsert | Failure:
            async with places:
                return await self._embed(image)

        return list(await asyncio.gather(*(embed(image) for image in images)))

    async def _embed(self, image: Image) -> Upsert | Failure:
        if image.error:
            return Failure(image.id, "REFERENCE_INVALID", image.error)
        while True:
            try:
                made = await self._embedder.embed(Source(image.data), "", Lane.BULK, None)
                facts, thumbnail = split_facts(embedding_message(made).facts, "facts")
            except Exhausted:
                await asyncio.sleep(_FULL_RETRY_S)
            except LookalikeError as error:
                return Failure(image.id, error.reason.name, error.message)
            else:
                return Upsert(image.id, made.vector, image.metadata, facts, thumbnail)


def settings_of(options: Options) -> embedder_settings.Settings:
    """Return what an embedder with these options would be run with."""
    arguments = ["--models", options.model, "--precision", options.precision]
    arguments += ["--device", options.device]
    if options.cache_dir is not None:
        arguments += ["--cache-dir", str(options.cache_dir)]
    return embedder_settings.load(arguments, {})


async def _start(options: Options) -> Embedder:
    embedder = build_embedder(settings_of(options), CollectorRegistry(), lambda _: None)
    await embedder.start()
    return embedder


def model_of(options: Options) -> tuple[str, int]:
    """Return the fingerprint and the dimension of the model, which is not loaded."""
    definition = define(spec.parse(options.model), options.precision)
    return definition.fingerprint, definition.dimension
