"""Channels with the same limits, keepalive and retries everywhere."""

from __future__ import annotations

import json
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc

from lookalike.wire import proxies
from lookalike.wire.errors import InvalidField
from lookalike.wire.live_channel import AioLiveChannel, SyncLiveChannel
from lookalike.wire.tokens import Token
from lookalike.wire.traces import channels, spans

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
# An encoded image that travels in one, beside its id and metadata: the same from the
# client through the queue to the embedder.
MAX_IMAGE_BYTES = 60 * 1024 * 1024

# A server answers pings that come more often than it allows with GOAWAY
# too_many_pings: what is allowed must be well below what is sent.
KEEPALIVE_TIME_MS = 30_000
LEAST_PING_INTERVAL_MS = 10_000
KEEPALIVE_TIMEOUT_MS = 10_000


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: the authority to trust, and for mutual TLS our own pair."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @property
    def paths(self) -> list[Path]:
        """Those that are given."""
        return [path for path in (self.ca, self.certificate, self.key) if path is not None]


@dataclass(frozen=True, slots=True)
class ChannelOptions:
    """How to connect.

    Without `use_proxy` the connection is direct, whatever proxy the environment
    names (`lookalike.wire.proxies`): between the parts of a system there is none.
    A target on this machine is never reached through one. `token` goes with each call,
    over TLS or to this machine alone.
    """

    tls: TlsFiles | None = None
    max_message_bytes: int = MAX_MESSAGE_BYTES
    service_config: str | None = None
    keepalive_time_ms: int = KEEPALIVE_TIME_MS
    use_proxy: bool = False
    token: Token | None = None


def aio_channel(target: str, options: ChannelOptions) -> grpc.aio.Channel:
    """Return an asyncio channel to `target` ("host:port"); connects lazily.

    It follows the files of its certificates, its calls carry the id of the request that they
    are made for (`request_ids`), and they are traced where this process is.

    Raises:
        InvalidField: an API key would travel in the clear.
        OSError: a certificate cannot be read.
    """
    channel = _aio_channel(target, options)
    tracer = spans.installed()
    return channel if tracer is None else channels.traced_aio(channel, tracer)


def sync_channel(target: str, options: ChannelOptions) -> grpc.Channel:
    """Return a blocking channel to `target`, as `aio_channel` does."""
    channel = _sync_channel(target, options)
    tracer = spans.installed()
    return channel if tracer is None else channels.traced_sync(channel, tracer)


def _aio_channel(target: str, options: ChannelOptions) -> grpc.aio.Channel:
    tls = _checked(target, options)

    def make() -> grpc.aio.Channel:
        arguments = channel_arguments(target, options)
        if tls is None:
            return grpc.aio.insecure_channel(target, options=arguments)
        return grpc.aio.secure_channel(target, _credentials(tls), options=arguments)

    return AioLiveChannel(make, [] if tls is None else tls.paths, options.token)


def _sync_channel(target: str, options: ChannelOptions) -> grpc.Channel:
    tls = _checked(target, options)

    def make() -> grpc.Channel:
        arguments = channel_arguments(target, options)
        if tls is None:
            return grpc.insecure_channel(target, options=arguments)
        return grpc.secure_channel(target, _credentials(tls), options=arguments)

    return SyncLiveChannel(make, [] if tls is None else tls.paths, options.token)


def service_config(
    idempotent: Sequence[tuple[str, str]],
    *,
    timeout_s: float,
    max_attempts: int = 5,
    initial_backoff_s: float = 0.1,
    max_backoff_s: float = 2.0,
) -> str:
    """Return a gRPC service config that retries idempotent calls.

    `idempotent` holds pairs of (service, method); an empty method means the
    whole service. gRPC caps `max_attempts` at 5. A server's
    `grpc-retry-pushback-ms` trailer is honoured by the library.
    """
    names = [
        {"service": service, "method": method} if method else {"service": service}
        for service, method in idempotent
    ]
    policy = {
        "maxAttempts": max_attempts,
        "initialBackoff": f"{initial_backoff_s}s",
        "maxBackoff": f"{max_backoff_s}s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
    }
    config = {"methodConfig": [{"name": names, "timeout": f"{timeout_s}s", "retryPolicy": policy}]}
    return json.dumps(config)


def channel_arguments(target: str, options: ChannelOptions) -> list[tuple[str, int | str]]:
    """Return the arguments of a channel to `target`, for the gRPC library."""
    arguments: list[tuple[str, int | str]] = [
        ("grpc.max_send_message_length", options.max_message_bytes),
        ("grpc.max_receive_message_length", options.max_message_bytes),
        ("grpc.keepalive_time_ms", options.keepalive_time_ms),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
        ("grpc.http2.max_pings_without_data", 0),
        # The default grows to two minutes: a restarted server would stay unseen.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2_000),
        # A pod that is started anew has another address. With the default of 30 s callers came
        # back 27 s after it, with this one 2 s.
        ("grpc.dns_min_time_between_resolutions_ms", 5_000),
        # A name may stand for several servers, as that of a headless Service does.
        ("grpc.lb_policy_name", "round_robin"),
        ("grpc.enable_http_proxy", int(options.use_proxy and not proxies.is_local(target))),
    ]
    if options.service_config is not None:
        arguments.append(("grpc.enable_retries", 1))
        arguments.append(("grpc.service_config", options.service_config))
        # A request that passes it is sent once. The library's 256 KiB left most pictures out.
        arguments.append(("grpc.per_rpc_retry_buffer_size", options.max_message_bytes))
    return arguments


def _checked(target: str, options: ChannelOptions) -> TlsFiles | None:
    if options.token is not None and options.tls is None and not proxies.is_local(target):
        raise InvalidField(
            "token",
            f"would travel to {target} in the clear: use TLS (name the authority that signed "
            "the service's certificate)",
        )
    return options.tls


def _credentials(tls: TlsFiles) -> grpc.ChannelCredentials:
    """Raises:
    InvalidField: the files do not fit together, or are no PEM files.
    OSError: one cannot be read.
    """
    if tls.ca is not None:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(tls.ca)
        except ssl.SSLError as error:
            raise InvalidField("tls_ca", f"{tls.ca} holds no certificate") from error
    if tls.certificate is not None and tls.key is not None:
        try:
            # No password: the process must not stop to ask for one.
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(
                tls.certificate, tls.key, password=""
            )
        except ssl.SSLError as error:
            raise InvalidField(
                "tls_certificate",
                f"{tls.certificate} and {tls.key} are no certificate and its key",
            ) from error
    return grpc.ssl_channel_credentials(
        root_certificates=_read(tls.ca),
        private_key=_read(tls.key),
        certificate_chain=_read(tls.certificate),
    )


def _read(path: Path | None) -> bytes | None:
    return path.read_bytes() if path is not None else None
