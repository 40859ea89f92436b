"""`make cluster`: three nodes, a log and a front on this machine, until it is told to end."""

from __future__ import annotations

import argparse
import signal
import tempfile
from pathlib import Path

from tests.cluster.system import new_system


def main() -> None:
    """Start all of it, and wait for SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("--port", type=int, default=50051, help="of the front")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _end)
    with tempfile.TemporaryDirectory(prefix="lookalike-cluster-") as folder:
        print("starting a log, three nodes of Ray and a front ...", flush=True)
        try:
            with new_system(Path(folder), durable_head=True) as system:
                front = system.front("--port", str(options.port))
                nodes = ", ".join(node.address for node in system.nodes)
                print(f"nodes {nodes}; the front is at 127.0.0.1:{front.port}", flush=True)
                print(f"data, and logs of Ray: {folder}; Ctrl-C ends and deletes it", flush=True)
                signal.pause()
        except KeyboardInterrupt:
            print("ended", flush=True)


def _end(number: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
