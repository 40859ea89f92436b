"""Replaces itself by a command that the kernel ends when our parent ends.

Run as a script: `python -I tied.py PARENT_PID COMMAND…`. A supervisor that is
killed cannot stop its children, so each is started through this. It is a program
of its own because code between fork and exec is not safe once gRPC has threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(arguments: list[str]) -> None:
    """Tie this process to its parent and become the command."""
    parent_pid, command = int(arguments[0]), arguments[1:]
    # SIGTERM, so that a service drains and takes its own children along.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent_pid:  # it ended before the line above
        sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606  # the arguments are the supervisor's own


if __name__ == "__main__":
    main(sys.argv[1:])
