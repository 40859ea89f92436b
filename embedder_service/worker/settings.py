"""Settings of the worker: environment first, flags over it."""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

from lookalike.wire.errors import InvalidField

_MIB = 1024 * 1024
_PREFIX = "LOOKALIKE_WORKER_"


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How a worker works. `redis` is a URL that may hold a password: not in the repr.

    `name` must be unique among the workers that run at the same time; a worker
    that comes back under its old name takes up what it had at once.
    `max_attempts` is how often an entry is tried alone before it is given up.
    """

    redis: str = field(default="redis://127.0.0.1:6379", repr=False)
    embedder: str = "127.0.0.1:50052"
    search: str = "127.0.0.1:50051"
    name: str = ""
    key_prefix: str = "lookalike"
    redis_ca_file: str = ""
    redis_certificate_file: str = ""
    redis_key_file: str = ""
    tls_ca_file: str = ""
    tls_certificate_file: str = ""
    tls_key_file: str = ""
    prefetch_items: int = 256
    prefetch_bytes: int = 64 * _MIB
    max_embeds_in_flight: int = 64
    max_attempts: int = 3
    embed_timeout_s: float = 60.0
    store_timeout_s: float = 60.0
    claim_idle_s: float = 15.0
    heartbeat_s: float = 2.0
    redis_timeout_s: float = 5.0
    startup_wait_s: float = 30.0
    grace_s: float = 20.0
    job_retention_s: float = 24 * 3600.0
    max_job_events: int = 1_000_000
    max_dead_bytes: int = 256 * _MIB
    metrics_host: str = "127.0.0.1"
    metrics_port: int = -1
    log_level: str = "info"
    log_json: bool = False

    def __post_init__(self) -> None:
        for name in ("prefetch_items", "prefetch_bytes", "max_embeds_in_flight", "max_attempts"):
            if getattr(self, name) < 1:
                raise InvalidField(name, "must be at least 1")
        if self.claim_idle_s < 3 * self.heartbeat_s:
            raise InvalidField(
                "claim_idle_s", "must be at least three heartbeats: a living worker would be robbed"
            )


def load(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> WorkerSettings:
    """Read LOOKALIKE_WORKER_* and the flags, which win.

    Raises:
        InvalidField: a value cannot be read or is out of range.
    """
    parser = argparse.ArgumentParser(
        prog="python -m embedder_service.worker",
        description="Drains the ingestion queue through the embedder into the index.",
    )
    for option in fields(WorkerSettings):
        flag = "--" + option.name.replace("_", "-")
        default = "" if option.default == "" else f" (default: {option.default})"
        parser.add_argument(
            flag, metavar="VALUE", help=f"or {_PREFIX}{option.name.upper()}{default}"
        )
    given = vars(parser.parse_args(arguments))
    values: dict[str, str | int | float | bool] = {}
    for option in fields(WorkerSettings):
        raw = given[option.name]
        if raw is None:
            raw = environ.get(_PREFIX + option.name.upper())
        if raw is not None:
            values[option.name] = _convert(option.name, raw, option.default)
    settings = WorkerSettings(**values)  # type: ignore[arg-type]  # each has its field's type
    if not settings.name:
        settings = replace(settings, name=f"{socket.gethostname()}-{os.getpid()}")
    return settings


def _convert(name: str, raw: str, default: object) -> str | int | float | bool:
    try:
        if isinstance(default, bool):
            return {"1": True, "true": True, "0": False, "false": False}[raw.lower()]
        if isinstance(default, int):
            return int(raw)
        if isinstance(default, float):
            return float(raw)
    except (KeyError, ValueError) as error:
        kind = type(default).__name__
        raise InvalidField(name, f"cannot be read as {kind}") from error
    return raw
