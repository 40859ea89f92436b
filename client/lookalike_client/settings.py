"""The client's settings, read from the environment once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lookalike.wire.channel import TlsFiles

DEFAULT_ADDRESS = "127.0.0.1:50051"


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Where the search service is, and how to connect to it."""

    address: str = DEFAULT_ADDRESS
    tls_ca: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None

    @property
    def tls(self) -> TlsFiles | None:
        """TLS is on when an authority to trust or a certificate of our own is named."""
        if self.tls_ca is None and self.tls_certificate is None:
            return None
        return TlsFiles(ca=self.tls_ca, certificate=self.tls_certificate, key=self.tls_key)


def load(environ: Mapping[str, str]) -> ClientSettings:
    """Read LOOKALIKE_ADDRESS and LOOKALIKE_TLS_CA, _CERTIFICATE and _KEY."""

    def path(name: str) -> Path | None:
        value = environ.get(name)
        return Path(value) if value else None

    return ClientSettings(
        address=environ.get("LOOKALIKE_ADDRESS") or DEFAULT_ADDRESS,
        tls_ca=path("LOOKALIKE_TLS_CA"),
        tls_certificate=path("LOOKALIKE_TLS_CERTIFICATE"),
        tls_key=path("LOOKALIKE_TLS_KEY"),
    )
