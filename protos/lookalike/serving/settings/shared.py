"""Settings that several processes have: one spelling and one meaning for each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lookalike.serving.server import is_loopback
from lookalike.serving.settings.declared import setting
from lookalike.serving.settings.reading import SettingsInvalid
from lookalike.wire.channel import TlsFiles
from lookalike.wire.tokens import TokenFile

MOST_PORT = 65_535
DAY_S = 86_400.0
MOST_S = 366 * 86_400
MOST_BYTES = 1 << 50


@dataclass(frozen=True, kw_only=True)
class ProcessSettings:
    """What every process has: metrics, health, TLS, the log and its end.

    `metrics_port` None serves no metrics, `health_port` None no health on a port of its own.
    """

    metrics_host: str = setting("address of the Prometheus metrics", "127.0.0.1", unit="host")
    metrics_port: int | None = setting(
        "port of the Prometheus metrics; 0 takes a free one; none are served without it",
        None,
        least=0,
        most=MOST_PORT,
    )
    health_host: str = setting(
        "address of the health port, which has no TLS", "127.0.0.1", unit="host"
    )
    health_port: int | None = setting(
        "port that serves gRPC health alone, for probes; 0 takes a free one; none without it",
        None,
        least=0,
        most=MOST_PORT,
    )
    tls_ca: Path | None = setting(
        "PEM file of the authority that signed the services' certificates",
        None,
        unit="file",
        must_exist=True,
    )
    tls_certificate: Path | None = setting(
        "PEM file of our certificate, for services that ask for one",
        None,
        unit="file",
        must_exist=True,
    )
    tls_key: Path | None = setting(
        "PEM file of the key of our certificate", None, unit="file", must_exist=True
    )
    grace_s: float = setting(
        "time for what is under way when the process stops",
        10.0,
        unit="seconds",
        least=0,
        most=3600,
    )
    log_level: str = setting(
        "least weight of what is logged", "info", choices=("debug", "info", "warning", "error")
    )
    log_json: bool = setting("log a JSON object a line", False)

    def __post_init__(self) -> None:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise SettingsInvalid("--tls-certificate and --tls-key go together: set both or none")

    @property
    def tls(self) -> TlsFiles | None:
        """The files of TLS; None without TLS."""
        if self.tls_ca is None and self.tls_certificate is None:
            return None
        return TlsFiles(ca=self.tls_ca, certificate=self.tls_certificate, key=self.tls_key)


@dataclass(frozen=True, kw_only=True)
class CallerSettings(ProcessSettings):
    """What a process has that calls others."""

    token_file: Path | None = setting(
        "file with the API key for the services that are called; read again when it changes",
        None,
        unit="file",
        must_exist=True,
    )

    def token(self) -> TokenFile | None:
        """Return what gives the API key; None without one.

        Raises:
            InvalidField: there is none in the file.
        """
        return None if self.token_file is None else TokenFile(self.token_file)


@dataclass(frozen=True, kw_only=True)
class ServerSettings(ProcessSettings):
    """What every gRPC server has. With `tls_ca` it asks its callers for certificates."""

    host: str = setting("address to listen on", "127.0.0.1", unit="host")
    port: int = setting("port to listen on; 0 takes a free one", 0, least=0, most=MOST_PORT)
    max_concurrent_rpcs: int = setting(
        "calls under way at once, streams included", 1024, least=1, most=1_000_000
    )
    reflection: bool = setting("serve gRPC reflection", False)
    max_connection_age_s: float = setting(
        "age past which a connection is closed once its calls have ended, so that clients spread "
        "over servers that came later; 0: none",
        300.0,
        unit="seconds",
        least=0,
        most=MOST_S,
    )
    keys_file: Path | None = setting(
        "file of the API keys that callers must have, made by `lookalike keys`; read again when "
        "it changes; none are asked for without it",
        None,
        unit="file",
        must_exist=True,
    )
    open_access: bool = setting(
        "serve on an address that other machines reach although no API keys are asked for",
        False,
    )
    tls_ca: Path | None = setting(
        "PEM file of the authority that callers' certificates must be signed by; none are asked "
        "for without it",
        None,
        unit="file",
        must_exist=True,
    )
    tls_certificate: Path | None = setting(
        "PEM file of our certificate; TLS is off without it", None, unit="file", must_exist=True
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tls_ca is not None and self.tls_certificate is None:
            raise SettingsInvalid("--tls-ca needs --tls-certificate and --tls-key")
        if self.keys_file is None and not self.open_access and not is_loopback(self.host):
            raise SettingsInvalid(
                f"--host {self.host}: other machines reach it, and no API keys are asked for: set "
                "--keys-file (`lookalike keys make` makes one), or --open-access to serve anybody"
            )


@dataclass(frozen=True, kw_only=True)
class QueueSettings:
    """The ingestion queue, as both of its ends see it."""

    redis: str = setting(
        "URL of Redis, such as redis://user:password@host:6379/0; rediss: for TLS",
        unit="URL",
        secret=True,
    )
    redis_tls_ca: Path | None = setting(
        "PEM file of the authority that signed the certificate of Redis",
        None,
        unit="file",
        must_exist=True,
    )
    redis_tls_certificate: Path | None = setting(
        "PEM file of our certificate for Redis", None, unit="file", must_exist=True
    )
    redis_tls_key: Path | None = setting("PEM file of its key", None, unit="file", must_exist=True)
    redis_timeout_s: float = setting(
        "time for one answer of Redis", 5.0, unit="seconds", least=0.01, most=3600
    )
    startup_wait_s: float = setting(
        "time for Redis to appear at start", 5.0, unit="seconds", least=0, most=3600
    )
    key_prefix: str = setting(
        "first part of every key in Redis; the same for the search service and its workers",
        "lookalike",
    )
    job_retention_s: float = setting(
        "how long the outcomes of a job are kept", DAY_S, unit="seconds", least=1, most=MOST_S
    )

    def __post_init__(self) -> None:
        if (self.redis_tls_certificate is None) != (self.redis_tls_key is None):
            raise SettingsInvalid(
                "--redis-tls-certificate and --redis-tls-key go together: set both or none"
            )
        if (self.redis_tls_ca or self.redis_tls_key) and not self.redis.startswith("rediss:"):
            raise SettingsInvalid("TLS files for Redis are set: --redis must begin with rediss:")
