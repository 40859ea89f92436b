"""The job from end to end; each step's result is in the work folder, and is not made twice."""

from __future__ import annotations

import json
import logging
import math
import os
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookalike_bulk.blocks import BlockFolder
from lookalike_bulk.building import BuildJob, build_partition
from lookalike_bulk.embedding import EmbedBlock, model_of
from lookalike_bulk.listing import Listing, Refused, Row, list_source
from lookalike_bulk.options import Options, OptionsInvalid
from lookalike_bulk.publishing import check_free, publish_on_cluster, publish_on_server
from lookalike_client.settings import ClientSettings
from search_service.domain.collection import CollectionSpec, DuplicateSettings, Preset
from search_service.durable_files import write_durably
from search_service.presets import index_settings

# Blocks that one actor works on at a time: while one's last batch is in the forward pass,
# the next one's images are decoded.
_BLOCKS_AT_A_TIME = 2
# Of Ray's store of objects: blocks pass by their numbers, images never.
_OBJECT_STORE_BYTES = 100 << 20

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a job; times in seconds."""

    items: int
    failures: int
    embed_s: float
    embedded: int
    build_s: float
    failures_file: Path


def run(options: Options, server: ClientSettings, say: Say) -> Report:
    """List, embed, build and publish; go on where an earlier run stopped.

    Raises:
        OptionsInvalid: nothing to do, or another job's work folder.
        LookalikeError: what the parts say.
    """
    (options.work / "blocks").mkdir(parents=True, exist_ok=True)
    check_free(options, server)
    job = _job(options)
    listing = _listing(options, say)
    _start_ray(options)
    blocks = BlockFolder(options.work / "blocks")
    embedded, embed_s = _embed(options, listing, blocks, say)
    items, report = _report(options, listing, blocks)
    if not items:
        raise OptionsInvalid(f"no image could be indexed: {report} says why")
    started_s = time.monotonic()
    if job.get("published"):
        # That collection may be gone with all that belongs to it: this one is another.
        job = _note_job(options, {**job, "uid": uuid.uuid4().hex, "published": ""})
    spec = _spec(options, job["uid"])
    stored = _build(options, spec, len(listing.blocks), items)
    if options.cluster_log:
        publish_on_cluster(options, spec, items)
        _note_job(options, {**job, "published": "yes"})
    else:
        (build,) = _jobs(options, spec, len(listing.blocks), items)
        publish_on_server(options, server, build.archive)
    build_s = time.monotonic() - started_s
    failures = sum(1 for _ in report.open())
    return Report(sum(stored), failures, embed_s, embedded, build_s, report)


def _job(options: Options) -> dict[str, str]:
    """Return what the work folder is for, which is noted at the first run."""
    path = options.work / "job.json"
    if path.exists():
        job: dict[str, str] = json.loads(path.read_text())
        if {name: job.get(name) for name in options.identity} != options.identity:
            raise OptionsInvalid(f"{options.work} is of another job: take an empty folder")
        return job
    return _note_job(options, {**options.identity, "uid": uuid.uuid4().hex})


def _note_job(options: Options, job: dict[str, str]) -> dict[str, str]:
    write_durably(options.work / "job.json", [json.dumps(job).encode()])
    return job


def _listing(options: Options, say: Say) -> Listing:
    """List the source once: blocks must stay what they are."""
    path = options.work / "listing.json"
    if not path.exists():
        found = list_source(options.uri, options.prefix, options.block_images)
        if not found.blocks:
            raise OptionsInvalid(f"there is no image in {options.uri}")
        content = {
            "blocks": [[[row.id, row.location] for row in block] for block in found.blocks],
            "refused": [[each.id, each.message] for each in found.refused],
        }
        write_durably(path, [json.dumps(content).encode()])
    read = json.loads(path.read_text())
    say(f"{len(read['blocks'])} blocks")
    return Listing(
        [[Row(*row) for row in block] for block in read["blocks"]],
        [Refused(*each) for each in read["refused"]],
    )


def _start_ray(options: Options) -> None:
    import ray

    if options.ray_address:
        ray.init(address=options.ray_address, log_to_driver=False, logging_level=logging.ERROR)
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(
        address="local",  # not a cluster that this machine happens to be a node of
        include_dashboard=False,
        _node_ip_address="127.0.0.1",
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=_OBJECT_STORE_BYTES,
        num_cpus=max(2, len(os.sched_getaffinity(0))),
    )


def _embed(options: Options, listing: Listing, blocks: BlockFolder, say: Say) -> tuple[int, float]:
    """Embed what is not embedded yet; return how many images that were, and how long it took
    once a model was loaded."""
    import ray

    finished = blocks.finished()
    todo = [number for number in range(len(listing.blocks)) if number not in finished]
    if finished:
        say(f"{len(finished)} blocks are finished already")
    if not todo:
        return 0, 0.0
    rows: list[dict[str, Any]] = [
        {
            "number": number,
            "ids": [row.id for row in listing.blocks[number]],
            "locations": [row.location for row in listing.blocks[number]],
        }
        for number in todo
    ]
    ray.data.DataContext.get_current().enable_progress_bars = False
    # It tells of its plans otherwise; `say` tells how far the job is.
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    gpus = int(ray.cluster_resources().get("GPU", 0))
    nodes = sum(node["Alive"] for node in ray.nodes())
    actors = min(options.embedders or gpus or nodes, len(todo))
    made = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
        EmbedBlock,
        fn_constructor_args=(options,),
        compute=ray.data.ActorPoolStrategy(
            size=actors, max_tasks_in_flight_per_actor=2 * _BLOCKS_AT_A_TIME
        ),
        ray_remote_args_fn=lambda: {"max_concurrency": _BLOCKS_AT_A_TIME},
        num_gpus=1 if gpus else 0,
    )
    embedded, began_s = 0, math.inf
    for done, row in enumerate(made.iter_rows(), start=1):
        embedded += row["items"]
        began_s = min(began_s, row["began_s"])
        say(f"{done} of {len(todo)} blocks, {embedded:,} images, {row['failures']} failed in it")
    return embedded, time.time() - began_s


def _report(options: Options, listing: Listing, blocks: BlockFolder) -> tuple[int, Path]:
    """Write what failed; return how many items there are, and the file."""
    items = 0
    lines: list[bytes] = [
        json.dumps({"id": each.id, "reason": "INVALID_FIELD", "message": each.message}).encode()
        for each in listing.refused
    ]
    for number in range(len(listing.blocks)):
        count, failures = blocks.counts(number)
        items += count
        lines += [
            json.dumps({"id": each.id, "reason": each.reason, "message": each.message}).encode()
            for each in failures
        ]
    path = options.work / "failures.jsonl"
    write_durably(path, [line + b"\n" for line in lines])
    return items, path


def _spec(options: Options, uid: str) -> CollectionSpec:
    fingerprint, dimension = model_of(options)
    return CollectionSpec(
        uid=uid,
        name=options.collection,
        dimension=dimension,
        model_fingerprint=fingerprint,
        index=index_settings(Preset(options.preset), dimension),
        duplicates=DuplicateSettings(),
        create_time_us=time.time_ns() // 1_000,
        partitions=options.partitions,
        replicas=options.replicas if options.cluster_log else 1,
    )


def _jobs(options: Options, spec: CollectionSpec, blocks: int, items: int) -> list[BuildJob]:
    threads = max(1, len(os.sched_getaffinity(0)) // spec.partitions)
    return [
        BuildJob(
            options.work,
            spec,
            partition,
            blocks,
            threads,
            storage=options.cluster_snapshots,
            position=items,
        )
        for partition in range(spec.partitions)
    ]


def _build(options: Options, spec: CollectionSpec, blocks: int, items: int) -> Sequence[int]:
    """Build all partitions, side by side; return the items of each."""
    import ray

    task = ray.remote(build_partition).options(num_cpus=1)
    built: list[int] = ray.get([task.remote(job) for job in _jobs(options, spec, blocks, items)])
    return built
