"""Runs mounted images as a cluster would, and uses what they serve.

    python deploy/checks/run_image.py WORK search=ROOT [worker=ROOT embedder=ROOT]

ROOT is where an image is mounted; WORK is a folder with NAME.json, what `buildah inspect` says
of each, and room for their volumes. Each gets a read-only root, its user and environment, and
nothing else that can be written but its volumes and /tmp. With all three, a photograph that is
submitted to the queue is found.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lookalike.wire.errors import Unavailable
from lookalike_client import Client, ImageItem, Query, VectorItem
from lookalike_client.supervisor import redis_server

# The first start compiles the loops of the search; some 20 seconds on an idle machine.
START_S = 180
END_S = 60
ITEMS = 200
DIMENSION = 64
CACHE, DATA = "/var/cache/lookalike", "/var/lib/lookalike"
VOLUMES = {"search": (DATA, CACHE), "embedder": (CACHE,), "worker": ()}
MODULES = {
    "search": "search_service",
    "embedder": "embedder_service",
    "worker": "embedder_service.worker",
}


@dataclass(frozen=True)
class Image:
    """An image and where it is mounted."""

    name: str
    root: str
    user: str
    environment: list[str]
    entrypoint: list[str]


def read(work: Path, name: str, root: str) -> Image:
    """Return what `buildah inspect` said of an image."""
    config = json.loads((work / f"{name}.json").read_text(encoding="utf-8"))["OCIv1"]["config"]
    number = str(config["User"]).partition(":")[0]
    if not number.isdigit() or number == "0":
        raise SystemExit(f"{name} runs as {config['User']}, not as a numbered user but root")
    return Image(name, root, config["User"], config["Env"], config["Entrypoint"])


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(image: Image, work: Path, *arguments: str) -> Iterator[None]:
    """Run an image's entry point; at the end SIGTERM must end it with 0, as in a cluster."""
    root, number = image.root, int(image.user.partition(":")[0])
    steps = [f"mount --bind {root} {root}", f"mount -o remount,bind,ro {root}"]
    for volume in VOLUMES[image.name]:
        folder = work / f"{image.name}{volume.replace('/', '-')}"
        folder.mkdir(exist_ok=True)
        os.chown(folder, number, number)
        steps.append(f"mount --bind {folder} {root}{volume}")
    steps += [
        f"mount -t tmpfs tmpfs {root}/tmp",  # noqa: S108 - in the image
        f"mount --rbind /dev {root}/dev",
        f"mount -t proc proc {root}/proc",
        f'exec chroot --userspec={image.user} {root} "$@"',
    ]
    env = ["/usr/bin/env", "-i", *image.environment, *image.entrypoint]
    isolated = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec"]
    health = str(free_port())
    process = subprocess.Popen(
        [*isolated, " && ".join(steps), "sh", *env, *arguments, "--health-port", health],
        stdout=subprocess.DEVNULL,
    )
    try:
        yield
        inner = own_pid(image.name, health)
        print(f"{image.name}: {most_memory(inner)}")
        os.kill(inner, signal.SIGTERM)
        code = process.wait(END_S)
    finally:
        process.kill()
        process.wait()
    if code != 0:
        raise SystemExit(f"{image.name} ended with {code} after SIGTERM")


def own_pid(name: str, health_port: str) -> int:
    """Return the number of the service's own process."""
    pattern = f"{MODULES[name]} .*--health-port {health_port}"
    found = subprocess.run(
        ["pgrep", "--full", "--newest", pattern], capture_output=True, text=True, check=True
    )
    return int(found.stdout)


def most_memory(pid: int) -> str:
    """Return the line of the most memory that was resident."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return " ".join(next(line for line in status.splitlines() if line.startswith("VmHWM")).split())


def wait_until(what: str, true: Callable[[], bool]) -> None:
    """Wait for at most START_S."""
    end = time.monotonic() + START_S
    while not true():
        if time.monotonic() > end:
            raise SystemExit(f"{what}: not after {START_S} s")
        time.sleep(0.5)


def ready(client: Client) -> bool:
    """Whether the service answers and takes calls."""
    try:
        return client.ready()
    except Unavailable:
        return False


def try_search(image: Image, work: Path) -> None:
    """Store vectors and find each of the first ten by itself, before and after a restart."""
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((ITEMS, DIMENSION)).astype(np.float32)
    for turn in ("first", "second"):
        port = free_port()
        arguments = ["--host", "127.0.0.1", "--port", str(port)]
        with started(image, work, *arguments), Client(f"127.0.0.1:{port}") as client:
            wait_until("search serves", lambda: ready(client))
            if turn == "first":
                client.collections.create("trial", model=None, dimension=DIMENSION)
                items = (VectorItem(f"item-{i}", vectors[i]) for i in range(ITEMS))
                for _ in client.upsert_vectors("trial", items):
                    pass
            for i in range(10):
                (hit,) = client.search("trial", Query.by_vector(vectors[i]), limit=1).hits
                if hit.id != f"item-{i}":
                    raise SystemExit(f"item-{i} finds {hit.id}")
            print(f"search, {turn} start: {ITEMS} vectors are there and found")


def try_all(images: dict[str, Image], work: Path) -> None:
    """Have photographs embedded by way of the queue, and find each by itself."""
    embedder, port, redis_port = free_port(), free_port(), free_port()
    redis = f"redis://127.0.0.1:{redis_port}/0"
    pictures = {path.stem: path.read_bytes() for path in photographs()}
    with ExitStack() as running:
        running.enter_context(queue(work / "redis", redis_port))
        at = ("--embedder", f"127.0.0.1:{embedder}", "--search", f"127.0.0.1:{port}")
        running.enter_context(started(images["worker"], work, "--redis", redis, *at))
        own = ("--embedders", f"127.0.0.1:{embedder}", "--redis", redis)
        host = ("--host", "127.0.0.1", "--port")
        running.enter_context(started(images["search"], work, *host, str(port), *own))
        running.enter_context(started(images["embedder"], work, *host, str(embedder)))
        client = running.enter_context(Client(f"127.0.0.1:{port}"))
        wait_until("search and embedder serve", lambda: created(client))
        items = [ImageItem(name, content) for name, content in pictures.items()]
        for answer in client.submit_images("photographs", items, job_id="trial"):
            if answer.error is not None:
                raise SystemExit(f"submit: {answer.error}")
        for event in client.watch_ingest("trial"):
            if event.result.error is not None:
                raise SystemExit(f"ingest: {event.result.error}")
        for name, content in pictures.items():
            (hit,) = client.search("photographs", Query.by_image(content), limit=1).hits
            if hit.id != name:
                raise SystemExit(f"{name} finds {hit.id}")
        print(f"embedder, worker and search: {len(pictures)} photographs submitted and found")


def created(client: Client) -> bool:
    """Make a collection, which asks the embedder; False while one of them does not answer."""
    try:
        client.collections.create("photographs")
    except Unavailable:
        return False
    return True


@contextmanager
def queue(directory: Path, port: int) -> Iterator[None]:
    """Run a Redis server."""
    config = redis_server.write_config(directory, port)
    process = subprocess.Popen([redis_server.find_binary(), str(config)], stdout=subprocess.DEVNULL)
    try:
        wait_until("Redis answers", lambda: redis_server.answers(port))
        yield
    finally:
        process.terminate()
        process.wait()


def photographs() -> list[Path]:
    """Return some that scikit-image ships."""
    found = importlib.util.find_spec("skimage")
    if found is None or found.origin is None:
        raise SystemExit("scikit-image, which carries the photographs, is not installed")
    folder = Path(found.origin).parent / "data"
    return [folder / name for name in ("chelsea.png", "coffee.png", "rocket.jpg", "astronaut.png")]


def main(work: Path, images: dict[str, Image]) -> int:
    """Try the search service alone, then all of them together."""
    try_search(images["search"], work)
    if len(images) == len(MODULES):
        try_all(images, work)
    print(f"image-test passed: {', '.join(images)}")
    return 0


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    named = dict(each.split("=", 1) for each in sys.argv[2:])
    sys.exit(main(folder, {name: read(folder, name, root) for name, root in named.items()}))
