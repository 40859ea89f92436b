"""A process that changes items of a shard and kills itself while it saves the metadata index.

Run as `python -m tests.unit.search_service.shard.killed_saver DIRECTORY STEP`; the step
is the number of the operation on files, of those of `STEPS`, that is not made any more.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from search_service.shard.metadata.filter_index import FILE
from tests.unit.search_service.shard.kit import reopen
from tests.unit.search_service.shard.test_filter_file import AT_CLOSE, change

# The temporary file is opened, renamed, and the directory is opened to be synced.
STEPS = ("open", "os.rename", "open")


def main() -> None:
    directory, last = Path(sys.argv[1]), int(sys.argv[2])
    shard = reopen(directory, AT_CLOSE)
    change(shard, 40)
    names = {str(directory / f"{FILE}.tmp"), str(directory)}
    made = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal made
        if event == STEPS[made] and str(arguments[0]) in names:
            if made == last:
                os.kill(os.getpid(), signal.SIGKILL)
            made += 1

    sys.addaudithook(hook)
    shard.close()


if __name__ == "__main__":
    main()
