"""Proxies that the environment names, and whether they have to do with a call.

No call asks a proxy by itself (`ChannelOptions.use_proxy`): between the parts of a
system there is none, and most machines that have one in their environment need it for
the web only. Clients that reach a service through one say so: `LOOKALIKE_USE_PROXY=1`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from lookalike.wire.errors import DeadlineExceeded, LookalikeError, Reason, Unavailable

OPTION = "LOOKALIKE_USE_PROXY"

# What the gRPC library looks at, in this order: the first that is set counts. It
# knows the lower-case names only, and proxies of http:// only.
VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy")
# Hosts that it reaches directly all the same; likewise.
EXCEPTIONS = ("no_grpc_proxy", "no_proxy")


def variable(environ: Mapping[str, str]) -> str | None:
    """Return the name of the variable that sets a proxy for gRPC; None without one."""
    return next((name for name in VARIABLES if environ.get(name)), None)


def named(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that have to do with proxies, in either case."""
    names = (*VARIABLES, *EXCEPTIONS)
    both = (*names, *(name.upper() for name in names))
    return {name: environ[name] for name in both if environ.get(name)}


def is_local(target: str) -> bool:
    """Say whether `target` ("host:port") is this machine or a socket on it."""
    if target.startswith(("unix:", "unix-abstract:")):
        return True
    host = _host(target)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def remark(target: str, environ: Mapping[str, str], *, use_proxy: bool) -> str | None:
    """Say what a proxy had to do with a call to `target` that did not arrive.

    `use_proxy` is that of the channel's options. None where the target is this machine,
    or nothing names a proxy and none was asked for.
    """
    if is_local(target):
        return None
    name, upper = variable(environ), variable({k.lower(): v for k, v in environ.items()})
    if not use_proxy:
        name = name or (upper and upper.upper())
        return name and (
            f"{name} is set and was not used: set {OPTION}=1 if only that proxy leads there"
        )
    if name is None and upper is None:
        return f"{OPTION} is set, and none of {', '.join(VARIABLES)} names a proxy: set one"
    if name is None:
        return f"{str(upper).upper()} is set, but gRPC reads the lower-case name only: set {upper}"
    if urlsplit(environ[name]).scheme != "http":
        return f"{name} was not used, for gRPC needs a proxy named as http://host:port: mend it"
    exempt = _exempting(target, environ)
    if exempt is not None:
        return f"{name} is set, but {exempt} exempts this service: the call was direct"
    return (
        f"{name} is set, so the call went through that proxy: "
        f"unset {OPTION}, or name the service in no_proxy"
    )


def explained(
    error: LookalikeError, target: str, environ: Mapping[str, str], *, use_proxy: bool
) -> LookalikeError:
    """Return `error`, with a word on the proxy if one may be why nothing answered.

    Errors that a service sent, and targets on this machine, have nothing to do with a
    proxy; one that swallows a call shows as a deadline that passed.
    """
    unreached = isinstance(error, Unavailable) and error.reason is Reason.NOT_READY
    late = isinstance(error, DeadlineExceeded)
    said = remark(target, environ, use_proxy=use_proxy) if unreached or late else None
    if said is None:
        return error
    if late:
        return DeadlineExceeded(f"{error.message} (if the service was not reached: {said})")
    return Unavailable(
        f"{error.message} ({said})", reason=error.reason, retry_delay_s=error.retry_delay_s
    )


def _host(target: str) -> str:
    return urlsplit(f"//{target.rsplit('/', 1)[-1]}").hostname or ""


def _exempting(target: str, environ: Mapping[str, str]) -> str | None:
    """Return the name of the variable that exempts a target, as the library reads it."""
    name = next((name for name in EXCEPTIONS if environ.get(name)), None)
    host = _host(target)
    entries = environ[name].split(",") if name is not None else []
    return name if any(_matches(host, entry.strip().lower()) for entry in entries) else None


def _matches(host: str, entry: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return bool(entry) and host.endswith(entry)
