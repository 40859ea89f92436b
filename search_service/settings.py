"""Settings of the search service, read once from the environment and the command line."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lookalike.wire.channel import TlsFiles
from lookalike.wire.errors import InvalidField
from search_service.ingest import settings as ingest_settings
from search_service.ingest.settings import IngestSettings

PREFIX = "LOOKALIKE_SEARCH_"
DEFAULT_PORT = 50051


class SettingsInvalid(Exception):
    """A setting is missing or has a value that cannot be."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How the search service runs.

    `ingest` None runs without ingestion. `metrics_port` None serves no metrics, 0
    takes a free port. `recall_sample_share` is the share of live graph queries
    that is checked.
    """

    data: Path
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    embedders: tuple[str, ...] = ()
    ingest: IngestSettings | None = None
    metrics_port: int | None = None
    threads: int = 2
    build_threads: int = 2
    head_limit: int = 20_000
    unindexed_limit: int = 400_000
    max_concurrent_rpcs: int = 1_024
    grace_s: float = 10.0
    recall_sample_share: float = 0.01
    reflection: bool = False
    tls: TlsFiles | None = None
    log_level: str = "info"
    log_json: bool = False


def load(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings: an option outranks LOOKALIKE_SEARCH_<OPTION>.

    Those of ingestion are read from LOOKALIKE_INGEST_*.

    Raises:
        SettingsInvalid: a value cannot be read or is out of range.
        SystemExit: --help, or an option that does not exist.
    """
    parsed = _parser().parse_args(arguments)
    read = _Reader(parsed, environ)
    base = Settings(data=Path(read.text("data")))
    if not read.text("data"):
        raise SettingsInvalid(f"--data or {PREFIX}DATA is needed: the directory of the collections")
    head_limit = read.whole("head_limit", base.head_limit, 1, 10_000_000)
    unindexed_limit = read.whole("unindexed_limit", base.unindexed_limit, 1, 100_000_000)
    if unindexed_limit <= head_limit:
        raise SettingsInvalid(
            f"unindexed_limit: must be above head_limit ({head_limit:,}), got {unindexed_limit:,}:"
            " writes would be refused before a build starts"
        )
    return Settings(
        data=base.data,
        host=read.text("host", base.host),
        port=read.whole("port", base.port, 0, 65_535),
        embedders=tuple(read.texts("embedder")),
        ingest=_ingest(read, environ),
        metrics_port=(
            read.whole("metrics_port", 0, 0, 65_535) if read.text("metrics_port") else None
        ),
        threads=read.whole("threads", base.threads, 1, 1_024),
        build_threads=read.whole("build_threads", base.build_threads, 1, 1_024),
        head_limit=head_limit,
        unindexed_limit=unindexed_limit,
        max_concurrent_rpcs=read.whole("max_concurrent_rpcs", base.max_concurrent_rpcs, 1, 10**6),
        grace_s=read.number("grace_s", base.grace_s, 0.0, 3_600.0),
        recall_sample_share=read.number("recall_sample_share", base.recall_sample_share, 0.0, 1.0),
        reflection=read.switch("reflection"),
        tls=_tls(read),
        log_level=read.text("log_level", base.log_level),
        log_json=read.switch("log_json"),
    )


class _Reader:
    """One setting at a time: the option if given, else the environment."""

    def __init__(self, parsed: argparse.Namespace, environ: Mapping[str, str]) -> None:
        self._parsed = parsed
        self._environ = environ

    def text(self, name: str, default: str = "") -> str:
        given = getattr(self._parsed, name)
        if given is not None:
            return str(given)
        return self._environ.get(PREFIX + name.upper()) or default

    def texts(self, name: str) -> list[str]:
        given: list[str] | None = getattr(self._parsed, name)
        if given is not None:
            return given
        raw = self._environ.get(PREFIX + name.upper(), "")
        return [part.strip() for part in raw.split(",") if part.strip()]

    def switch(self, name: str) -> bool:
        raw = self.text(name, "false").lower()
        if raw not in ("true", "false", "1", "0"):
            raise SettingsInvalid(f"{name}: must be true or false, got {raw!r}")
        return raw in ("true", "1")

    def whole(self, name: str, default: int, least: int, most: int) -> int:
        raw = self.text(name, str(default))
        try:
            value = int(raw)
        except ValueError as error:
            raise SettingsInvalid(f"{name}: must be a whole number, got {raw!r}") from error
        if not least <= value <= most:
            raise SettingsInvalid(f"{name}: must be {least:,} to {most:,}, got {value:,}")
        return value

    def number(self, name: str, default: float, least: float, most: float) -> float:
        raw = self.text(name, str(default))
        try:
            value = float(raw)
        except ValueError as error:
            raise SettingsInvalid(f"{name}: must be a number, got {raw!r}") from error
        if not least <= value <= most:
            raise SettingsInvalid(f"{name}: must be {least:g} to {most:g}, got {value:g}")
        return value


def _ingest(read: _Reader, environ: Mapping[str, str]) -> IngestSettings | None:
    redis_url = read.text("redis")
    if not redis_url:
        return None
    try:
        ingest = ingest_settings.load(environ, redis_url=redis_url)
    except InvalidField as error:
        raise SettingsInvalid(f"{error.field}: {error.message}") from error
    roots = tuple(Path(root) for root in read.texts("image_root"))
    if not roots:
        return ingest
    return replace(ingest, references=replace(ingest.references, file_roots=roots))


def _tls(read: _Reader) -> TlsFiles | None:
    files = [read.text(name) for name in ("tls_ca", "tls_certificate", "tls_key")]
    if not any(files):
        return None
    ca, certificate, key = (Path(file) if file else None for file in files)
    if certificate is None or key is None:
        raise SettingsInvalid("TLS needs tls_certificate and tls_key")
    return TlsFiles(ca=ca, certificate=certificate, key=key)


# Option, its placeholder, its meaning. Options with a default say so in `Settings`.
_OPTIONS = (
    ("data", "DIR", "directory of the collections"),
    ("host", "ADDRESS", "address to listen on (127.0.0.1)"),
    ("port", "N", f"port to listen on; 0 takes a free one ({DEFAULT_PORT})"),
    ("redis", "URL", "Redis for ingestion; without it images cannot be submitted"),
    ("metrics-port", "N", "port of the Prometheus endpoint; 0 takes a free one (none)"),
    ("threads", "N", "threads that search one collection (2)"),
    ("build-threads", "N", "threads of a builder (2)"),
    ("head-limit", "N", "new vectors that start the builder, beside most graphs twice it (20000)"),
    ("unindexed-limit", "N", "vectors without a graph past which writes are refused (400000)"),
    ("max-concurrent-rpcs", "N", "calls under way at once, streams included (1024)"),
    ("grace-s", "SECONDS", "time for calls under way when the service stops (10)"),
    ("recall-sample-share", "SHARE", "share of live queries whose recall is measured (0.01)"),
    ("tls-ca", "FILE", "PEM of the authority that clients must have; asks for mutual TLS"),
    ("tls-certificate", "FILE", "PEM of the certificate"),
    ("tls-key", "FILE", "PEM of its key"),
    ("log-level", "LEVEL", "debug, info, warning or error (info)"),
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m search_service",
        description="The search service of Lookalike.",
        epilog=f"Each option can also be set as {PREFIX}<OPTION>, lists comma-separated.",
    )
    for name, placeholder, text in _OPTIONS:
        parser.add_argument(f"--{name}", metavar=placeholder, help=text)
    parser.add_argument(
        "--embedder", metavar="HOST:PORT", action="append", help="an embedder; may be repeated"
    )
    parser.add_argument(
        "--image-root",
        metavar="DIR",
        action="append",
        help="directory in which referenced images may lie; may be repeated",
    )
    for name, text in (
        ("reflection", "serve gRPC reflection"),
        ("log-json", "write the log as JSON"),
    ):
        parser.add_argument(f"--{name}", action="store_const", const="true", help=text)
    return parser
