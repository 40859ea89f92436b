"""`lookalike bulk-index`: runs the bulk pipeline, which is installed with the extra `ray`."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import click

_NEEDED = ("lookalike_bulk", "ray", "search_service", "embedder_service", "torch")


@click.command(
    "bulk-index",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bulk_index(arguments: tuple[str, ...]) -> int:
    """Index a large folder, bucket or Parquet files at once, on all cores or a Ray cluster.

    The new collection is built beside and appears when it is whole. `lookalike bulk-index
    --help` lists the options.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise click.UsageError(
            "bulk-index needs Ray and both services: pip install 'lookalike[ray,search,embedder]'"
        )
    command = [sys.executable, "-m", "lookalike_bulk", *arguments]
    return subprocess.run(command, check=False).returncode
