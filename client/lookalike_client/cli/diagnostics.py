"""`lookalike diagnostics`: what somebody needs who is to find out what is wrong."""

from __future__ import annotations

import json
import platform
import zipfile
from collections.abc import Callable
from http.client import HTTPException
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

import click

from lookalike.wire.errors import LookalikeError
from lookalike_client import Client
from lookalike_client.cli.output import plain
from lookalike_client.cli.session import Session, connected

_FETCH_TIMEOUT_S = 5.0
# The last lines of a log: the trouble at hand is at its end.
_MOST_LOG_BYTES = 1 << 20
_PACKAGES = ("lookalike", "grpcio", "protobuf", "numpy", "usearch", "openvino", "torch", "redis")


@click.command()
@connected
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("lookalike-diagnostics.zip"),
    show_default=True,
)
@click.option("--metrics", "urls", multiple=True, help="URL of a part's metrics; may be repeated.")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Directory that `lookalike up` was given: its logs are added.",
)
def diagnostics(session: Session, out: Path, urls: tuple[str, ...], data: Path | None) -> None:
    """Write a bundle for a report: versions, status, collections, metrics, ends of logs.

    It holds no image, no vector, no metadata of items, no API key and no password. Names of
    collections and what stands in the logs are in it: look through it before you send it.
    """
    for url in urls:
        _check(url)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as bundle, session.client() as client:
        bundle.writestr("versions.json", _json(_versions()))
        bundle.writestr("service.json", _json(_service(session, client)))
        for number, url in enumerate(urls):
            bundle.writestr(f"metrics-{number}.txt", f"# {url}\n{_fetched(url)}")
        for log in sorted((data / "logs").glob("*.log")) if data is not None else ():
            bundle.writestr(f"logs/{log.name}", log.read_bytes()[-_MOST_LOG_BYTES:])
        names = bundle.namelist()
    if session.output.as_json:
        session.output.document({"bundle": out, "files": names})
    else:
        session.output.text(f"{out}: {', '.join(names)}")


def _service(session: Session, client: Client) -> dict[str, object]:
    """What the service says of itself; a question that fails is answered with the failure."""
    questions: dict[str, Callable[[], object]] = {
        "ready": client.ready,
        "collections": lambda: list(client.collections.list()),
        "ingest": client.ingest_status,
    }
    answers: dict[str, object] = {"address": session.settings.address}
    for name, ask in questions.items():
        try:
            answers[name] = ask()
        except LookalikeError as error:
            answers[name] = {"error": error.reason.name, "message": error.message}
    return answers


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _json(value: object) -> str:
    return json.dumps(plain(value), ensure_ascii=False, indent=1) + "\n"


def _check(url: str) -> None:
    """Raises:
    click.UsageError: it is no address of metrics, or one that would take a password along.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
        _ = parts.port
    except ValueError:
        good = False
    if not good:  # not repeated here: it could hold a password
        raise click.UsageError(
            "An address of metrics is http://HOST:PORT/metrics, without user and password."
        )


def _fetched(url: str) -> str:
    try:
        # Directly, as all that belongs to the system is reached.
        with build_opener(ProxyHandler({})).open(url, timeout=_FETCH_TIMEOUT_S) as answer:
            return str(answer.read().decode(errors="replace"))
    except (OSError, HTTPException) as error:
        return f"error: {error}"
