"""What TLS may have to do with a connection that did not come about, for people."""

from __future__ import annotations

import re

_UNTRUSTED = re.compile(r"CERTIFICATE_VERIFY_FAILED: ([^:]+)")


def remark(details: str, *, with_tls: bool) -> str | None:
    """Say what a failed connection tells; `details` are those of the library's error.

    None where it tells nothing of TLS. A server that does not like our certificate ends
    the connection without a word.
    """
    if (sure := certain(details)) is not None:
        return sure
    if "Socket closed" not in details and "Connection reset" not in details:
        return None
    if not with_tls:
        return "it ended the connection: if it uses TLS, say so (--tls-ca, or --tls)"
    return (
        "it ended the connection, as a service does that asks for a certificate and gets none, "
        "or one that has expired or that it does not trust (--tls-certificate, --tls-key)"
    )


def certain(details: str) -> str | None:
    """Say what is wrong where it can be nothing else, as `remark` does."""
    untrusted = _UNTRUSTED.search(details)
    if untrusted is not None:
        return (
            f"the service's certificate is not trusted ({untrusted[1].strip()}): name the "
            "authority that signed it (--tls-ca), and the service as its certificate does"
        )
    if "WRONG_VERSION_NUMBER" in details:
        return "the service speaks without TLS: leave out the options and variables of TLS"
    return None
