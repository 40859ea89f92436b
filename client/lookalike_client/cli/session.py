"""What every command has: an address, a client, a collection, and a way to print."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import click
import grpc

from lookalike.wire import proxies, tls_faults
from lookalike.wire.errors import LookalikeError, Unavailable
from lookalike_client import AsyncClient, Client
from lookalike_client.calls import DEFAULT_TIMEOUT_S
from lookalike_client.cli.output import Output
from lookalike_client.settings import ClientSettings
from lookalike_client.settings import proxies as load_proxies

R = TypeVar("R")

EXIT_UNREACHABLE = 3

DEFAULT_COLLECTION = "images"

_HOST_PORT = re.compile(r"(\[[0-9a-fA-F:.%\w]+\]|[^\s:/\[\]]+):(\d{1,5})")
# Names that gRPC resolves itself.
_SCHEMES = ("dns:", "ipv4:", "ipv6:", "unix:", "unix-abstract:", "passthrough:", "xds:")
_MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Session:
    """One run of the command."""

    settings: ClientSettings
    output: Output
    timeout_s: float = DEFAULT_TIMEOUT_S

    def client(self) -> Client:
        """Return a client, to be used in a `with` block.

        Raises:
            click.UsageError: the address is none.
        """
        settings = self.settings
        check_address(settings.address)
        return Client(
            settings.address,
            tls=settings.tls,
            token=settings.key,
            timeout_s=self.timeout_s,
            use_proxy=settings.use_proxy,
        )

    def async_client(self, *, bare: bool = False) -> AsyncClient:
        """Return an asyncio client, as `client` does; `bare`: without a key of our own."""
        settings = self.settings
        check_address(settings.address)
        return AsyncClient(
            settings.address,
            tls=settings.tls,
            token=None if bare else settings.key,
            timeout_s=self.timeout_s,
            use_proxy=settings.use_proxy,
        )


class UnreachedError(click.ClickException):
    """No service answers at the address."""

    exit_code = EXIT_UNREACHABLE

    def __init__(self, settings: ClientSettings, details: str) -> None:
        """`details` are what the library says of the connection."""
        said = tls_faults.remark(details, with_tls=settings.tls is not None)
        if said is not None:
            super().__init__(f"no connection to {settings.address}: {said}")
            return
        found = proxies.remark(settings.address, load_proxies(), use_proxy=settings.use_proxy)
        super().__init__(
            f"no search service answers at {settings.address}: start one with `lookalike up "
            "--data DIR`, or name its address with --address or LOOKALIKE_ADDRESS"
            + (f"; {found}" if found else "")
        )


def check_address(address: str) -> None:
    """Refuse what can be no address, so that it is not taken for a service that is away.

    Raises:
        click.UsageError: it is no host:port.
    """
    match = _HOST_PORT.fullmatch(address)
    if address.startswith(_SCHEMES) or (match and 0 < int(match[2]) <= _MAX_PORT):
        return
    raise click.UsageError(
        f"The address {address!r} is no host:port, such as 127.0.0.1:50051: "
        "mend --address or LOOKALIKE_ADDRESS."
    )


def _never_answered(error: LookalikeError) -> bool:
    """Whether the failure is the connection's, not something that a service said."""
    cause = error.__cause__
    if not isinstance(cause, grpc.RpcError):
        return False
    keys = [entry.key for entry in cause.trailing_metadata() or ()]
    return "grpc-status-details-bin" not in keys


def _details(error: LookalikeError) -> str:
    cause = error.__cause__
    return (cause.details() or "") if isinstance(cause, grpc.RpcError) else ""


def one_collection(positional: str | None, option: str | None, default: str | None = None) -> str:
    """Return the collection that a command is given: as its argument or with `-c`.

    Raises:
        click.UsageError: it is given in neither way, or twice.
    """
    if positional is not None and option is not None and positional != option:
        raise click.UsageError(f"Give one collection: {positional} or {option}.")
    for name in (positional, option, default):
        if name is not None:
            return name
    raise click.UsageError("Name the collection: -c NAME.")


def confirm(question: str) -> None:
    """Ask on stderr, and go on only after a yes.

    Raises:
        click.Abort: the answer is no.
        click.UsageError: there is nobody to answer.
    """
    try:
        click.confirm(question, abort=True, err=True)
    except click.Abort as error:
        if sys.stdin.isatty():
            raise
        click.echo(err=True)  # ends the line of the question
        raise click.UsageError("Nobody has said yes: give --yes to do it unasked.") from error


def printing(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command `--json` and a session."""

    @click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout, nothing else.")
    @functools.wraps(command)
    def wrapped(*args: object, as_json: bool, **kwargs: object) -> R:
        session: Session = click.get_current_context().obj
        output = Output(as_json=as_json or session.output.as_json)
        return command(replace(session, output=output), *args, **kwargs)

    return wrapped


def offline(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command that calls no service `--json`; it takes `--address` as all others do."""

    @click.option("--address", hidden=True, expose_value=False)
    @functools.wraps(command)
    def wrapped(*args: object, **kwargs: object) -> R:
        return command(*args, **kwargs)

    return printing(wrapped)


def grouping(command: Callable[..., None]) -> Callable[..., None]:
    """Give a group of commands the options of a connection, which its commands then have.

    The commands may be given them as well; what they are given holds.
    """

    def remember(session: Session, *args: object, **kwargs: object) -> None:
        context = click.get_current_context()
        context.obj = session
        command(context, *args, **kwargs)

    functools.update_wrapper(remember, command)
    return connected(remember)


def connected(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command `--json`, and the options of a connection."""
    path = click.Path(exists=True, dir_okay=False, path_type=Path)

    @click.option("--address", help="host:port of the search service.  [env LOOKALIKE_ADDRESS]")
    @click.option(
        "--timeout", "timeout_s", type=click.FloatRange(min=0.001), help="Seconds a call."
    )
    @click.option(
        "--use-proxy",
        is_flag=True,
        help="Through the proxy that the environment names.  [env LOOKALIKE_USE_PROXY]",
    )
    @click.option("--tls", "use_tls", is_flag=True, help="TLS, by the system's authorities.")
    @click.option("--tls-ca", "--ca", type=path, help="PEM file of the authority to trust.")
    @click.option("--tls-certificate", "--cert", type=path, help="PEM file of our certificate.")
    @click.option("--tls-key", "--key", type=path, help="PEM file of our key.")
    @click.option(
        "--token-file", type=path, help="File with the API key.  [env LOOKALIKE_TOKEN(_FILE)]"
    )
    @functools.wraps(command)
    def wrapped(
        session: Session,
        address: str | None,
        timeout_s: float | None,
        use_proxy: bool,
        use_tls: bool,
        tls_ca: Path | None,
        tls_certificate: Path | None,
        tls_key: Path | None,
        token_file: Path | None,
        *args: object,
        **kwargs: object,
    ) -> R:
        base = session.settings
        settings = replace(
            base,
            address=address or base.address,
            named=bool(address) or base.named,
            tls_ca=tls_ca or base.tls_ca,
            tls_certificate=tls_certificate or base.tls_certificate,
            tls_key=tls_key or base.tls_key,
            use_tls=use_tls or base.use_tls,
            token=None if token_file else base.token,
            token_file=token_file or base.token_file,
            use_proxy=use_proxy or base.use_proxy,
        )
        chosen = replace(session, settings=settings, timeout_s=timeout_s or session.timeout_s)
        try:
            return command(chosen, *args, **kwargs)
        except Unavailable as error:
            if not _never_answered(error):
                raise
            raise UnreachedError(settings, _details(error)) from error

    return printing(wrapped)
