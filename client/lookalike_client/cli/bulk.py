"""`lookalike bulk-index`: runs the bulk pipeline, which is installed with the extra `ray`."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import click

from lookalike_client.cli.session import Session, connected

_NEEDED = ("lookalike_bulk", "ray", "search_service", "embedder_service", "torch")


@click.command("bulk-index", context_settings={"ignore_unknown_options": True})
@click.argument("uri")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
@connected
def bulk_index(session: Session, uri: str, options: tuple[str, ...]) -> int:
    """Index a large folder, bucket or Parquet files at once, on all cores or a Ray cluster.

    The new collection is built beside and appears when it is whole. It needs
    `--collection NAME` and `--work DIR`; `python -m lookalike_bulk --help` lists all options.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise click.UsageError(
            "bulk-index needs Ray and both services: pip install 'lookalike[ray,search,embedder]'"
        )
    command = [sys.executable, "-m", "lookalike_bulk", uri, *options]
    # The key itself is in the environment, as that of this command.
    settings = session.settings
    command += ["--address", settings.address, *(["--tls"] if settings.use_tls else [])]
    files = {
        "tls-ca": settings.tls_ca,
        "tls-certificate": settings.tls_certificate,
        "tls-key": settings.tls_key,
        "token-file": None if settings.token else settings.token_file,
    }
    for name, path in files.items():
        command += [f"--{name}", str(path)] if path else []
    if session.output.as_json:
        command.append("--json")
    return subprocess.run(command, check=False).returncode
