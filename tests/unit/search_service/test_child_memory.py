"""What a build and an analysis may take of a container's memory."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from search_service import child_memory

GIB = 1 << 30
STAT = f"anon {GIB}\nfile {5 * GIB}\nshmem {GIB // 2}\nsock 0\nslab_reclaimable {GIB}\n"


def groups(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("files", "room"),
    [
        ({}, None),
        ({"memory.max": "max\n", "memory.stat": STAT}, None),
        # A tenth is for the service; what it has of files is given back.
        ({"memory.max": f"{10 * GIB}\n", "memory.stat": STAT}, 9 * GIB - GIB - GIB // 2),
        ({"memory.max": f"{GIB}\n", "memory.stat": STAT}, 64 << 20),
        (
            {
                "memory/memory.limit_in_bytes": f"{2 * GIB}\n",
                "memory/memory.stat": f"cache {GIB}\ntotal_rss {GIB}\n",
            },
            int(1.8 * GIB) - GIB,
        ),
        (
            {
                "memory/memory.limit_in_bytes": "9223372036854771712\n",
                "memory/memory.stat": "total_rss 1\n",
            },
            None,
        ),
    ],
)
def test_the_room_is_what_the_limit_leaves(
    files: dict[str, str], room: int | None, tmp_path: Path
) -> None:
    assert child_memory.room_bytes(groups(tmp_path, files)) == room


BUILD = """
import json, sys
from pathlib import Path
from search_service import child_memory
from search_service.segments.building import child
child_memory._CGROUPS = Path(sys.argv[1])
def much(job, report):
    held = [bytearray(1 << 20) for _ in range(1000)]
child.run_job = much
child.BuildJob.from_json = staticmethod(lambda said: said)
child.main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels have no control groups")
def test_a_build_that_needs_more_fails_by_itself_and_says_so(tmp_path: Path) -> None:
    here = groups(tmp_path, {"memory.max": f"{GIB}\n", "memory.stat": f"anon {GIB // 2}\n"})
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with subprocess.Popen(
        [sys.executable, "-c", BUILD, str(here)],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stderr is not None
        child.stdin.write("{}\n")
        child.stdin.flush()  # and stays open: its end would end the child
        said = child.stderr.read()
    assert child.returncode == 1
    assert said.strip() == child_memory.TOO_LITTLE
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
