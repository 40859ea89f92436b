"""The `lookalike` command: its commands, and what happens when one fails."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click
import grpc

from lookalike.wire.errors import LookalikeError, Unavailable
from lookalike_client import settings
from lookalike_client.cli import fields
from lookalike_client.cli.advise_command import advise_command
from lookalike_client.cli.collections import collections
from lookalike_client.cli.exchange import export_items, import_items
from lookalike_client.cli.fit_command import fit_projection
from lookalike_client.cli.ingest import failures, index
from lookalike_client.cli.items import count, delete, get, list_items
from lookalike_client.cli.output import Output, complain
from lookalike_client.cli.queries import facets, recall, search
from lookalike_client.cli.session import Session
from lookalike_client.cli.snapshots import snapshots
from lookalike_client.cli.status import status, version
from lookalike_client.cli.up import up

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_UNREACHABLE = 3
EXIT_INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--address", help="host:port of the search service.  [env LOOKALIKE_ADDRESS]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout, nothing else.")
@click.pass_context
def cli(context: click.Context, address: str | None, as_json: bool) -> None:
    """Find images that look alike.

    Exit codes: 0 done, 1 failed (also: some items failed), 2 wrong usage, 3 the
    search service cannot be reached.
    """
    base = settings.load(os.environ)
    if address:
        base = settings.ClientSettings(address, base.tls_ca, base.tls_certificate, base.tls_key)
    context.obj = Session(base, Output(as_json=as_json))


for _command in (
    *(up, status, index, search, get, list_items, count, facets, delete),
    *(snapshots, export_items, import_items),
    *(collections, failures, recall, advise_command, fit_projection, version),
):
    cli.add_command(_command)


def main() -> None:
    """Run the command line of this process and exit."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run a command line; return its exit code. Errors are one line on stderr."""
    try:
        code = cli.main(list(arguments), prog_name="lookalike", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.UsageError as error:
        return _usage(error)
    except click.ClickException as error:
        return _failed(error.format_message(), EXIT_FAILED)
    except (click.Abort, KeyboardInterrupt):
        return _failed("interrupted", EXIT_INTERRUPTED)
    except LookalikeError as error:
        return _refused(error)
    except BrokenPipeError:
        # The reader has gone. What is still buffered must not fail at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED  # as click and rich do, where they are the ones who notice
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        return _failed(f"{name}{error.strerror or error}", EXIT_FAILED)


def _usage(error: click.UsageError) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return EXIT_USAGE
    path = error.ctx.command_path if error.ctx else "lookalike"
    message = " ".join(error.format_message().split())
    return _failed(f"{message} (see `{path} --help`)", EXIT_USAGE)


def _refused(error: LookalikeError) -> int:
    if isinstance(error, Unavailable) and _never_answered(error):
        return _failed(
            "no search service answers: start one with `lookalike up --data DIR`, or name "
            "its address with --address or LOOKALIKE_ADDRESS",
            EXIT_UNREACHABLE,
        )
    return _failed(fields.told(error), EXIT_FAILED)


def _never_answered(error: LookalikeError) -> bool:
    """Whether the failure is the connection's, not something that a service said."""
    cause = error.__cause__
    if not isinstance(cause, grpc.RpcError):
        return False
    keys = [entry.key for entry in cause.trailing_metadata() or ()]
    return "grpc-status-details-bin" not in keys


def _failed(message: str, code: int) -> int:
    complain(f"error: {message}")
    return code
