"""Proxies that the environment names, and whether they have to do with a call."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from lookalike.wire.errors import LookalikeError, Reason, Unavailable

# What the gRPC library looks at, in this order: the first that is set counts. It
# knows the lower-case names only.
VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy")


def variable(environ: Mapping[str, str]) -> str | None:
    """Return the name of the variable that sets a proxy for gRPC; None without one."""
    return next((name for name in VARIABLES if environ.get(name)), None)


def is_local(target: str) -> bool:
    """Say whether `target` ("host:port") is this machine or a socket on it."""
    if target.startswith(("unix:", "unix-abstract:")):
        return True
    host = urlsplit(f"//{target.rsplit('/', 1)[-1]}").hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def explained(
    error: LookalikeError, target: str, environ: Mapping[str, str], *, use_proxy: bool
) -> LookalikeError:
    """Return `error`, with a word on the proxy if one may be why nothing answered.

    `use_proxy` is that of the channel's options. Errors that a service sent, and
    targets on this machine, have nothing to do with a proxy.
    """
    name = variable(environ)
    unreached = isinstance(error, Unavailable) and error.reason is Reason.NOT_READY
    if name is None or not unreached or is_local(target):
        return error
    said = (
        f"{name} is set, so the call went through that proxy: "
        "connect without it, or name the service in no_proxy"
        if use_proxy
        else f"{name} is set and was not used: connect through the proxy if only that leads there"
    )
    return Unavailable(
        f"{error.message} ({said})", reason=error.reason, retry_delay_s=error.retry_delay_s
    )
