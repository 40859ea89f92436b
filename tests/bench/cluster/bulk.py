"""cluster.6: the rate of `lookalike bulk-index` against that of the embedder alone."""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path

from prometheus_client import CollectorRegistry

from embedder_service import settings as embedder_settings
from embedder_service.decode.pool import Source
from embedder_service.lanes import Lane
from embedder_service.wiring import build_embedder
from lookalike_bulk.options import Options
from lookalike_bulk.pipeline import run
from tests.bench.report import Report
from tests.integration.search_server import running

_UNDER_WAY = 192


def measure(report: Report, images: Path, work: Path) -> None:
    """Add the row."""
    paths = sorted(path for path in images.rglob("*") if path.is_file())
    alone = asyncio.run(_embed_all(paths))
    with running(work / "bulk-data", "--threads", "1") as server:
        options = Options(
            uri=str(images),
            collection="bulk",
            work=work / "bulk-work",
            address=f"127.0.0.1:{server.port}",
        )
        done = run(options, lambda _: None)
    shutil.rmtree(work / "bulk-work")
    rate = done.embedded / done.embed_s
    what = (
        f"bulk indexing of {done.embedded:,} images ÷ the embedder alone ({alone:.1f} images/s), "
        "from the first block on"
    )
    report.at_least("cluster.6", what, rate / alone, "ratio", 0.9)


async def _embed_all(paths: list[Path]) -> float:
    settings = embedder_settings.load([], {})
    embedder = build_embedder(settings, CollectorRegistry(), lambda _: None)
    await embedder.start()
    places = asyncio.Semaphore(_UNDER_WAY)

    async def embed(path: Path) -> None:
        async with places:
            data = await asyncio.to_thread(path.read_bytes)
            await embedder.embed(Source(data), "", Lane.BULK, None)

    started_s = time.monotonic()
    await asyncio.gather(*(embed(path) for path in paths))
    rate = len(paths) / (time.monotonic() - started_s)
    await embedder.close()
    return rate
