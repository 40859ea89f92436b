"""The `lookalike` command: its commands, and what happens when one fails."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace

import click

from lookalike.wire.errors import InvalidField, LookalikeError
from lookalike_client import settings, tracing
from lookalike_client.cli import fields
from lookalike_client.cli.advise_command import advise_command
from lookalike_client.cli.backup import backup
from lookalike_client.cli.bank import bank
from lookalike_client.cli.bulk import bulk_index
from lookalike_client.cli.calibration import calibrate
from lookalike_client.cli.challenge_command import challenge
from lookalike_client.cli.changes import delete, update
from lookalike_client.cli.checks import check
from lookalike_client.cli.clustering import cluster
from lookalike_client.cli.collections import collections
from lookalike_client.cli.diagnostics import diagnostics
from lookalike_client.cli.doctor import doctor
from lookalike_client.cli.drift import drift
from lookalike_client.cli.duplicates import duplicates
from lookalike_client.cli.evaluation import evaluate
from lookalike_client.cli.exchange import export_items, import_items
from lookalike_client.cli.failures import failures
from lookalike_client.cli.fit_command import fit_projection
from lookalike_client.cli.ingest import index
from lookalike_client.cli.items import count, get, list_items
from lookalike_client.cli.keys import keys
from lookalike_client.cli.labelling import suggest_labels
from lookalike_client.cli.output import Output, complain, failure
from lookalike_client.cli.queries import facets, recall, search
from lookalike_client.cli.reembed import reembed
from lookalike_client.cli.session import Session, UnreachedError
from lookalike_client.cli.snapshots import snapshots
from lookalike_client.cli.status import status, version
from lookalike_client.cli.sync import sync
from lookalike_client.cli.up import up
from lookalike_client.cli.web import web

EXIT_FAILED = 1
EXIT_USAGE = 2
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
    try:
        base = settings.load(os.environ)
    except InvalidField as error:
        raise click.UsageError(f"{error.field} {error.message}.") from error
    if address:
        base = replace(base, address=address, named=True)
    if base.traces_to is not None:
        context.with_resource(tracing.traced(base.traces_to, process="lookalike"))
    context.obj = Session(base, Output(as_json=as_json))


for _command in (
    *(up, web, status, doctor, diagnostics, index, sync, search, get, list_items, count, facets),
    *(update, delete, snapshots, backup, export_items, import_items, bulk_index),
    *(challenge, evaluate, calibrate, suggest_labels, check, drift, duplicates, cluster, bank),
    *(keys, collections, reembed, failures, recall, advise_command, fit_projection, version),
):
    cli.add_command(_command)


def main() -> None:
    """Run the command line of this process and exit.

    SIGTERM, which ends a job of Kubernetes or cron, is taken as Ctrl-C: what a command has to
    put in order, such as the snapshot that a backup is made of, is put in order.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run a command line; return its exit code.

    Errors are one line on stderr, and with `--json` an object on stdout as well.
    """
    try:
        code = cli.main(list(arguments), prog_name="lookalike", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except BrokenPipeError:
        # The reader has gone. What is still buffered must not fail at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED  # as click and rich do, where they are the ones who notice
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return EXIT_USAGE
    except (click.ClickException, click.Abort, KeyboardInterrupt, LookalikeError, OSError) as error:
        told, code = _told(error)
        complain(f"error: {told['message']}")
        if "--json" in arguments:
            Output(as_json=True).document({"error": told})
        return code


def _told(error: BaseException) -> tuple[dict[str, object], int]:
    """Return a failure for people and programs, and the exit code."""
    match error:
        case click.UsageError():
            path = error.ctx.command_path if error.ctx else "lookalike"
            message = " ".join(error.format_message().split())
            return failure("USAGE", f"{message} (see `{path} --help`)"), EXIT_USAGE
        case UnreachedError():
            told = failure("UNREACHABLE", error.format_message(), retryable=True)
            return told, error.exit_code
        case click.ClickException():
            return failure("FAILED", error.format_message()), EXIT_FAILED
        case LookalikeError():
            reason, field = error.reason.name, error.field
            return failure(reason, fields.told(error), field, error.retryable), EXIT_FAILED
        case OSError():
            name = f"{error.filename}: " if error.filename else ""
            return failure("FAILED", f"{name}{error.strerror or error}"), EXIT_FAILED
        case _:
            return failure("INTERRUPTED", "interrupted"), EXIT_INTERRUPTED
