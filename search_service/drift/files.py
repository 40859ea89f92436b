"""What a monitor learnt, in a small file in the directory of its collection.

A NumPy archive: arrays by name, and `state`, the rest as JSON with the format's version.
"""

from __future__ import annotations

import io
import logging
import zipfile
from pathlib import Path

import numpy as np
import orjson

from search_service.drift.monitor import MOST_ALARMS, MOST_POINTS, Alarm, Monitor, Point
from search_service.durable_files import write_durably

_log = logging.getLogger(__name__)

FILE = "drift.npz"
FORMAT = 1


def save(path: Path, monitor: Monitor) -> None:
    """Write a monitor, atomically and durably.

    Raises:
        OSError: it cannot be written.
    """
    state = {
        "format": FORMAT,
        "fingerprint": monitor.fingerprint,
        "dimension": monitor.dimension,
        "queries": monitor.queries,
        "score_items": monitor.score_items,
        "drifted": monitor.drifted,
        "points": [
            [each.time_s, each.queries, each.evidence, each.medians] for each in monitor.points
        ],
        "alarms": [[each.time_s, each.queries, each.measures] for each in monitor.alarms],
    }
    content = io.BytesIO()
    encoded = np.frombuffer(orjson.dumps(state), dtype=np.uint8)
    np.savez(content, allow_pickle=False, state=encoded, **monitor.to_arrays())
    write_durably(path, [content.getbuffer()])


def load(path: Path, fingerprint: str, dimension: int, mean_queries: float) -> Monitor:
    """Return the monitor of a file, or a new one where it is missing or of no use.

    What another model's queries were like says nothing: then a new one, too.
    """
    monitor = Monitor(fingerprint, dimension, mean_queries)
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        state = orjson.loads(arrays.pop("state").tobytes())
        if (state["format"], state["fingerprint"], state["dimension"]) != (
            FORMAT,
            fingerprint,
            dimension,
        ):
            _log.info("queries are learnt anew: %s is of another model or format", path)
            return monitor
        monitor.take(arrays)
        monitor.queries = int(state["queries"])
        monitor.score_items = int(state["score_items"])
        monitor.drifted = bool(state["drifted"])
        for time_s, queries, evidence, medians in state["points"][-MOST_POINTS:]:
            values = [np.nan if each is None else float(each) for each in medians]
            monitor.points.append(Point(float(time_s), int(queries), float(evidence), values))
        for time_s, queries, measures in state["alarms"][-MOST_ALARMS:]:
            monitor.alarms.append(Alarm(float(time_s), int(queries), list(map(str, measures))))
    except FileNotFoundError:
        return monitor
    except (OSError, KeyError, TypeError, ValueError, EOFError, zipfile.BadZipFile) as error:
        _log.warning("queries are learnt anew: %s cannot be read: %s", path, error)
        return Monitor(fingerprint, dimension, mean_queries)
    return monitor
