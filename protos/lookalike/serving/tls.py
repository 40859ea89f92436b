"""A server's certificate, read again when its files change."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

import grpc

from lookalike.serving.settings.reading import SettingsInvalid
from lookalike.wire.channel import TlsFiles

_log = logging.getLogger(__name__)

_Signature = tuple[tuple[int, int, int] | None, ...]


def server_credentials(tls: TlsFiles) -> grpc.ServerCredentials:
    """Return credentials that follow their files: each new connection gets what is there.

    Connections that are open stay. A pair that does not fit together, as in the middle of
    a change, is passed over until it does.

    Raises:
        SettingsInvalid: the files are none of a certificate and its key.
    """
    source = _Source(tls)
    # The library calls this for each connection, from a thread of its own.
    return grpc.dynamic_ssl_server_credentials(
        source.first,
        source.renewed,  # type: ignore[arg-type]  # None is "as before", which the stub lacks
        require_client_authentication=tls.ca is not None,
    )


class _Source:
    def __init__(self, tls: TlsFiles) -> None:
        self._tls = tls
        self._seen = self._signature()
        try:
            self.first = self._read()
        except (OSError, ValueError) as error:
            raise SettingsInvalid(
                f"--tls-certificate and --tls-key (or --tls-ca) cannot be used: {_why(error)}"
            ) from error

    def renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """Return what there is since the last time; None: as before."""
        signature = self._signature()
        if signature == self._seen:
            return None
        try:
            configuration = self._read()
        except (OSError, ValueError) as error:
            # Tried again with the next connection, unless nothing changes.
            _log.warning("the TLS certificate of before stays in force: %s", _why(error))
            self._seen = signature
            return None
        if self._signature() != signature:  # changed while it was read: the next one looks again
            return None
        self._seen = signature
        _log.info("took a new TLS certificate")
        return configuration

    def _read(self) -> grpc.ServerCertificateConfiguration:
        certificate, key, ca = self._tls.certificate, self._tls.key, self._tls.ca
        if certificate is None or key is None:
            raise ValueError("TLS needs a certificate and a key")
        # The library takes any bytes and fails at each handshake: OpenSSL says it here.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # No password: the process must not stop to ask for one.
        context.load_cert_chain(certificate, key, password="")
        if ca is not None:
            context.load_verify_locations(ca)
        return grpc.ssl_server_certificate_configuration(
            [(key.read_bytes(), certificate.read_bytes())],
            root_certificates=None if ca is None else ca.read_bytes(),
        )

    def _signature(self) -> _Signature:
        return tuple(map(_state, (self._tls.certificate, self._tls.key, self._tls.ca)))


def _state(path: Path | None) -> tuple[int, int, int] | None:
    if path is None:
        return None
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _why(error: Exception) -> str:
    """Return what is wrong, without what the files hold."""
    if isinstance(error, ssl.SSLError):
        return f"they do not fit together, or one is no PEM file ({error.reason or 'SSL'})"
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
