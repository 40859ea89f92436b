"""embed.2: other servers with the same network and the same files."""

from __future__ import annotations

import base64
import http.client
import json
import os
import queue
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from tests.bench.embed import images
from tests.bench.embed.run import Missing, module_process
from tests.integration.embedder_process import ROOT

IN_FLIGHT = 32
_ENVIRONMENT = ROOT / ".bench-venv" / "embed"
_START_TIMEOUT_S = 120.0


def torch_handler_rate(seconds: float) -> float:
    """Return images a second of torch behind a plain unary gRPC handler."""
    with _server(module_process("tests.bench.embed.peers.torch_handler")) as port:
        files = images.jpegs()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            call: Any = channel.unary_unary("/bench.Plain/Embed")  # bytes to bytes

            def embed(number: int) -> None:
                call(files[number % len(files)])

            return _closed_loop(lambda: embed, seconds)


def litserve_rate(runtime: str, seconds: float) -> float:
    """Return images a second of LitServe with `runtime` ("torch" or "openvino") inside.

    Raises:
        Missing: it cannot be installed or does not start.
    """
    python = _litserve_python()
    process = module_process("tests.bench.embed.peers.litserve_app", runtime, python=python)
    with _server(process) as port:
        bodies = [json.dumps({"image": base64.b64encode(data).decode()}) for data in images.jpegs()]

        def connect() -> Callable[[int], None]:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

            def embed(number: int) -> None:
                body = bodies[number % len(bodies)]
                connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                if response.status != http.HTTPStatus.OK:
                    raise AssertionError(f"LitServe answered {response.status}")
                response.read()

            return embed

        return _closed_loop(connect, seconds)


def _closed_loop(connect: Callable[[], Callable[[int], None]], seconds: float) -> float:
    """Run 32 callers, one call at a time each; return the rate after a warm-up."""
    counts = [0] * IN_FLIGHT
    failures: list[Exception] = []
    warm_until = time.perf_counter() + max(seconds * 0.2, 1.0)
    until = warm_until + seconds

    def work(caller: int) -> None:
        try:
            embed = connect()
            number = caller
            while (now := time.perf_counter()) < until and not failures:
                embed(number)
                number += IN_FLIGHT
                counts[caller] += int(now >= warm_until)
        except (AssertionError, OSError, grpc.RpcError) as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(IN_FLIGHT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise AssertionError(f"a call failed: {failures[0]!r}")
    return sum(counts) / (time.perf_counter() - warm_until)


@contextmanager
def _server(process: subprocess.Popen[str]) -> Iterator[int]:
    """Yield the port that a peer prints when it is ready; end all of it afterwards."""
    ports: queue.Queue[int | None] = queue.Queue()
    reader = threading.Thread(target=_read_ports, args=(process, ports))
    reader.start()
    try:
        port = ports.get(timeout=_START_TIMEOUT_S)
        if port is None:
            raise Missing("the peer ended instead of starting")
        yield port
    except queue.Empty as error:
        raise Missing("the peer did not start") from error
    finally:
        # A peer may have processes of its own: they share its process group.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reader.join()


def _read_ports(process: subprocess.Popen[str], ports: queue.Queue[int | None]) -> None:
    """Read all that a peer prints, so that its log never blocks it."""
    with process.stdout or open(os.devnull) as lines:
        for line in lines:
            if line.startswith("PORT "):
                ports.put(int(line.split()[1]))
    ports.put(None)


def _litserve_python() -> Path:
    """Return the interpreter of an environment with LitServe, made on first use.

    It sees our packages behind its own: torch alone is five gigabytes.
    """
    python = _ENVIRONMENT / "bin" / "python"
    stamp = _ENVIRONMENT / ".installed"
    requirements = Path(__file__).with_name("peers.txt")
    if stamp.exists() and stamp.read_text() == requirements.read_text():
        return python
    print("installing LitServe (once)", flush=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--requirement", str(requirements)]
    try:
        subprocess.run([sys.executable, "-m", "venv", str(_ENVIRONMENT)], check=True)
        subprocess.run(install, check=True, timeout=900)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired, OSError) as error:
        raise Missing("LitServe cannot be installed") from error
    (site,) = _ENVIRONMENT.glob("lib/python*/site-packages")
    (site / "ours.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n")
    stamp.write_text(requirements.read_text())
    return python
