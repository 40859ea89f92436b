"""cluster.6 to cluster.8: `lookalike bulk-index` beside the embedder and beside ingestion."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

from lookalike_client import Client
from lookalike_client.inputs import ImageItem
from tests.bench.ingest import load
from tests.bench.report import Report
from tests.cluster.comparing import difference
from tests.integration.ingest.system import ROOT, System

_MODEL = "efficientnet-lite2"
_RATIO = "images/s of bulk indexing, from the first block on, over the embedder's own rate"
_WARM_UP = 100


def measure(report: Report, folder: Path, count: int, work: Path) -> None:
    """Index the same images in bulk and through the queue, and compare."""
    images = load.pictures(folder, count)
    source = work / "images"
    source.mkdir(parents=True)
    names = [f"{number:05d}.jpg" for number in range(len(images))]
    for name, image in zip(names, images, strict=True):
        (source / name).write_bytes(image)
    system = System(work, model=_MODEL)
    try:
        system.start()
        asyncio.run(load.embed_rate(system.embedder_address, images[:_WARM_UP]))
        # Before and after, since a machine that is shared with other work changes.
        rates = [asyncio.run(load.embed_rate(system.embedder_address, images))]
        done = _bulk_index(source, work / "bulk-work", system.search_address)
        rates.append(asyncio.run(load.embed_rate(system.embedder_address, images)))
        alone, bulk = sum(rates) / len(rates), done["embedded"] / done["embed_s"]
        what = f"{_RATIO} ({bulk:.1f} / {alone:.1f}, {len(images):,} images)"
        report.at_least("cluster.6", what, bulk / alone, "ratio", 0.9)
        with Client(system.search_address) as client:
            client.collections.create("one-by-one")
            items = [ImageItem(*pair) for pair in zip(names, images, strict=True)]
            list(client.submit_images("one-by-one", items, job_id="one-by-one"))
            list(client.watch_ingest("one-by-one"))
            found = difference(client, "bulk", "one-by-one")
    finally:
        system.stop()
    differing = {*found.only_in_one, *found.other_metadata, *found.other_facts}
    what = f"items with another id, metadata or facts than by ingestion, of {len(images):,}"
    report.equals("cluster.7", what, len(differing) + len(images) - found.items, "items", 0)
    what = "least cosine of a vector in bulk to that by ingestion"
    report.at_least("cluster.8", what, found.least_cosine, "", 0.9999)


def _bulk_index(source: Path, work: Path, address: str) -> dict[str, float]:
    paths = os.pathsep.join(str(ROOT / part) for part in ("", "protos", "client", "deploy/ray"))
    command = [
        *(sys.executable, "-m", "lookalike_client", "bulk-index", str(source)),
        *("--collection", "bulk", "--work", str(work), "--model", _MODEL),
        *("--address", address, "--json"),
    ]
    environment = {**os.environ, "PYTHONPATH": paths}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if ran.returncode:
        raise RuntimeError(f"bulk-index ended with {ran.returncode}: {ran.stderr[-2000:]}")
    done: dict[str, float] = json.loads(ran.stdout)
    return done
