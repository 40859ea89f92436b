"""The priority of threads that work beside those that answer."""

from __future__ import annotations

import os
import sys
import threading

# A lower priority than that of the threads that answer; the builder's is the same.
NICE = 10


def lower_priority() -> None:
    """Have this thread run after those that answer; it is not raised again."""
    if sys.platform == "linux":  # elsewhere a priority belongs to the whole process
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
