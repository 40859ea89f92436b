"""What is said of connections that did not come about."""

from __future__ import annotations

import pytest

from lookalike.wire import tls_faults

# As grpcio 1.85.1 says it.
_FAILED = "failed to connect to all addresses; last error: "
_HANDSHAKE = (
    _FAILED + "UNKNOWN: ipv4:127.0.0.1:1: Tls handshake failed (TSI_PROTOCOL_FAILURE): "
    "SSL_ERROR_SSL: error:1000007d:SSL routines:OPENSSL_internal:"
)
_CLOSED = _FAILED + "UNAVAILABLE: ipv4:127.0.0.1:1: Socket closed"
_REFUSED = _FAILED + "UNKNOWN: ipv4:127.0.0.1:1: connect: Connection refused (111)"


@pytest.mark.parametrize(
    ("details", "with_tls", "words"),
    [
        (_HANDSHAKE + "CERTIFICATE_VERIFY_FAILED: certificate has expired: OK", True, "expired"),
        (_HANDSHAKE + "WRONG_VERSION_NUMBER: Invalid context: OK", True, "without TLS"),
        (_CLOSED, True, "--tls-certificate"),
        (_CLOSED, False, "if it uses TLS"),
    ],
)
def test_it_says_what_to_change(details: str, with_tls: bool, words: str) -> None:
    said = tls_faults.remark(details, with_tls=with_tls)

    assert said is not None
    assert words in said
    assert "OK" not in said


def test_a_port_where_nobody_listens_has_nothing_to_do_with_it() -> None:
    assert tls_faults.remark(_REFUSED, with_tls=True) is None
