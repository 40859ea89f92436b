"""What every command has: an address, a client, and a way to print."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import click

from lookalike_client import Client
from lookalike_client.calls import DEFAULT_TIMEOUT_S
from lookalike_client.cli.output import Output
from lookalike_client.settings import ClientSettings

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Session:
    """One run of the command."""

    settings: ClientSettings
    output: Output
    timeout_s: float = DEFAULT_TIMEOUT_S

    def client(self) -> Client:
        """Return a client, to be used in a `with` block."""
        settings = self.settings
        return Client(settings.address, tls=settings.tls, timeout_s=self.timeout_s)


def printing(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command `--json` and a session."""

    @click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout, nothing else.")
    @functools.wraps(command)
    def wrapped(*args: object, as_json: bool, **kwargs: object) -> R:
        session: Session = click.get_current_context().obj
        output = Output(as_json=as_json or session.output.as_json)
        return command(replace(session, output=output), *args, **kwargs)

    return wrapped


def connected(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command `--json`, and the options of a connection."""
    path = click.Path(exists=True, dir_okay=False, path_type=Path)

    @click.option("--address", help="host:port of the search service.  [env LOOKALIKE_ADDRESS]")
    @click.option(
        "--timeout", "timeout_s", type=click.FloatRange(min=0.001), help="Seconds a call."
    )
    @click.option("--tls-ca", type=path, help="PEM file of the authority to trust.")
    @click.option("--tls-certificate", type=path, help="PEM file of our certificate.")
    @click.option("--tls-key", type=path, help="PEM file of our key.")
    @functools.wraps(command)
    def wrapped(
        session: Session,
        address: str | None,
        timeout_s: float | None,
        tls_ca: Path | None,
        tls_certificate: Path | None,
        tls_key: Path | None,
        *args: object,
        **kwargs: object,
    ) -> R:
        base = session.settings
        settings = ClientSettings(
            address=address or base.address,
            tls_ca=tls_ca or base.tls_ca,
            tls_certificate=tls_certificate or base.tls_certificate,
            tls_key=tls_key or base.tls_key,
        )
        chosen = replace(session, settings=settings, timeout_s=timeout_s or session.timeout_s)
        return command(chosen, *args, **kwargs)

    return printing(wrapped)
