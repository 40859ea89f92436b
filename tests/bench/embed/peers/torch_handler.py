"""What one writes first: torch eager behind a unary gRPC handler, a thread a call."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

sys.path[:0] = [str(Path(__file__).parents[4] / "protos")]

from tests.bench.embed.peers.network import TorchNetwork  # noqa: E402 - after the path


def main() -> None:
    """Serve until terminated."""
    network = TorchNetwork()

    def embed(request: bytes, _context: grpc.ServicerContext) -> bytes:
        vector: bytes = network.embed([request])[0].tobytes()
        return vector

    handlers: dict[str, Any] = {"Embed": grpc.unary_unary_rpc_method_handler(embed)}
    server = grpc.server(ThreadPoolExecutor(max_workers=os.cpu_count()))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("bench.Plain", handlers),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"PORT {port}", flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
