"""LitServe with the same network: batches of up to 16, as its documentation advises."""

from __future__ import annotations

import base64
import importlib
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[4] / "protos")]

_MAX_BATCH = 16
_BATCH_TIMEOUT_S = 0.02


# Installed in the peers' environment only, so no checker sees its types.
litserve: Any = importlib.import_module("litserve")


class EmbedApi(litserve.LitAPI):  # type: ignore[misc]  # a base without types
    """Base64 JPEG in, vector out."""

    runtime = "torch"

    def setup(self, device: str) -> None:
        """Load the network in the worker process."""
        from tests.bench.embed.peers.network import OpenVinoNetwork, TorchNetwork

        self.network = OpenVinoNetwork() if self.runtime == "openvino" else TorchNetwork()

    def decode_request(self, request: dict[str, str], **_: Any) -> bytes:
        """Return the file."""
        return base64.b64decode(request["image"])

    def batch(self, inputs: list[bytes]) -> list[bytes]:
        """Keep the files as a list."""
        return inputs

    def predict(self, inputs: list[bytes], **_: Any) -> Any:
        """Decode and embed a batch."""
        return self.network.embed(inputs)

    def unbatch(self, output: Any) -> Any:
        """Return one vector a caller."""
        return list(output)

    def encode_response(self, output: Any, **_: Any) -> dict[str, str]:
        """Return the vector as base64 of its bytes."""
        return {"vector": base64.b64encode(np.asarray(output).tobytes()).decode()}


def main() -> None:
    """Serve until terminated."""
    EmbedApi.runtime = sys.argv[1]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    threading.Thread(target=_announce, args=(port,), daemon=True).start()
    api = EmbedApi(max_batch_size=_MAX_BATCH, batch_timeout=_BATCH_TIMEOUT_S)
    server = litserve.LitServer(api, accelerator="cpu", timeout=60)
    server.run(host="127.0.0.1", port=port, num_api_servers=1, generate_client_file=False)


def _announce(port: int) -> None:
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as page:
                if page.status == 200:
                    print(f"PORT {port}", flush=True)
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)


if __name__ == "__main__":
    main()
