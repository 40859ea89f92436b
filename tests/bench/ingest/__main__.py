"""`python -m tests.bench.ingest`: how soon an image is found, and how many a second."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lookalike.v1 import collection_pb2
from tests.bench.ingest import load
from tests.bench.report import Report, median, percentile
from tests.integration.ingest.caller import caller
from tests.integration.ingest.system import System

LATENCY = "s from submitting one image to an idle system until it is found (p99)"
RATE = "images/s from bytes to searchable, over the embedder's own rate in the same run"
_ROUNDS = 3


def main() -> None:
    """Measure; rows that miss are rows all the same."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.ingest")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full run")
    parser.add_argument("--only", default="", help="rows to measure: 0, 1")
    parser.add_argument("--images", type=Path, default=load.FASHION, help="folder of JPEG files")
    options = parser.parse_args()
    words = ["make", "bench-ingest"] if not sys.argv[1:] else ["python", "-m tests.bench.ingest"]
    report = Report("ingest", " ".join([*words, *sys.argv[1:]]))
    only = set(filter(None, options.only.split(",")))
    if not only or "0" in only:
        asyncio.run(_latency(report, options.images, max(20, int(200 * options.scale))))
    if not only or "1" in only:
        asyncio.run(_throughput(report, options.images, max(100, int(1_500 * options.scale))))
    report.print_table()


async def _latency(report: Report, folder: Path, count: int) -> None:
    images = load.pictures(folder, count)
    with _system("efficientnet-lite0") as system:
        async with caller(system.search_address) as one:
            await one.collections.CreateCollection(
                collection_pb2.CreateCollectionRequest(name="c", model="")
            )
            times_s = []
            for number, image in enumerate(images):
                times_s.append(await load.searchable_s(one, "c", number, image))
                await asyncio.sleep(0.02)  # idle again
    detail = f"; median {median(times_s):.3f}, worst {max(times_s):.3f}, of {len(times_s)}"
    report.at_most("ingest.0", LATENCY + detail, percentile(times_s, 99), "s", 1.0)


async def _throughput(report: Report, folder: Path, count: int) -> None:
    images = load.pictures(folder, count)
    embeds: list[float] = []
    ingests: list[float] = []
    with _system("efficientnet-lite2") as system:
        async with caller(system.search_address) as one:
            await load.embed_rate(system.embedder_address, images[:100])  # warm-up
            for number in range(_ROUNDS):
                embeds.append(await load.embed_rate(system.embedder_address, images))
                before = [program.cpu_s() for program in system.programs]
                ingests.append(await load.ingest_rate(one, f"round-{number}", images))
                after = [program.cpu_s() for program in system.programs]
    spent = {
        program.name: round((late - early) / len(images) * 1e3, 2)
        for program, early, late in zip(system.programs, before, after, strict=True)
    }
    embed, ingest = median(embeds), median(ingests)
    detail = f" ({ingest:.1f} / {embed:.1f}, {len(images)} images)"
    report.at_least("ingest.1", RATE + detail, ingest / embed, "ratio", 0.85)
    report.stated("ingest.1a", "images/s from bytes to searchable", ingest, "images/s")
    report.stated("ingest.1b", "CPU of each process for one image", dict(spent), "ms")


@contextmanager
def _system(model: str) -> Iterator[System]:
    directory = Path(tempfile.mkdtemp(prefix="lookalike-bench-"))
    system = System(directory, model=model)
    try:
        system.start()
        yield system
    finally:
        system.stop()
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
