"""`lookalike web`."""

from __future__ import annotations

import functools
import secrets

import click

from lookalike_client.cli.session import Session, connected

DEFAULT_PORT = 8088
_WILDCARDS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - told apart, not listened on


@click.command()
@click.option("-c", "--collection", default="", help="Shown first.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=DEFAULT_PORT,
    show_default=True,
    type=click.IntRange(0, 65_535),
    help="0: a free one.",
)
@click.option(
    "--allow-host",
    "allowed",
    multiple=True,
    help="Another name under which browsers reach it: photos.example.org; may be repeated.",
)
@click.option(
    "--read-only", is_flag=True, help="Look and search: no uploads, decisions, deletions."
)
@click.option(
    "--api-keys",
    is_flag=True,
    help="Callers of the JSON API send keys of the search service, which it checks.",
)
@connected
def web(
    session: Session,
    collection: str,
    host: str,
    port: int,
    allowed: tuple[str, ...],
    read_only: bool,
    api_keys: bool,
) -> None:
    """Serve a page to look, search and review, and the JSON API, until Ctrl-C or SIGTERM.

    Open the link that is printed: it holds the token that the server asks for. Set
    LOOKALIKE_WEB_TOKEN for one that stays.
    """
    try:
        from lookalike_client.web.app import create_app
        from lookalike_client.web.options import WebOptions, loopback_hosts
        from lookalike_client.web.serve import listen, run
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"{error.name} is not installed: pip install 'lookalike[client,web]'"
        ) from error
    if host in _WILDCARDS and not allowed:
        raise click.UsageError(
            "Name the hosts under which browsers reach it, with --allow-host: others are refused."
        )
    bound = listen(host, port)
    port = bound.getsockname()[1]
    named = {f"[{host}]:{port}" if ":" in host else f"{host}:{port}"} - {f":{port}"}
    options = WebOptions(
        port=port,
        hosts=loopback_hosts(port) | named | {each.lower() for each in allowed},
        token=session.settings.web_token or secrets.token_urlsafe(32),
        read_only=read_only,
        api_keys=api_keys,
        collection=collection,
    )
    shown = allowed[0] if allowed else "127.0.0.1" if host in _WILDCARDS else host
    place = _place(shown, port)
    # A token that was given is known to who gave it, and not for a log.
    link = f"http://{place}/?token={'…' if session.settings.web_token else options.token}"

    def announce() -> None:
        if session.output.as_json:
            session.output.document({"url": link, "port": port})
        else:
            session.output.text(f"The page: {link}")
            session.output.text(f"The API: http://{place}/api (the same token)")

    bare = functools.partial(session.async_client, bare=True)
    run(create_app(options, session.async_client, bare), bound, announce)


def _place(name: str, port: int) -> str:
    """Return a host with its port, as addresses have it; a name may have one already."""
    if name.count(":") > 1 and not name.startswith("["):
        return f"[{name}]:{port}"
    return name if ":" in name.rsplit("]", 1)[-1] else f"{name}:{port}"
