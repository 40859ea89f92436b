"""Every command and snippet of README.md and docs/ does what its page says.

Each page is read alone, top to bottom, by a reader who has run `make demo`: the gallery
is there, and `images` holds it as "Getting started" has stored it.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike_client import Client
from lookalike_client.demo.photos import make_gallery, make_query
from lookalike_client.supervisor.launch import RunningSystem
from tests.documented.blocks import PAGES, ROOT, Kind, page_blocks
from tests.documented.runner import PageRunner
from tests.e2e.conftest import command, environment, run_cli

# These two store the gallery themselves.
_FROM_NOTHING = ("README.md", "docs/getting-started.md")
_LABELS = next(
    block.text
    for block in page_blocks(ROOT / "docs" / "getting-started.md")
    if block.kind is Kind.FILE and block.detail == "labels.csv"
)


def _pages() -> list[str]:
    shown = [page for page in PAGES if page_blocks(page)]
    return [page.relative_to(ROOT).as_posix() for page in shown]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    """A checkout as a reader has it: the commands, the contract, and what `make demo` made."""
    folder = tmp_path_factory.mktemp("reader")
    commands = folder / ".venv" / "bin"
    commands.mkdir(parents=True)
    for name, words in (("lookalike", command()), ("python", command()[:1])):
        quoted = " ".join(f"'{word}'" for word in words)
        (commands / name).write_text(f'#!/bin/sh\nexec {quoted} "$@"\n')
        (commands / name).chmod(0o755)
    (commands / "activate").write_text('PATH="$PWD/.venv/bin:$PATH"\n')
    (folder / "protos").symlink_to(ROOT / "protos")
    gallery = make_gallery(folder / "build" / "demo" / "gallery")
    make_query(gallery, folder / "build" / "demo" / "queries" / "off-a-screen.jpg")
    (folder / "labels.csv").write_text(_LABELS)
    return folder


@pytest.fixture(scope="module")
def stored_gallery(system: RunningSystem, folder: Path) -> str:
    """A snapshot of `images` after "Getting started"."""
    stored = run_cli(
        *("index", "build/demo/gallery", "--metadata-csv", "labels.csv", "--wait"),
        *("--address", system.search),
        cwd=folder,
    )
    assert stored.code == 0, stored.err
    with Client(system.search) as client:
        return client.snapshots.create("images").snapshot_id


@pytest.fixture
def runner(
    request: pytest.FixtureRequest,
    system: RunningSystem,
    folder: Path,
    stored_gallery: str,
    node_packages: Path | None,
) -> Iterator[PageRunner]:
    """A reader of one page; what another page made is gone."""
    page = request.node.callspec.params["page"]
    with Client(system.search) as client:
        for collection in list(client.collections.list()):
            client.collections.delete(collection.name)
        if page not in _FROM_NOTHING:
            client.snapshots.restore(stored_gallery, "images")
    commands = folder / ".venv" / "bin"
    yield PageRunner(
        folder=folder,
        address=system.search,
        environment={
            **environment(),
            "LOOKALIKE_ADDRESS": system.search,
            "LOOKALIKE_SYNC_STATE": str(folder / "sync.sqlite"),
            "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "200",
        },
        node=node_packages,
    )
    with Client(system.search) as client:
        for snapshot in list(client.snapshots.list()):
            if snapshot.snapshot_id != stored_gallery:
                client.snapshots.delete(snapshot.snapshot_id)


@pytest.mark.parametrize("page", _pages())
def test_a_page_does_what_it_says(page: str, runner: PageRunner) -> None:
    blocks = page_blocks(ROOT / page)
    for block in blocks:
        runner.run(block)
    if page == "README.md":  # whose program people start again
        for block in blocks:
            if block.kind is Kind.PYTHON:
                runner.run(block)
