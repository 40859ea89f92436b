"""Settings of the worker, read once from the command line and the environment."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lookalike.serving.settings.declared import setting
from lookalike.serving.settings.reading import Process, SettingsInvalid, read
from lookalike.serving.settings.shared import MOST_BYTES, CallerSettings, QueueSettings

PROCESS = Process(
    "WORKER",
    "embedder_service.worker",
    "Drains the ingestion queue through the embedder into the index.",
)

_MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class WorkerSettings(CallerSettings, QueueSettings):
    """How a worker works. TLS is to the embedder and the search service.

    `name` must be unique among the workers that run at the same time; a worker
    that comes back under its old name takes up what it had at once.
    """

    redis: str = setting(
        "URL of Redis, such as redis://user:password@host:6379/0; rediss: for TLS",
        "redis://127.0.0.1:6379",
        unit="URL",
        secret=True,
    )
    embedder: str = setting("address of the embedder", "127.0.0.1:50052", unit="host:port")
    search: str = setting("address of the search service", "127.0.0.1:50051", unit="host:port")
    name: str = setting(
        "name in the consumer group, unique among running workers; without it host and process id",
        "",
    )
    prefetch_items: int = setting("most entries held", 256, least=1, most=1_000_000)
    prefetch_bytes: int = setting(
        "most bytes of entries held", 64 * _MIB, unit="bytes", least=1, most=MOST_BYTES
    )
    max_embeds_in_flight: int = setting(
        "most images at the embedder at one time", 64, least=1, most=1_000_000
    )
    max_attempts: int = setting(
        "failures alone after which an entry is given up", 3, least=1, most=1_000_000
    )
    embed_timeout_s: float = setting(
        "time for one image at the embedder", 60.0, unit="seconds", least=0.01, most=86_400
    )
    store_timeout_s: float = setting(
        "time for one acknowledgement of the search service",
        60.0,
        unit="seconds",
        least=0.01,
        most=86_400,
    )
    claim_idle_s: float = setting(
        "idle time after which a dead worker's entries are taken over; at least three heartbeats",
        15.0,
        unit="seconds",
        least=0.01,
        most=86_400,
    )
    heartbeat_s: float = setting(
        "time between signs of life", 2.0, unit="seconds", least=0.01, most=3600
    )
    startup_wait_s: float = setting(
        "time for Redis to appear at start", 30.0, unit="seconds", least=0, most=3600
    )
    grace_s: float = setting(
        "time for what is under way when the process stops",
        20.0,
        unit="seconds",
        least=0,
        most=3600,
    )
    max_job_events: int = setting(
        "most outcomes kept for one job", 1_000_000, least=1, most=1_000_000_000
    )
    max_dead_bytes: int = setting(
        "most bytes of images kept with given-up entries",
        256 * _MIB,
        unit="bytes",
        least=0,
        most=MOST_BYTES,
    )

    def __post_init__(self) -> None:
        CallerSettings.__post_init__(self)
        QueueSettings.__post_init__(self)
        if self.claim_idle_s < 3 * self.heartbeat_s:
            raise SettingsInvalid(
                "--claim-idle-s: must be at least three times --heartbeat-s: "
                "a living worker would be robbed"
            )


def load(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> WorkerSettings:
    """Return the settings: an option outranks LOOKALIKE_WORKER_<OPTION>.

    Raises:
        SettingsInvalid: a setting is unknown or has a value that cannot be.
        SystemExit: --help.
    """
    settings = read(WorkerSettings, PROCESS, arguments, environ)
    if settings.name:
        return settings
    return replace(settings, name=f"{socket.gethostname()}-{os.getpid()}")
