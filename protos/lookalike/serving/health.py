"""Health of a process, as `grpc.health.v1` tells it: on its own port and on the service's.

`LIVENESS` is healthy from the moment that the port listens until the process ends: it says
that the event loop runs. The empty name says whether calls are taken: not while the process
loads and not while it drains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from lookalike.serving.settings.reading import SettingsInvalid

LIVENESS = "liveness"

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
# A probe sends a name and gets a number.
_MAX_MESSAGE_BYTES = 64 * 1024
# Probes come one at a time; some clients watch.
_MAX_CALLS = 64


@dataclass(frozen=True, slots=True)
class HealthAddress:
    """Where health alone is served, without TLS and without keys: kubelets have neither."""

    host: str
    port: int


class HealthOptions(Protocol):
    """What says where health is served by itself: a process's settings, or a server's options."""

    @property
    def health_host(self) -> str:
        """The address."""

    @property
    def health_port(self) -> int | None:
        """The port; None for nowhere."""


def health_address(options: HealthOptions) -> HealthAddress | None:
    """Return where health is served by itself; None for nowhere."""
    if options.health_port is None:
        return None
    return HealthAddress(options.health_host, options.health_port)


class Health:
    """The health of a process and of its services."""

    def __init__(self, service_names: Sequence[str], address: HealthAddress | None = None) -> None:
        self._names = ("", *service_names)
        self._address = address
        self._servicer = health.aio.HealthServicer()
        self._server: grpc.aio.Server | None = None

    def add_to(self, server: grpc.aio.Server) -> None:
        """Serve it on a server of somebody else's too."""
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def start(self) -> int | None:
        """Be alive and not serving; return the port that serves health alone, if one does.

        Raises:
            SettingsInvalid: the address cannot be bound.
        """
        await self.set_serving(False)
        await self._servicer.set(LIVENESS, _SERVING)
        if self._address is None:
            return None
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
                ("grpc.so_reuseport", 0),
            ],
            maximum_concurrent_rpcs=_MAX_CALLS,
        )
        self.add_to(self._server)
        where = f"{self._address.host}:{self._address.port}"
        try:
            port = self._server.add_insecure_port(where)
        except RuntimeError as error:
            raise SettingsInvalid(
                f"cannot serve health on {where}: set another --health-host or --health-port"
            ) from error
        await self._server.start()
        return port

    async def set_serving(self, serving: bool, service: str | None = None) -> None:
        """Set the health of `service`, or of all and of the process as a whole."""
        names = self._names if service is None else (service,)
        for name in names:
            await self._servicer.set(name, _SERVING if serving else _NOT_SERVING)

    async def stop(self) -> None:
        """Stop to answer; what is asked from now on finds nobody."""
        if self._server is not None:
            await self._server.stop(0)
