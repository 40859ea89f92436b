"""How a client connects: what every program that calls the service should set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import grpc

MAX_MESSAGE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Secrets:
    """PEM files, and the file of an API key. Without `ca` nothing is encrypted."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    token_file: Path | None = None


def options(service_config: Path) -> list[tuple[str, int | str]]:
    """Return the arguments of a channel."""
    return [
        # An answer may hold 64 MiB; unless told otherwise the library ends a call at 4 MiB.
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        # Retries of calls that may be repeated, and all addresses of a name in turn.
        ("grpc.service_config", service_config.read_text(encoding="utf-8")),
        # A request that passes this, as a picture soon does, is not repeated; unset it is 256 KiB.
        ("grpc.per_rpc_retry_buffer_size", MAX_MESSAGE_BYTES),
        # Not through http_proxy and https_proxy, which are for other traffic.
        ("grpc.enable_http_proxy", 0),
        # Notice a dead connection. Servers refuse more than one ping in 10 s.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # Find a restarted server soon: left alone the library waits up to two minutes.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2_000),
        ("grpc.dns_min_time_between_resolutions_ms", 5_000),
    ]


class TokenFile(grpc.AuthMetadataPlugin):
    """Sends an API key, read for each call, so that a new one is taken without a restart."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(
        self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback
    ) -> None:
        """Give the key to the call under way."""
        token = self._path.read_text(encoding="utf-8").strip()
        callback((("authorization", f"Bearer {token}"),), None)


def connect(address: str, secrets: Secrets, service_config: Path) -> grpc.Channel:
    """Connect to "host:port": to all addresses that the name has."""
    target = address if ":/" in address or address.startswith("ipv4:") else f"dns:///{address}"
    if secrets.ca is None:
        if secrets.token_file is not None:
            raise SystemExit("an API key travels over TLS only: name the authority with --ca")
        return grpc.insecure_channel(target, options(service_config))
    credentials = grpc.ssl_channel_credentials(
        root_certificates=secrets.ca.read_bytes(),
        private_key=secrets.key.read_bytes() if secrets.key else None,
        certificate_chain=secrets.cert.read_bytes() if secrets.cert else None,
    )
    if secrets.token_file is not None:
        token = grpc.metadata_call_credentials(TokenFile(secrets.token_file))
        credentials = grpc.composite_channel_credentials(credentials, token)
    return grpc.secure_channel(target, credentials, options(service_config))
