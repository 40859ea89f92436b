"""A real embedder in a process of its own, for tests and measurements."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import grpc

from lookalike.v1 import embedder_pb2_grpc
from lookalike.wire.channel import ChannelOptions, aio_channel, sync_channel
from tests.children import children_of

ROOT = Path(__file__).resolve().parents[2]


class EmbedderProcess:
    """Starts on a free loopback port; ready when the constructor returns."""

    def __init__(self, *arguments: str, log: Path | None = None) -> None:
        path = os.pathsep.join(str(ROOT / part) for part in ("", "protos", "client"))
        self._log = log.open("ab") if log else None
        self.process = subprocess.Popen(
            [sys.executable, "-m", "embedder_service", "--port", "0", *arguments],
            env={**os.environ, "PYTHONPATH": path},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"the embedder ended with {self.process.wait()}")
        self.announced: dict[str, object] = json.loads(line)

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.announced['port']}"

    def sync_stub(self) -> tuple[grpc.Channel, embedder_pb2_grpc.EmbedderServiceStub]:
        channel = sync_channel(self.target, ChannelOptions())
        return channel, embedder_pb2_grpc.EmbedderServiceStub(channel)

    def aio_channel(self) -> grpc.aio.Channel:
        return aio_channel(self.target, ChannelOptions())

    def children(self) -> list[int]:
        """Return the ids of the decode processes."""
        return children_of(self.process.pid)

    def resident_bytes(self) -> int:
        """Return the memory of the server and its decode processes, shared pages once."""
        return sum(_private_bytes(pid) for pid in (self.process.pid, *self.children()))

    def stop(self) -> int:
        """Ask it to stop; return its exit code."""
        self.process.terminate()
        try:
            return self.process.wait(timeout=30)
        finally:
            self.process.kill()
            self.process.wait()
            if self.process.stdout is not None:
                self.process.stdout.close()
            if self._log is not None:
                self._log.close()


def _private_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024


def arguments_for(cache: Path, models: Sequence[str] = ("efficientnet-lite0",)) -> list[str]:
    """Return the usual arguments."""
    return ["--models", ",".join(models), "--cache-dir", str(cache)]
