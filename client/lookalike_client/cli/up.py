"""`lookalike up`."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

import click

from lookalike.wire.private_files import keep_from_others
from lookalike_client.cli.output import complain
from lookalike_client.cli.session import Session, printing
from lookalike_client.supervisor.page import DEFAULT_PAGE_PORT, USUAL_PORT
from lookalike_client.supervisor.parts import UpOptions, plan
from lookalike_client.supervisor.system import DataLock, Supervisor

_PORT = click.IntRange(0, 65_535)


@click.command()
@click.option(
    "--data", required=True, type=click.Path(file_okay=False, path_type=Path), help="Created."
)
@click.option("--search-port", default=50051, show_default=True, type=_PORT, help="0: a free one.")
@click.option("--embedder-port", default=0, show_default=True, type=_PORT, help="0: a free one.")
@click.option("--redis-port", default=0, show_default=True, type=_PORT, help="0: a free one.")
@click.option("--redis", "redis_url", help="URL of a server that runs already; none is started.")
@click.option("--model", default="efficientnet-lite2", show_default=True)
@click.option("--precision", default="f32", show_default=True, type=click.Choice(["f32", "bf16"]))
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64))
@click.option(
    "--model-cache",
    type=click.Path(file_okay=False, path_type=Path),
    help="Converted models, to share between systems.  [default: DATA/model-cache]",
)
@click.option(
    "--web/--no-web",
    default=None,
    help="Serve the page of `lookalike web`, too.  [default: where its libraries are installed]",
)
@click.option(
    "--web-port",
    type=_PORT,
    help=f"Of the page; 0: a free one.  [default: {DEFAULT_PAGE_PORT}, or a free one]",
)
@printing
def up(
    session: Session,
    data: Path,
    search_port: int,
    embedder_port: int,
    redis_port: int,
    redis_url: str | None,
    model: str,
    precision: str,
    workers: int,
    model_cache: Path | None,
    web: bool | None,
    web_port: int | None,
) -> None:
    """Run a whole system on this machine until Ctrl-C or SIGTERM.

    Redis, the embedder, the search service and the worker run as processes of their
    own, on loopback. One that dies is started again. Logs are in DATA/logs. The link to
    the page stays the same: its token is in DATA/web-token.
    """
    options = UpOptions(
        data=data.resolve(),
        search_port=search_port,
        embedder_port=embedder_port,
        redis_port=redis_port,
        redis_url=redis_url,
        model=model,
        precision=precision,
        workers=workers,
        model_cache=model_cache.resolve() if model_cache else None,
        web_port=_page_port(web, web_port),
    )
    stop = _StopFlag()
    keep_from_others()
    with DataLock(options.data), ExitStack() as stack:
        system = plan(options, stack)
        supervisor = Supervisor(
            data=options.data,
            addresses=system.addresses,
            specs=system.specs,
            report=complain,
            stopping=stop.is_set,
        )
        supervisor.run(lambda state: _announce(session, options, state, system.page))


def _page_port(wanted: bool | None, port: int | None) -> int | None:
    """Return the page's port, -1 for the usual one if it is free; None: no page is served.

    Raises:
        click.UsageError: it is asked for, and cannot be served.
    """
    if wanted is False:
        return None
    if find_spec("starlette") is None or find_spec("uvicorn") is None:
        if wanted:
            raise click.UsageError("The page needs: pip install 'lookalike[client,web]'.")
        return None
    return USUAL_PORT if port is None else port


def _announce(session: Session, options: UpOptions, state: dict[str, object], page: str) -> None:
    if session.output.as_json:
        session.output.document({**state, "web": page} if page else state)
        return
    session.output.text("Lookalike is up; Ctrl-C stops it.")
    session.output.facts(
        {
            "search": state["search"],
            "embedder": state["embedder"],
            "redis": state["redis"],
            "data": options.data,
            "logs": options.data / "logs",
            **({"page": page} if page else {}),
        },
        unwrapped=["page"],
    )


class _StopFlag:
    """Set by the signals that ask a program to end."""

    def __init__(self) -> None:
        self._set = False
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._handle)

    def is_set(self) -> bool:
        """Whether such a signal came."""
        return self._set

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._set = True
