"""What expires soon: the certificate of the service, our own, and the API key."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import grpc

from lookalike.v1 import collection_pb2, collection_pb2_grpc
from lookalike.wire import certificates, keys
from lookalike.wire.channel import TlsFiles
from lookalike_client._sync.client import Client
from lookalike_client.findings import Finding, Level

# Time to have a certificate signed, or a key handed out, in most houses.
SOON = timedelta(days=30)
_TIMEOUT_S = 5.0


def examine(client: Client, address: str, tls: TlsFiles | None) -> Iterator[Finding]:
    """Yield a finding for each thing that expires at all."""
    now = datetime.now(UTC)
    if tls is not None:
        renewed = "give the service a new one: it takes changed files by itself"
        ends = _of_service(address, tls)
        if ends is not None:
            yield about("the service's certificate", ends, now, renewed)
        if tls.certificate is not None:
            ends = min(certificates.expire_times(tls.certificate))
            yield about("our certificate", ends, now, "have a new one signed, in the same file")
    ends = _of_key(client)
    if ends is not None:
        yield about("our API key", ends, now, "ask for a new one: `lookalike keys make`")


def about(what: str, ends: datetime, now: datetime, advice: str) -> Finding:
    """Say how long something is good for."""
    if now >= ends:
        return Finding(Level.FAILURE, what, f"expired on {ends:%Y-%m-%d}", advice)
    text = f"expires on {ends:%Y-%m-%d}, in {(ends - now).days:,} days"
    if ends - now < SOON:
        return Finding(Level.WARNING, what, text, advice)
    return Finding(Level.OK, what, text)


def _of_service(address: str, tls: TlsFiles) -> datetime | None:
    """Return when the certificate expires that the service shows; None if it shows none."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    context = ssl.create_default_context(cafile=None if tls.ca is None else str(tls.ca))
    context.set_alpn_protocols(["h2"])
    if tls.certificate is not None and tls.key is not None:
        context.load_cert_chain(tls.certificate, tls.key, password="")
    try:
        with (
            socket.create_connection((host, int(port)), timeout=_TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=host) as secure,
        ):
            shown = secure.getpeercert(binary_form=True)
        return None if shown is None else certificates.expire_time(shown)
    except (OSError, ValueError):
        return None  # the call that follows says what is wrong


def _of_key(client: Client) -> datetime | None:
    """Return when the API key expires; None for one that does not, or without one."""
    stub = collection_pb2_grpc.CollectionServiceStub(client.channel)
    request = collection_pb2.ListCollectionsRequest(page_size=1)
    try:
        _, call = stub.ListCollections.with_call(request, timeout=_TIMEOUT_S)
    except grpc.RpcError:
        return None
    told = dict(call.trailing_metadata() or ()).get(keys.EXPIRE_TIME_KEY)
    return None if told is None else datetime.fromisoformat(str(told))
