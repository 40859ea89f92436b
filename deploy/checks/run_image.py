"""Runs a mounted image of the search service as a cluster would, and searches it.

    python deploy/checks/run_image.py ROOT WORK IMAGE

ROOT is where the image is mounted, WORK an empty folder for its volumes, IMAGE what
`buildah inspect` says of it. The service gets a read-only root, the image's user and environment,
and nothing else that can be written but the volumes and /tmp.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from lookalike_client import Client, Query, VectorItem

# The first start compiles the loops of the search; some 20 seconds on an idle machine.
START_S = 180
END_S = 60
ITEMS = 200
DIMENSION = 64
VOLUMES = ("/var/lib/lookalike", "/var/cache/lookalike")


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(root: str, work: Path, config: dict[str, object], port: int) -> subprocess.Popen[bytes]:
    """Start the image's entry point; return its process."""
    user = str(config["User"])
    environment = [str(each) for each in config["Env"]]  # type: ignore[attr-defined]
    command = [str(each) for each in config["Entrypoint"]]  # type: ignore[attr-defined]
    number = user.partition(":")[0]
    if not number.isdigit() or number == "0":
        raise SystemExit(f"the image runs as {user}, not as a numbered user other than root")
    steps = [f"mount --bind {root} {root}", f"mount -o remount,bind,ro {root}"]
    for volume in VOLUMES:
        folder = work / volume.strip("/").replace("/", "-")
        folder.mkdir(exist_ok=True)
        os.chown(folder, int(number), int(number))
        steps.append(f"mount --bind {folder} {root}{volume}")
    steps += [
        f"mount -t tmpfs tmpfs {root}/tmp",  # noqa: S108 - in the image
        f"mount --rbind /dev {root}/dev",
        f"mount -t proc proc {root}/proc",
        f'exec chroot --userspec={user} {root} "$@"',
    ]
    arguments = ["--host", "127.0.0.1", "--port", str(port), "--health-port", str(free_port())]
    env = ["/usr/bin/env", "-i", *environment]
    isolated = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec"]
    return subprocess.Popen(
        [*isolated, " && ".join(steps), "sh", *env, *command, *arguments],
        stdout=subprocess.DEVNULL,
    )


def search(port: int) -> None:
    """Store vectors and find each of the first ten by itself."""
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((ITEMS, DIMENSION)).astype(np.float32)
    with Client(f"127.0.0.1:{port}") as client:
        end = time.monotonic() + START_S
        while not ready(client):
            if time.monotonic() > end:
                raise SystemExit(f"the image does not serve after {START_S} s")
            time.sleep(0.5)
        known = [each.name for each in client.collections.list()]
        if "trial" not in known:
            client.collections.create("trial", model=None, dimension=DIMENSION)
            items = (VectorItem(f"item-{i}", vectors[i]) for i in range(ITEMS))
            stored = sum(1 for _ in client.upsert_vectors("trial", items))
            print(f"stored {stored}")
        for i in range(10):
            (hit,) = client.search("trial", Query.by_vector(vectors[i]), limit=1).hits
            if hit.id != f"item-{i}":
                raise SystemExit(f"item-{i} finds {hit.id}")
    print("searched")


def ready(client: Client) -> bool:
    """Whether the service answers and takes calls."""
    try:
        return client.ready()
    except Exception:  # noqa: BLE001 - whatever it is, it is not ready
        return False


def main(root: str, work: Path, config: dict[str, object]) -> int:
    """Start it, search, end it as Kubernetes does, and see that all is there again."""
    for turn in ("first", "second"):
        port = free_port()
        process = start(root, work, config, port)
        try:
            search(port)
            inner = subprocess.run(
                ["pgrep", "--full", f"search_service --host 127.0.0.1 --port {port}"],
                capture_output=True,
                text=True,
                check=True,
            ).stdout.split()[-1]
            status = Path(f"/proc/{inner}/status").read_text(encoding="utf-8")
            resident = next(line for line in status.splitlines() if line.startswith("VmHWM"))
            print(f"{turn} start: {' '.join(resident.split())}")
            os.kill(int(inner), signal.SIGTERM)
            code = process.wait(END_S)
        finally:
            process.kill()
        if code != 0:
            raise SystemExit(f"the image ended with {code} after SIGTERM")
    print("image-test passed")
    return 0


if __name__ == "__main__":
    image = json.loads(Path(sys.argv[3]).read_text(encoding="utf-8"))
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), image["OCIv1"]["config"]))
