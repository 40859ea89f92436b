"""Writes the golden file of `lookalike sync`'s state: a small one, as text.

    .venv/bin/python -m tests.golden.sync

Do so when its format has a new version. The files of earlier ones stay: this release must
read them, or refuse them in one line.
"""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from lookalike_client.syncing import state
from lookalike_client.syncing.state import Claim, MoveRecord, State
from tests.golden.writing import HERE, text

COLLECTION, ROOT, PREFIX = "c" * 32, Path("/photos/2026"), "p/"
CLAIMS = {
    "p/a.jpg": Claim("p/a.jpg", "a.jpg", "a" * 64, stored=True, stamp="1:2:3"),
    "p/ü.jpg": Claim("p/ü.jpg", "ü.jpg", "b" * 64, earlier="a" * 64, is_nested=True),
}
MOVE = MoveRecord("p/new.jpg", "p/old.jpg", "d" * 64, b"item")


def name_of(version: int) -> Path:
    """Return where the golden file of a format stands; it is no file of the service's."""
    return HERE / "client" / f"sync_state_{version}.json"


def write(path: Path) -> None:
    """Make a state with one of everything."""
    with closing(State(path)) as made:
        folder = made.folder(COLLECTION, ROOT, PREFIX)
        folder.remember(is_mount=True)
        folder.claim(list(CLAIMS.values()))
        folder.begin_moves([MOVE])


def main() -> int:
    """Write the file of this release's format."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.sqlite"
        write(path)
        document = {"format": state.FORMAT, "state": text(path.read_bytes())}
    place = name_of(state.FORMAT)
    place.parent.mkdir(exist_ok=True)
    place.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(f"{place.name}: {place.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
