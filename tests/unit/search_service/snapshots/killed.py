"""A process that works on snapshots and kills itself at a step.

Run as `python -m tests.unit.search_service.snapshots.killed ROOT WHAT STEP`.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from tests.unit.search_service.snapshots.rig import NAME, opened


def main() -> None:
    root, what, last = Path(sys.argv[1]), sys.argv[2], sys.argv[3]

    def on_step(step: str) -> None:
        if step == last:
            os.kill(os.getpid(), signal.SIGKILL)

    with opened(root, on_step=on_step) as rig:
        library = rig.snapshots
        if what == "create":
            library.create(NAME)
        elif what == "delete":
            library.delete(library.list()[0].id)
        elif what == "restore":
            library.restore(library.list()[0].id, "restored")
        else:
            taken = library.list()[0].id
            chunks = list(library.download(taken))
            library.delete(taken)  # it would not be taken in twice
            library.upload(iter(chunks))


if __name__ == "__main__":
    main()
