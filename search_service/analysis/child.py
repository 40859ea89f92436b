"""An analysis's child process: one job in, what it says out, as lines of JSON.

The job is a line on standard input, which stays open: its end means that the parent
is gone, by whatever death, and ends the child.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from typing import Any

import orjson
from threadpoolctl import threadpool_limits

from lookalike.wire.errors import StoreDamaged
from search_service import child_memory
from search_service.analysis.jobs import AnalysisJob, Progress, Refused


def main() -> None:
    """Run the job on standard input."""
    job = AnalysisJob.from_json(orjson.loads(sys.stdin.readline()))
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    child_memory.bound()
    # Beside busy searches, threads of scikit-learn that spin while they wait made a map of
    # 1,500 items take 178 s and 28 s of processor time; asleep, 13 s and 6 s.
    os.putenv("OMP_WAIT_POLICY", "PASSIVE")
    try:
        from search_service.analysis.kinds import FUNCTIONS
    except ModuleNotFoundError as error:
        _say({"missing": error.name})
        return
    with threadpool_limits(limits=job.threads, user_api="blas"):
        try:
            for content in FUNCTIONS[job.kind](job, _report):
                _say({"part": content})
        except Refused as error:
            _say({"refused": {"field": error.field, "message": error.message}})
        except MemoryError:
            # No other attempt would end otherwise: as one that asks for too much.
            message = f"{child_memory.TOO_LITTLE}, or choose fewer items"
            _say({"refused": {"field": "filter", "message": message}})
        except StoreDamaged as error:
            _say({"damaged": error.message})
        except OSError as error:
            _say({"disk": str(error.strerror)})


def _report(progress: Progress) -> None:
    _say({"stage": progress.stage, "done": progress.done, "total": progress.total})


def _exit_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


def _say(message: Mapping[str, Any]) -> None:
    data = orjson.dumps(message, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
